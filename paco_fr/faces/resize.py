"""Antialiased bicubic resizing: the pixels of Pillow, bit for bit, in a fraction of its time.

The filter is Pillow's: the cubic of Keys (1981) with a = -0.5, widened by the factor of shrinking, its weights rounded
to 22 bits; sums are rounded to 8 bits after each of the two passes, across first. Compiled here because cropping is
what reading a small face mostly consists of, and because newer versions of Pillow swap the passes of tall pictures,
which moves pixels. A crop is a single compiled call: threads that crop meet at the interpreter's lock once a picture.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from paco_fr.faces.decode import Pixels
from paco_fr.utils.jit import compiled

BITS = 22
"""Precision of the weights: 32 bits, less 8 of a pixel, less 2 for weights that overshoot 1."""
AT_ONCE = 4
"""Rows that are summed in one go; a cubic that enlarges needs no more."""

Edges = tuple[float, float, float, float]
Region = tuple[int, int, int, int]
Taps = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int32]]
"""Of every sum, the row that it begins with and their number (size), and their weights (size, n), zero after them."""


def resize_bicubic(
    image: Pixels, size: tuple[int, int], box: Edges, region: Region | None = None, fill: int = 0
) -> Pixels:
    """Return the pixels (height, width, 3) uint8 that a box of a region of a picture (H, W, 3) uint8 is resized to.

    A side that keeps its length and begins at a whole pixel is passed on as it is.

    Args:
        image: the picture.
        size: width and height of the result.
        box: left, top, right, bottom inside the region, whose first pixel spans [0, 1]; taken in float32.
        region: left, top, right, bottom in whole pixels of what feeds the filter; the picture by default.
        fill: value of the region's pixels outside the picture.

    """
    height, width = image.shape[:2]
    x0, y0, x1, y1 = region or (0, 0, width, height)
    near, above = x0 + box[0], y0 + box[1]
    if (
        box[2] - box[0] == size[0] and near == int(near) and 0 <= near <= width - size[0]
        and box[3] - box[1] == size[1] and above == int(above) and 0 <= above <= height - size[1]
    ):  # fmt: skip
        return np.array(image[int(above) : int(above) + size[1], int(near) : int(near) + size[0]])
    return _resized(image, x0, y0, x1, y1, *box, *size, fill)


@compiled
def _resized(
    image: Pixels, x0: int, y0: int, x1: int, y1: int, left: float, top: float, right: float, bottom: float,
    width: int, height: int, fill: int,
) -> Pixels:  # fmt: skip
    near, far, above, below = np.float32(left), np.float32(right), np.float32(top), np.float32(bottom)
    first, length = int(above), below - above
    if first == above and length == height:
        return _across(image, x0, x1, y0 + first, y0 + first + height, near, far, width, fill)
    starts, counts, weights = _taps(float(above), float(length), height, y1 - y0)
    low, high = starts[0], starts[-1] + counts[-1]
    across = _across(image, x0, x1, y0 + low, y0 + high, near, far, width, fill)
    sums = _sums(across.reshape(high - low, 3 * width), starts - low, counts, weights)
    return sums.reshape(height, width, 3)


@compiled
def _across(
    image: Pixels, x0: int, x1: int, y0: int, y1: int, left: np.float32, right: np.float32, width: int, fill: int
) -> Pixels:  # fmt: skip
    """Return rows (y1 - y0, width, 3) of the picture, resized across."""
    first, length = int(left), right - left
    if left == first and length == width:
        made = _columns(image, x0 + first, x0 + first + width, y0, y1, fill)
    else:
        columns = _columns(image, x0, x1, y0, y1, fill)
        starts, counts, weights = _taps(float(left), float(length), width, x1 - x0)
        sums = _sums(columns.reshape(x1 - x0, 3 * (y1 - y0)), starts, counts, weights)
        made = sums.reshape(width, y1 - y0, 3)
    return _columns(made, 0, y1 - y0, 0, width, fill)


@compiled
def _shared(first: int, last: int, length: int) -> tuple[int, int]:
    """Return the part of first to last that a side of a picture has; empty where they miss each other."""
    low = min(max(first, 0), length)
    return low, max(min(last, length), low)


@compiled
def _columns(image: Pixels, x0: int, x1: int, y0: int, y1: int, fill: int) -> Pixels:
    """Return the region of a picture with its columns as rows (x1 - x0, y1 - y0, 3)."""
    found = np.empty((x1 - x0, y1 - y0, 3), np.uint8)
    (top, bottom), (near, far) = _shared(y0, y1, image.shape[0]), _shared(x0, x1, image.shape[1])
    if top > y0 or bottom < y1 or near > x0 or far < x1:
        found[:] = fill
    part, into = image[top:bottom, near:far], found[near - x0 :, top - y0 :]
    for x in range(far - near):
        for y in range(bottom - top):
            for channel in range(3):
                into[x, y, channel] = part[y, x, channel]
    return found


@compiled
def _taps(first: float, length: float, size: int, count: int) -> Taps:
    """Return how ``size`` sums are made of ``count`` rows, of which the span from ``first`` on is resized."""
    scale = length / size
    wide = max(scale, 1.0)
    support = 2.0 * wide
    most = int(np.ceil(support)) * 2 + 1
    starts, counts = np.empty(size, np.int64), np.empty(size, np.int64)
    weights = np.zeros((size, most), np.int32)
    cubic = np.empty(most)
    for at in range(size):
        centre = first + (at + 0.5) * scale
        low, high = max(int(centre - support + 0.5), 0), min(int(centre + support + 0.5), count)
        total = 0.0
        for tap in range(high - low):
            x = abs((tap + low - centre + 0.5) * (1.0 / wide))
            if x < 1.0:
                cubic[tap] = (1.5 * x - 2.5) * x * x + 1
            elif x < 2.0:
                cubic[tap] = (((x - 5) * x + 8) * x - 4) * -0.5
            else:
                cubic[tap] = 0.0
            total += cubic[tap]
        starts[at], counts[at] = low, high - low
        for tap in range(high - low):
            scaled = cubic[tap] / total * (1 << BITS)
            weights[at, tap] = np.int32(scaled - 0.5 if scaled < 0 else scaled + 0.5)
    return starts, counts, weights


@compiled
def _sums(
    rows: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
    weights: npt.NDArray[np.int32],
) -> Pixels:
    """Return weighted sums (size, M) of rows (N, M)."""
    if counts.max() <= AT_ONCE:
        return _sums_of_few(rows, starts, weights)
    size, width = len(starts), rows.shape[1]
    found, sums = np.empty((size, width), np.uint8), np.empty(width, np.int32)
    for at in range(size):
        sums[:] = 1 << (BITS - 1)
        for tap in range(counts[at]):
            row, weight = rows[starts[at] + tap], weights[at, tap]
            for column in range(width):
                sums[column] += np.int32(row[column]) * weight
        for column in range(width):
            found[at, column] = min(max(sums[column] >> BITS, 0), 255)
    return found


@compiled
def _sums_of_few(
    rows: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], weights: npt.NDArray[np.int32]
) -> Pixels:
    """Return the same sums of at most four rows each, in one go: half the time where a picture is enlarged."""
    size, width = len(starts), rows.shape[1]
    last = len(rows) - 1  # in place of rows after it, which weigh nothing
    found = np.empty((size, width), np.uint8)
    half = np.int32(1 << (BITS - 1))
    for at in range(size):
        low = starts[at]
        a, b, c, d = weights[at, :AT_ONCE]  # before the rows: else the loop is not vectorised as well
        one, two = rows[min(low, last)], rows[min(low + 1, last)]
        three, four = rows[min(low + 2, last)], rows[min(low + 3, last)]
        into = found[at]
        for column in range(width):
            total = (
                half + np.int32(one[column]) * a + np.int32(two[column]) * b
                + np.int32(three[column]) * c + np.int32(four[column]) * d
            )  # fmt: skip
            into[column] = min(max(np.int32(total) >> BITS, 0), 255)
    return found
