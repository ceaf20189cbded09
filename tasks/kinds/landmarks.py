"""Landmarks: points regressed on the canvas and scored in the photograph.

Targets are canvas coordinates ``(p + 0.5) / canvas`` of all L points. Outputs are carried back through the
crop, so that an error is in pixels of the photograph (but for ``measured``) and then in percent of a length of the
true face. ``task.options``:

========== =========================================================================================
normaliser main length: ``box`` (sqrt(w h) of the box of all points, also written ``box68``),
           ``outer_corners``, ``pupils``, ``crop`` (the side of the crop), or ``supplied_box`` (the diagonal of
           the record's box; adds the error by its sqrt(w h), which FR and AUC are then taken of)
corners    two point numbers, the outer eye corners; with ``box``: adds the inter-ocular error of
           frontal faces
pupils     two entries, a point number or a list of them; adds the inter-pupil error
frontal    largest absolute yaw in degrees of a frontal face, default 30
threshold  t of FR@t and AUC@t in percent, default 7
visibility true to score visible and hidden points apart
farl_grid  true to add FR and AUC as FaRL's scorer takes them
measured   ``crop`` to take distances and lengths on the crop, which may be stretched, as PIPNet does; else in the
           photograph
========== =========================================================================================

A unit without a finite output has an error of 100 % (:mod:`tasks.metrics.failures`). A face whose label gives a length
of 0 has that error for every encoder.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from paco_fr.utils.errors import PacoError, unknown_name
from paco_fr.utils.types import Array
from tasks.kinds import HeadName
from tasks.kinds.shared.labels import finite_rows, stacked, start_items
from tasks.kinds.shared.shown import faces_shown
from tasks.metrics import failures
from tasks.metrics import landmarks as scores
from tasks.metrics.metric import Metric, mean_of
from tasks.task import Task

HEAD: HeadName = "ridge"
shown = faces_shown

MAIN = {
    "box": "nme_box",
    "box68": "nme_box",
    "outer_corners": "nme_interocular",
    "pupils": "nme_interpupil",
    "supplied_box": "nme_diag",
    "crop": "nme_crop",
}
"""Error column that each normaliser gives."""


def main_error(task: Task) -> str:
    """Return the error column that the task is about."""
    name = task.options.get("normaliser", "box")
    if name not in MAIN:
        raise unknown_name("normaliser of landmarks", name, MAIN)
    return MAIN[name]


def _lengths(points: Array, labels: pd.DataFrame, task: Task) -> Mapping[str, Array]:
    """Return the normalising length (n,) in pixels of each error column."""
    lengths: dict[str, Array] = {}
    if main_error(task) == "nme_crop":
        lengths["nme_crop"] = np.ones(len(points))
    if main_error(task) == "nme_diag":
        corners = stacked(labels, "box", 4).reshape(-1, 2, 2)
        lengths |= {"nme_diag": scores.box_diagonal(corners), "nme_box": scores.box_size(corners)}
    if main_error(task) == "nme_box":
        lengths["nme_box"] = scores.box_size(points)
    for column, option in (("nme_interocular", "corners"), ("nme_interpupil", "pupils")):
        if option in task.options:
            lengths[column] = scores.distance_between(points, *task.options[option])
    if main_error(task) not in lengths:
        raise PacoError(f"{task.name}: its normaliser needs point numbers in options 'corners' or 'pupils'.")
    return lengths


def targets(labels: pd.DataFrame, task: Task) -> Array:
    """Return (n, 2 L) canvas coordinates x0 y0 x1 y1 ..., 0 to 1 inside the canvas."""
    _unwarped(labels)
    points, (linear, shift) = stacked(labels, "landmarks", -1, 2), _transforms(labels)
    on_canvas = points @ linear.transpose(0, 2, 1) + shift[:, None, :]
    canvas = labels["canvas"].to_numpy(dtype=np.float64)[:, None, None]
    return np.asarray(((on_canvas + 0.5) / canvas).reshape(len(points), -1))


def _unwarped(labels: pd.DataFrame) -> None:
    if "warp" in labels:
        raise PacoError(
            "A tanh warp is for masks; points are regressed on a crop without one. Choose another crop."
        )


def points_in_photo(outputs: npt.ArrayLike, labels: pd.DataFrame) -> Array:
    """Return (n, L, 2) points in pixels of the photograph for outputs (n, 2 L) on the canvas."""
    relative = np.asarray(outputs, dtype=np.float64).reshape(len(labels), -1, 2)
    linear, shift = _transforms(labels)
    on_canvas = relative * labels["canvas"].to_numpy(dtype=np.float64)[:, None, None] - 0.5
    return np.asarray((on_canvas - shift[:, None, :]) @ np.linalg.inv(linear).transpose(0, 2, 1))


def _transforms(labels: pd.DataFrame) -> tuple[Array, Array]:
    """Return the linear parts (n, 2, 2) and shifts (n, 2) of the crops."""
    transform = stacked(labels, "transform", 2, 3)
    return transform[:, :, :2], transform[:, :, 2]


def items(outputs: npt.ArrayLike, labels: pd.DataFrame, task: Task) -> pd.DataFrame:
    """Return a line per unit: errors in percent, ``error`` the main one, and points predicted and true."""
    true, finite = stacked(labels, "landmarks", -1, 2), finite_rows(outputs)
    centre = np.broadcast_to(true.mean(axis=1, keepdims=True), true.shape)
    rows = np.where(finite[:, None], np.asarray(outputs, dtype=np.float64), 0.0)
    predicted = np.where(finite[:, None, None], points_in_photo(rows, labels), centre)
    measured, ends = predicted, true
    if task.options.get("measured") == "crop":
        measured, ends = rows.reshape(true.shape), targets(labels, task).reshape(true.shape)
    table, lengths = start_items(labels, finite), _lengths(ends, labels, task)
    for column, length in lengths.items():
        usable = np.isfinite(length) & (length > 0)
        if len(usable) and not usable.any():
            raise PacoError(f"Unit '{table['id'][0]}': the length that {column} divides by is 0.")
        table[column] = _nme(measured, ends, np.where(usable, length, 1.0), finite & usable)
        if column == main_error(task) and not usable.all():
            told = f"the length that {column} divides by is 0"
            table["failure"] = np.where(usable, table["failure"], told)
    table["error"] = table[main_error(task)]
    if "yaw" in table:
        table["frontal"] = np.abs(table["yaw"]) <= float(task.options.get("frontal", 30.0))
    if task.options.get("visibility"):
        visible = stacked(labels, "visible", true.shape[1]) > 0
        for column, points in (("visible", visible), ("hidden", ~visible)):
            length = lengths[main_error(task)]
            lost = ~finite | ~(np.isfinite(length) & (length > 0))
            table[f"nme_{column}"] = _nme(measured, ends, np.where(lost, 1.0, length), ~lost, points)
            table[f"has_{column}"] = np.asarray(points.any(axis=1))
    # Kept to draw them, so to a hundredth of a pixel; the errors above are exact.
    table["prediction"], table["truth"] = list(predicted.round(2)), list(true.round(2))
    return pd.DataFrame(table)


def _nme(
    predicted: Array,
    true: Array,
    length: Array,
    measured: npt.NDArray[np.bool_],
    points: npt.NDArray[np.bool_] | None = None,
) -> Array:
    """Return the errors (n,) in percent, the worst of units that could not be measured."""
    found = scores.nme(predicted, true, length, points)
    return np.where(measured | np.isnan(found), found, failures.NME)


def metrics(task: Task) -> tuple[Metric, ...]:
    """Return the main error in percent, FR and AUC at the threshold, and what the options add."""
    main, threshold = main_error(task), float(task.options.get("threshold", 7.0))
    if main == "nme_diag":
        return (
            _error(main, main),
            _error("nme_box", "nme_box"),
            scores.failure_rate("nme_box", f"fr_box{threshold:g}", threshold),
            scores.area_under_curve("nme_box", f"auc_box{threshold:g}", threshold),
            *(scores.farl_grid("nme_box", "_box", threshold) if task.options.get("farl_grid") else []),
        )
    found = [
        _error(main, main),
        scores.failure_rate("error", f"fr{threshold:g}", threshold),
        scores.area_under_curve("error", f"auc{threshold:g}", threshold),
    ]
    if task.options.get("farl_grid"):
        found += scores.farl_grid("error", "", threshold)
    if "corners" in task.options and main == "nme_box":
        found.append(_error("nme_interocular", "nme_interocular_frontal", keep="frontal"))
    if "pupils" in task.options and main != "nme_interpupil":
        found.append(_error("nme_interpupil", "nme_interpupil"))
    if task.options.get("visibility"):
        found.append(_error("nme_visible", "nme_visible", keep="has_visible"))
        found.append(_error("nme_hidden", "nme_hidden", keep="has_hidden"))
    return tuple(found)


def _error(column: str, name: str, keep: str | None = None) -> Metric:
    return mean_of(column, name, unit="%", best=0.0, worst=np.inf, keep=keep)


def perfect(labels: pd.DataFrame, task: Task) -> Array:
    """Return the targets."""
    return targets(labels, task)
