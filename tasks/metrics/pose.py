"""Head pose: absolute angle errors with a plain wrap, and the geodesic error of the rotation.

A rotation is written by two triples of angles, (yaw, pitch, roll) and (180 - yaw, pitch + 180, roll + 180), each up
to whole turns. Angles are compared on the branch of the prediction that lies nearest to the stored truth, so that a
yaw beyond 90 degrees is no error of 180 in pitch and roll. Errors are folded at ±360 degrees only. Folding at ±180 as
well, as one published scorer does, would score a head that looks backwards as right (``docs/protocols.md``, head
pose).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from paco_fr.utils.types import Array
from tasks.metrics.metric import Metric, mean_of


def angle_error(predicted: npt.ArrayLike, true: npt.ArrayLike) -> Array:
    """Return absolute differences of angles in degrees, in [0, 180]."""
    turn = np.abs(np.asarray(predicted, dtype=np.float64) - np.asarray(true, dtype=np.float64)) % 360.0
    return np.asarray(np.minimum(turn, 360.0 - turn))


def nearest_branch(angles: npt.ArrayLike, wanted: npt.ArrayLike) -> Array:
    """Return the triple (..., 3) of the same rotation as ``angles`` that lies nearest to ``wanted``, in degrees.

    Args:
        angles: (..., 3) yaw, pitch, roll of a rotation.
        wanted: (..., 3) what to lie near to, by the sum of absolute differences; within half a turn of each.

    """
    near = np.asarray(wanted, dtype=np.float64)
    plain = np.asarray(angles, dtype=np.float64)
    other = plain * [-1.0, 1.0, 1.0] + 180.0
    further = angle_error(other, near).sum(axis=-1) >= angle_error(plain, near).sum(axis=-1)
    found = np.where(further[..., None], plain, other)
    return np.asarray(found - 360.0 * np.round((found - near) / 360.0))


def lenient_error(predicted: npt.ArrayLike, true: npt.ArrayLike) -> Array:
    """Return angle errors as one published scorer folds them, at ±180 degrees too: in [0, 90], forgives flips."""
    plain = angle_error(predicted, true)
    return np.asarray(np.minimum(plain, 180.0 - plain))


def geodesic_error(predicted: npt.ArrayLike, true: npt.ArrayLike) -> Array:
    """Return the angle in degrees, in [0, 180], between rotations (..., 3, 3) and (..., 3, 3).

    It is ``arccos((trace(A B^T) - 1) / 2)``, written with the chord ``|A - B|``, which is exactly 0 for equal
    matrices and exact to rounding for small angles, where the arccosine is not.
    """
    chord = np.linalg.norm(np.asarray(predicted, dtype=np.float64) - np.asarray(true), axis=(-2, -1))
    return np.asarray(np.degrees(2.0 * np.arcsin(np.minimum(chord / np.sqrt(8.0), 1.0))))


METRICS: tuple[Metric, ...] = (
    mean_of("error", "mae", unit="deg", best=0.0, worst=180.0),
    mean_of("error_yaw", "mae_yaw", unit="deg", best=0.0, worst=180.0),
    mean_of("error_pitch", "mae_pitch", unit="deg", best=0.0, worst=180.0),
    mean_of("error_roll", "mae_roll", unit="deg", best=0.0, worst=180.0),
    mean_of("geodesic", "geodesic", unit="deg", best=0.0, worst=180.0),
)
"""Of items with columns ``error`` (mean of the three), ``error_yaw`` and so on, ``geodesic``, in degrees."""

LENIENT = tuple(
    mean_of(f"error{angle}_lenient", f"mae{angle}_lenient180", unit="deg", best=0.0, worst=90.0)
    for angle in ("", "_yaw", "_pitch", "_roll")
)
"""For comparison with 6DRepNet's scorer only (``docs/protocols.md``, head pose): labelled columns, never the score."""
