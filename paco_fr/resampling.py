"""Antialiased bicubic resizing: the pixels of Pillow, bit for bit, in a third of its time.

The filter is Pillow's: the cubic of Keys (1981) with a = -0.5, widened by the factor of shrinking, its weights rounded
to 22 bits; sums are rounded to 8 bits after each of the two passes, across first. Compiled here because cropping is
what reading a small face mostly consists of, and because newer versions of Pillow swap the passes of tall pictures,
which moves pixels.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from paco_fr.images import Pixels
from paco_fr.synthetic.compiled import compiled

BITS = 22
"""Precision of the weights: 32 bits, less 8 of a pixel, less 2 for weights that overshoot 1."""


def resize_bicubic(image: Pixels, size: tuple[int, int], box: tuple[float, float, float, float]) -> Pixels:
    """Return the pixels (height, width, 3) uint8 that a box of a picture (H, W, 3) uint8 is resized to.

    A side that keeps its length and begins at a whole pixel is passed on as it is.

    Args:
        image: the picture.
        size: width and height of the result.
        box: left, top, right, bottom inside the picture, whose first pixel spans [0, 1]; taken in float32.

    """
    left, top, right, bottom = (np.float32(edge) for edge in box)
    kept = _kept(left, right, size[0])
    across = image[:, kept] if kept else _turned(_sums(_turned(image), left, right, size[0]))
    kept = _kept(top, bottom, size[1])
    return np.array(across[kept]) if kept else _sums(across, top, bottom, size[1])


def _turned(image: Pixels) -> Pixels:
    """Return rows as columns (W, H, 3)."""
    return np.asarray(cv2.transpose(image), dtype=np.uint8)


def _kept(first: np.float32, last: np.float32, size: int) -> slice | None:
    """Return the pixels that a side consists of, or None if it is resampled."""
    start = int(first)
    return slice(start, start + size) if first == start and last - first == size else None


def _sums(rows: npt.NDArray[np.uint8], first: np.float32, last: np.float32, size: int) -> Pixels:
    """Return ``size`` weighted sums (size, W, 3) of the rows (H, W, 3) between two edges."""
    flat = np.ascontiguousarray(rows).reshape(len(rows), -1)
    return _weighted(flat, float(first), float(last - first), size).reshape(size, -1, 3)


@compiled
def _weighted(rows: npt.NDArray[np.uint8], first: float, length: float, size: int) -> npt.NDArray[np.uint8]:
    """Return sums (size, M) of rows (N, M) under the filter."""
    count, width = rows.shape
    found = np.empty((size, width), np.uint8)
    sums = np.empty(width, np.int32)
    scale = length / size
    wide = max(scale, 1.0)
    support = 2.0 * wide
    weights = np.empty(int(np.ceil(support)) * 2 + 1)
    for at in range(size):
        centre = first + (at + 0.5) * scale
        low, high = max(int(centre - support + 0.5), 0), min(int(centre + support + 0.5), count)
        total = 0.0
        for tap in range(high - low):
            x = abs((tap + low - centre + 0.5) * (1.0 / wide))
            if x < 1.0:
                weights[tap] = (1.5 * x - 2.5) * x * x + 1
            elif x < 2.0:
                weights[tap] = (((x - 5) * x + 8) * x - 4) * -0.5
            else:
                weights[tap] = 0.0
            total += weights[tap]
        sums[:] = 1 << (BITS - 1)
        for tap in range(high - low):
            scaled = weights[tap] / total * (1 << BITS)
            weight, row = np.int32(scaled - 0.5 if scaled < 0 else scaled + 0.5), rows[low + tap]
            for column in range(width):
                sums[column] += np.int32(row[column]) * weight
        for column in range(width):
            found[at, column] = min(max(sums[column] >> BITS, 0), 255)
    return found
