"""Which part of the face a grid cell shows, read off the kind of crop, because faces are aligned.

Parts are drawn in face coordinates: origin between the pupils, one unit the distance of the pupils, u to
the right of the picture, v down. The outlines are our own reading of an average frontal face.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

REGIONS = (
    "surround", "forehead", "left brow", "right brow", "left eye", "right eye",
    "nose", "left cheek", "right cheek", "mouth", "chin",
)  # fmt: skip
"""Left and right as the picture is looked at."""

# Pupil midpoint (x, y) and pupil distance as shares of the crop, for an average frontal face.
ANCHORS: dict[str, tuple[float, float, float]] = {
    "arcface": (0.499, 0.461, 0.314),
    "farl": (0.500, 0.441, 0.234),
    "box": (0.500, 0.330, 0.290),
    "whole": (0.500, 0.430, 0.200),
}

# Rectangles |u| from..to, v from..to; later ones win. Sided parts are mirrored.
_CENTRAL = {
    "forehead": (0.0, 1.00, -1.30, -0.50),
    "chin": (0.0, 0.85, 1.40, 2.00),
    "nose": (0.0, 0.30, 0.10, 0.85),
    "mouth": (0.0, 0.55, 0.85, 1.40),
}
_SIDED = {
    "cheek": (0.25, 1.10, 0.15, 1.40),
    "brow": (0.12, 0.95, -0.50, -0.18),
    "eye": (0.15, 0.90, -0.18, 0.20),
}
_ORDER = ("forehead", "cheek", "chin", "nose", "mouth", "brow", "eye")


SAMPLES = 8
"""A cell belongs to the part that covers most of it, sampled at 8 x 8 points."""


def region_map(anchor: str, grid: int) -> npt.NDArray[np.int64]:
    """Return the region of each cell, an index into ``REGIONS``, shape (grid * grid,)."""
    centre_x, centre_y, pupils = ANCHORS[anchor]
    side = grid * SAMPLES
    samples = (np.arange(side) + 0.5) / side
    u = np.broadcast_to((samples[None, :] - centre_x) / pupils, (side, side))
    v = np.broadcast_to((samples[:, None] - centre_y) / pupils, (side, side))
    fine = np.zeros((side, side), dtype=np.int64)
    for part in _ORDER:
        u0, u1, v0, v1 = (_CENTRAL | _SIDED)[part]
        inside = (np.abs(u) >= u0) & (np.abs(u) < u1) & (v >= v0) & (v < v1)
        if part in _CENTRAL:
            fine[inside] = REGIONS.index(part)
        else:
            fine[inside & (u < 0)] = REGIONS.index(f"left {part}")
            fine[inside & (u >= 0)] = REGIONS.index(f"right {part}")
    cells = fine.reshape(grid, SAMPLES, grid, SAMPLES).transpose(0, 2, 1, 3).reshape(grid * grid, -1)
    return np.array([np.bincount(cell, minlength=len(REGIONS)).argmax() for cell in cells])
