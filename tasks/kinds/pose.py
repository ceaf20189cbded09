"""Head pose: a rotation regressed as six numbers, scored by its angles and by its geodesic error.

The target is the first two columns of the rotation matrix (Zhou et al. 2019, section 4; used for heads by
6DRepNet, Hempel et al. 2022). Errors of angles are those against the stored yaw, pitch and roll, see
:mod:`tasks.metrics.pose`. An output that spans no plane is the frontal upright head; a unit without a finite output has
the largest errors (:mod:`tasks.metrics.failures`) among heads turned up to ``task.options["filter"]`` degrees, which is
what the protocol admits (default: 180). ``task.options["lenient"]`` adds the column that folds errors at ±180 degrees,
``task.options["aligned"]`` errors less the constant turn of each group (:func:`tasks.metrics.pose.without_offset`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from paco_fr.faces.rotation import angles_from_rotation, rotation_from_angles
from paco_fr.utils.types import Array
from tasks.kinds import HeadName
from tasks.kinds.shared.labels import finite_rows, stacked, start_items
from tasks.kinds.shared.shown import faces_shown
from tasks.metrics import failures
from tasks.metrics import pose as scores
from tasks.metrics.metric import Metric
from tasks.task import Task

HEAD: HeadName = "ridge"
shown = faces_shown

ANGLES = ("yaw", "pitch", "roll")
STORED = 1e-3
"""Degrees by which stored angles may differ from their rotation by rounding alone."""


def true_rotation(labels: pd.DataFrame) -> Array:
    """Return the rotations (n, 3, 3), from the angles where a source knows only these."""
    if "rotation" not in labels and all(angle in labels for angle in ANGLES):
        return rotation_from_angles(*(labels[angle].to_numpy(dtype=np.float64) for angle in ANGLES))
    return stacked(labels, "rotation", 3, 3)


def true_angles(labels: pd.DataFrame) -> Array:
    """Return yaw, pitch, roll (n, 3) in degrees as a source stores them; read from the rotation if it stores none.

    Records hold angles in single precision and rotations in double, so of a rotation that agrees with the stored
    angles the branch next to them is taken.
    """
    if not all(angle in labels for angle in ANGLES):
        return angles_from_rotation(true_rotation(labels))
    stored = np.stack([labels[angle].to_numpy(dtype=np.float64) for angle in ANGLES], axis=1)
    if "rotation" not in labels:
        return stored
    exact = scores.nearest_branch(angles_from_rotation(true_rotation(labels)), stored)
    agree = np.abs(exact - stored).max(axis=1) < STORED
    return np.where(agree[:, None], exact, stored)


def targets(labels: pd.DataFrame, task: Task) -> Array:
    """Return (n, 6): first column of the rotation, then second."""
    return true_rotation(labels)[:, :, :2].transpose(0, 2, 1).reshape(-1, 6)


def rotation_from_6d(outputs: npt.ArrayLike) -> Array:
    """Return rotations (n, 3, 3) whose first two columns are the Gram-Schmidt of outputs (n, 6).

    Rows that are not finite or span no plane give the identity; the result is always a rotation.
    """
    rows = np.asarray(outputs, dtype=np.float64)
    rows = np.where(finite_rows(rows)[:, None], rows, 0.0)
    first, second = rows[:, :3], rows[:, 3:]
    x, length = _unit(first)
    y, rest = _unit(second - (x * second).sum(axis=1, keepdims=True) * x)
    rotation = np.stack([x, y, np.cross(x, y)], axis=-1)
    spans = (length > 1e-8) & (rest > 1e-8)
    return np.asarray(np.where(spans[:, None, None], rotation, np.eye(3)))


def _unit(vectors: Array) -> tuple[Array, Array]:
    length = np.linalg.norm(vectors, axis=1)
    return vectors / np.maximum(length, 1e-12)[:, None], length


def items(outputs: npt.ArrayLike, labels: pd.DataFrame, task: Task) -> pd.DataFrame:
    """Return a line per unit: true and predicted angles, their errors, the mean error, the geodesic error."""
    truth, predicted, finite = true_angles(labels), rotation_from_6d(outputs), finite_rows(outputs)
    true = true_rotation(labels)
    table = start_items(labels, finite)
    for carried in ("yaw", "pitch"):
        table.pop(carried, None)
    read_back = angles_from_rotation(predicted)
    guess = scores.nearest_branch(read_back, truth)
    largest = failures.angle_errors(truth, float(task.options.get("filter", failures.HALF_TURN)))
    errors = np.where(finite[:, None], scores.angle_error(guess, truth), largest)
    folded = np.where(finite[:, None], scores.lenient_error(read_back, truth), np.minimum(largest, 90.0))
    turned = scores.geodesic_error(predicted, true)
    for i, angle in enumerate(ANGLES):
        table[f"{angle}_true"] = truth[:, i]
        table[f"{angle}_pred"] = np.where(finite, guess[:, i], np.nan)
        table[f"error_{angle}"] = errors[:, i]
    if task.options.get("lenient"):
        for i, angle in enumerate(ANGLES):
            table[f"error_{angle}_lenient"] = folded[:, i]
    if task.options.get("aligned"):
        aligned = scores.without_offset(predicted, true, labels["group"], finite)
        near = scores.nearest_branch(angles_from_rotation(aligned), truth)
        rest = np.where(finite[:, None], scores.angle_error(near, truth), largest)
        for i, angle in enumerate(ANGLES):
            table[f"error_{angle}_aligned"] = rest[:, i]
        table["error_aligned"] = rest.mean(axis=1)
        table["geodesic_aligned"] = np.where(finite, scores.geodesic_error(aligned, true), failures.HALF_TURN)
    table["error"] = errors.mean(axis=1)
    table["error_lenient"] = folded.mean(axis=1)
    table["geodesic"] = np.where(finite, turned, failures.HALF_TURN)
    return pd.DataFrame(table)


def metrics(task: Task) -> tuple[Metric, ...]:
    """Return the mean absolute errors (main: ``mae``) and the geodesic error, in degrees."""
    lenient = scores.LENIENT if task.options.get("lenient") else ()
    return (*scores.METRICS, *lenient, *(scores.ALIGNED if task.options.get("aligned") else ()))


def perfect(labels: pd.DataFrame, task: Task) -> Array:
    """Return the targets."""
    return targets(labels, task)
