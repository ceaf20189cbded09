"""Point schemes: which landmark is which, by name of the annotation scheme.

Left and right are those of the picture as it is looked at: the left eye has the smaller x. Indices are
0-based. Every scheme can be reduced to five points (left eye, right eye, nose tip, left and right mouth
corner), which is what alignment needs; an entry with several indices stands for their mean.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from paco_fr.utils.errors import PacoError, unknown_name
from paco_fr.utils.types import Array

FIVE_POINTS: dict[str, tuple[tuple[int, ...], ...]] = {
    "five": ((0,), (1,), (2,), (3,), (4,)),
    "ibug68": (tuple(range(36, 42)), tuple(range(42, 48)), (30,), (48,), (54,)),
    "wflw98": ((96,), (97,), (54,), (76,), (82,)),
    "lapa106": ((104,), (105,), (54,), (84,), (90,)),
    "cofw29": ((16,), (17,), (20,), (22,), (23,)),
    "aflw19": ((7,), (10,), (13,), (15,), (17,)),
    "london189": ((0,), (1,), (54, 60), (87,), (93,)),  # 54 and 60 flank the tip, 55 lies below it
}
"""Five points of every scheme. Points 134 to 188 of ``london189`` are ill defined and often left out."""

COUNTS = {
    "five": 5,
    "ibug68": 68,
    "wflw98": 98,
    "lapa106": 106,
    "cofw29": 29,
    "aflw19": 19,
    "london189": 189,
}

GROUPS: dict[str, dict[str, tuple[int, ...]]] = {
    "ibug68": {
        "jaw": tuple(range(17)),
        "left_brow": tuple(range(17, 22)),
        "right_brow": tuple(range(22, 27)),
        "nose": tuple(range(27, 36)),
        "left_eye": tuple(range(36, 42)),
        "right_eye": tuple(range(42, 48)),
        "mouth": tuple(range(48, 68)),
        "mouth_corners": (48, 54),
    },
    "london189": {
        "jaw": tuple(range(125, 134)),
        "left_brow": (*range(71, 77), 83, 84),
        "right_brow": (*range(77, 83), 85, 86),
        "nose": (*range(50, 71),),
        "left_eye": (0, *range(2, 10), *range(18, 23), *range(28, 31)),
        "right_eye": (1, *range(10, 18), *range(23, 28), *range(31, 34)),
        "mouth": tuple(range(87, 109)),
        "mouth_corners": (87, 93),
    },
}
"""Named groups of points, for errors by part of the face and for occluders."""

MIRROR: dict[str, tuple[int, ...]] = {
    "five": (1, 0, 2, 4, 3),
    "ibug68": (
        *range(16, -1, -1),  # jaw
        *range(26, 16, -1),  # brows
        *range(27, 31),  # bridge of the nose stays
        *range(35, 30, -1),  # nostrils
        *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),  # eyes
        *(54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55),  # outer lips
        *(64, 63, 62, 61, 60, 67, 66, 65),  # inner lips
    ),
}
"""Point i of a mirrored picture is point ``MIRROR[scheme][i]`` of the original."""


def five_points(landmarks: npt.ArrayLike, scheme: str) -> Array:
    """Return the five points (5, 2) of landmarks (L, 2) in a named scheme.

    Raises:
        PacoError: unknown scheme, too few points, or a needed point that is not finite.

    """
    if scheme not in FIVE_POINTS:
        raise unknown_name("point scheme", scheme, FIVE_POINTS)
    points = np.asarray(landmarks, dtype=np.float64)
    groups = FIVE_POINTS[scheme]
    needed = 1 + max(index for group in groups for index in group)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < needed:
        raise PacoError(f"Scheme '{scheme}' needs at least {needed} points (x, y), got shape {points.shape}.")
    five = np.stack([points[list(group)].mean(axis=0) for group in groups])
    if not np.isfinite(five).all():
        raise PacoError(f"A point that alignment by '{scheme}' needs is not a finite number.")
    return five


def box_of(points: npt.ArrayLike) -> Array:
    """Return the tight box (..., 4) x0 y0 x1 y1 of points (..., K, 2)."""
    p = np.asarray(points, dtype=np.float64)
    return np.concatenate([p.min(axis=-2), p.max(axis=-2)], axis=-1)
