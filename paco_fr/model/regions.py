"""Which part of the face a grid cell shows: from the crop, because faces are aligned, or from its own points.

Parts are drawn in face coordinates: origin between the pupils, one unit the distance of the pupils, u to
the right of the picture, v down. The outlines are our own reading of an average frontal face.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from paco_fr.faces.crop import TEMPLATES

REGIONS = (
    "surround", "forehead", "left brow", "right brow", "left eye", "right eye",
    "nose", "left cheek", "right cheek", "mouth", "chin",
)  # fmt: skip
"""Left and right as the picture is looked at."""

PARTNER = np.array([REGIONS.index(name.replace("right ", "left ")) for name in REGIONS])
"""For each region the one that stands for its pair: left and right brow, eye and cheek are pairs."""

CropKind = Literal["aligned", "box", "whole"]

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
FACE_POINTS = (TEMPLATES["arcface"] - np.array(ANCHORS["arcface"][:2])) / ANCHORS["arcface"][2]
"""The five points of an average frontal face in face coordinates."""
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
    return _regions(u, v, grid)


def region_map_of(points: npt.NDArray[np.floating], size: int, grid: int) -> npt.NDArray[np.int64]:
    """Return the region of each cell as one picture's own five points say, shape (grid * grid,).

    The average face is laid over the picture by the affine map that takes its five points nearest to these.

    Args:
        points: left eye, right eye, nose tip, left and right mouth corner (5, 2), x y in pixels of the crop.
        size: side of the crop in pixels.
        grid: cells per side.

    """
    homogeneous = np.column_stack([points, np.ones(5)])
    to_face, *_ = np.linalg.lstsq(homogeneous, FACE_POINTS, rcond=None)  # (3, 2)
    samples = (np.arange(grid * SAMPLES) + 0.5) / (grid * SAMPLES) * size - 0.5
    x, y = np.meshgrid(samples, samples)
    u, v = np.moveaxis(np.stack([x, y, np.ones_like(x)], axis=-1) @ to_face, -1, 0)
    return _regions(u, v, grid)


def mirrored_points(points: npt.NDArray[np.floating], size: int) -> npt.NDArray[np.floating]:
    """Return the five points (5, 2) of the mirrored picture, left and right as it is then looked at."""
    return np.column_stack([size - 1 - points[:, 0], points[:, 1]])[[1, 0, 2, 4, 3]]


def _regions(u: npt.NDArray[np.floating], v: npt.NDArray[np.floating], grid: int) -> npt.NDArray[np.int64]:
    """Return the region of each cell from face coordinates of a fine grid of samples."""
    fine = np.zeros(u.shape, dtype=np.int64)
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
