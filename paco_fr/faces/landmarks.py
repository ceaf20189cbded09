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


def whole_box_of(points: npt.ArrayLike) -> Array:
    """Return the tight box (4,) of points (K, 2) drawn out to whole numbers, as HRNet and FaRL take it of their labels."""
    x0, y0, x1, y1 = box_of(points)
    return np.array([np.floor(x0), np.floor(y0), np.ceil(x1), np.ceil(y1)])
