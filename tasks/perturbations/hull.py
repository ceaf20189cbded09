"""The face hull: the part of the canvas that coverage is a share of.

It is the convex hull of the landmarks and of the forehead of the fitted mean head, up to three quarters of
the way from the brows to the hairline; without the forehead no hair in front and no raised hand would count.
Schemes without a jaw line take that from the fitted head as well.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from paco_fr.utils.errors import PacoError
from paco_fr.utils.jit import compiled
from tasks.perturbations.head import Head

WITHOUT_JAW = ("five", "cofw29", "aflw19")

FOREHEAD = (
    (-0.52, -0.30), (-0.42, -0.48), (-0.22, -0.56), (0.0, -0.58), (0.22, -0.56), (0.42, -0.48), (0.52, -0.30),
)  # fmt: skip
JAW = (
    (-0.58, 0.2), (-0.54, 0.5), (-0.44, 0.8), (-0.26, 1.0), (0.0, 1.08), (0.26, 1.0), (0.44, 0.8), (0.54, 0.5),
    (0.58, 0.2),
)  # fmt: skip
"""Face coordinates (across, down) on the mean head, in units of 10 cm."""

LEAST = 0.01
"""Smallest share of the canvas that a hull may have inside it."""


def face_hull(points: npt.NDArray[np.float64], scheme: str, head: Head, side: int) -> npt.NDArray[np.bool_]:
    """Return (S, S) which pixels of a canvas the face hull covers.

    Raises:
        PacoError: less than a hundredth of the canvas shows face, so a share of it means nothing.

    """
    added = FOREHEAD + JAW if scheme in WITHOUT_JAW else FOREHEAD
    outline = np.concatenate([points[np.isfinite(points).all(axis=1)], head.place(added)])
    inside = convex_mask(outline[np.lexsort(outline.T[::-1])], side)
    if inside.mean() < LEAST:
        raise PacoError("The landmarks of this picture lie outside the canvas: there is no face to cover.")
    return inside


@compiled
def convex_mask(points: npt.NDArray[np.float64], side: int) -> npt.NDArray[np.bool_]:
    """Return (side, side) which pixel centres lie in the convex hull of points (N, 2), sorted by x, then y.

    The hull is Andrew's monotone chain; a row of pixels is filled between the edges that cross it.
    """
    count = len(points)
    chain = np.empty(2 * count + 1, dtype=np.int64)
    size = 0
    for turn in range(2):
        start = size
        for step in range(count):
            i = step if turn == 0 else count - 1 - step
            while size - start >= 2:
                a, b = points[chain[size - 2]], points[chain[size - 1]]
                if (b[0] - a[0]) * (points[i, 1] - a[1]) - (b[1] - a[1]) * (points[i, 0] - a[0]) > 0:
                    break
                size -= 1
            chain[size] = i
            size += 1
        size -= 1
    inside = np.zeros((side, side), dtype=np.bool_)
    for row in range(side):
        low, high = 1e18, -1e18
        for k in range(size):
            a, b = points[chain[k]], points[chain[(k + 1) % size]]
            if min(a[1], b[1]) > row or max(a[1], b[1]) < row:
                continue
            share = 0.0 if a[1] == b[1] else (row - a[1]) / (b[1] - a[1])
            x = a[0] + share * (b[0] - a[0])
            low, high = min(low, x), max(high, x)
            if a[1] == b[1]:
                low, high = min(low, b[0]), max(high, b[0])
        for column in range(
            max(0, int(np.ceil(max(low, -1.0)))), min(side - 1, int(np.floor(min(high, 1e9)))) + 1
        ):
            inside[row, column] = True
    return inside
