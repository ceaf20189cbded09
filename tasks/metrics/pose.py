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
from scipy.spatial.transform import Rotation

from paco_fr.utils.types import Array
from tasks.metrics.metric import Metric, mean_of

MEAN_ROUNDS = 100
MEAN_STEP = 1e-6
"""Radians: the mean of rotations is found when a round moves it by less."""


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


def without_offset(
    predicted: npt.ArrayLike, true: npt.ArrayLike, groups: npt.ArrayLike, counted: npt.NDArray[np.bool_]
) -> Array:
    """Return predicted rotations (n, 3, 3) less the constant turn between their heads' axes and the true ones', by group.

    Sets draw the axes of a head differently, and each person's anew, so that an encoder taught by one set is off by a
    constant on another (Cobo et al., arXiv 2401.05807). The turn is the mean over the group, on the sphere of
    rotations, of what takes true axes to predicted ones; turns of 90 degrees and more are left out of it.

    Args:
        predicted: (n, 3, 3).
        true: (n, 3, 3).
        groups: (n,) what shares one turn: the sequence of a recording.
        counted: (n,) bool, whose predictions are any.

    """
    names, group = np.unique(np.asarray(groups), return_inverse=True)
    rotations = np.asarray(predicted, dtype=np.float64)
    if not len(rotations):
        return rotations
    turns = Rotation.from_matrix(np.swapaxes(np.asarray(true, dtype=np.float64), -1, -2) @ rotations)
    share = (counted & (turns.magnitude() < np.pi / 2)).astype(np.float64)
    share /= np.maximum(np.bincount(group, share), 1.0)[group]
    offset = Rotation.identity(len(names))
    for _ in range(MEAN_ROUNDS):
        rest = (offset[group].inv() * turns).as_rotvec() * share[:, None]
        step = np.stack([np.bincount(group, of_axis) for of_axis in rest.T], axis=-1)
        offset = offset * Rotation.from_rotvec(step)
        if np.abs(step).max() < MEAN_STEP:
            break
    return np.asarray(rotations @ np.swapaxes(offset[group].as_matrix(), -1, -2))


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

ALIGNED = (
    *(
        mean_of(f"error{angle}_aligned", f"mae{angle}_aligned", unit="deg", best=0.0, worst=180.0)
        for angle in ("", "_yaw", "_pitch", "_roll")
    ),
    mean_of("geodesic_aligned", "geodesic_aligned", unit="deg", best=0.0, worst=180.0),
)
"""Beside the score, where a set draws a head's axes differently than the one that was learned from."""
