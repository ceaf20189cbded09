"""Kinds of task. A kind owns target coding, items and metrics; a declaration only names its kind.

A kind is a module of this package with the attributes of :class:`Kind`. ``labels`` has one row per unit (a
crop to be scored): the columns of the face record without pictures, lists as object cells, and ``unit_id``,
``group``, ``transform`` (2 x 3, photograph to canvas pixels) and ``canvas`` (side in pixels). ``outputs``
are a head's numbers, one row per unit in the same order; a row that is not finite marks a unit that could
not be read, and each kind states how it is scored.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Literal, Protocol, cast

from paco_fr.utils.errors import unknown_name

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from tasks.metrics.metric import Metric
    from tasks.task import Task

HeadName = Literal["ridge", "logistic", "token_ridge", "whitening", "diagnostics"]
"""Solver of a kind; ``diagnostics``: none, the outputs are what the encoder says of itself."""

KINDS = (
    *("classification", "codebook", "identification", "landmarks", "multilabel", "pose", "segmentation"),
    *("stability", "templates", "verification"),
)
PEOPLE_KINDS = ("verification", "identification", "templates")
"""Kinds whose outputs are embeddings, which may be used as they are."""


class Kind(Protocol):
    """What the module of a kind offers.

    Besides, where people can see on pictures what was scored: ``shown(items, labels, task)``, which pictures those are
    (:mod:`tasks.kinds.shared.shown`), and ``painted(outputs, labels, task)`` (n, 2, S, S), truth and prediction as class
    maps over the canvas, where the items do not hold what was predicted.
    """

    @property
    def HEAD(self) -> HeadName:  # noqa: N802 - a constant of the module
        """Solver that turns features into outputs."""
        ...

    def targets(self, labels: pd.DataFrame, task: Task) -> np.ndarray:
        """Return what the head is fitted to, (n,) codes, (n, T) numbers or (n, S, S) class maps."""
        ...

    def items(self, outputs: np.ndarray, labels: pd.DataFrame, task: Task) -> pd.DataFrame:
        """Return one line per scored unit: id, group, prediction or score, truth, error, failure, flags.

        Units held by different folds are turned into items fold by fold and then put under each other.
        """
        ...

    def metrics(self, task: Task) -> tuple[Metric, ...]:
        """Return the metrics of these items; ``task.main_metric`` names one of them."""
        ...

    def perfect(self, labels: pd.DataFrame, task: Task) -> np.ndarray:
        """Return the outputs of a predictor that is never wrong."""
        ...


def load_kind(name: str) -> Kind:
    """Import the module of a kind; an unknown name is an error that suggests the nearest."""
    if name not in KINDS:
        raise unknown_name("kind of task", name, KINDS)
    return cast(Kind, import_module(f"tasks.kinds.{name}"))


def main_metric(task: Task) -> Metric:
    """Return the metric that stands for the task."""
    metrics = load_kind(task.kind).metrics(task)
    return next(metric for metric in metrics if metric.name == task.main_metric)


NORMALISERS = {
    "box": "the box of all points, sqrt(w h)",
    "box68": "the box of all points, sqrt(w h)",
    "outer_corners": "the distance of the outer eye corners",
    "pupils": "the distance of the pupils",
    "supplied_box": "the supplied box, its diagonal",
    "crop": "the side of the crop",
}
"""What errors of points are divided by, in words."""
FLIPS = {"none": "no mirrored picture", "sum": "features of picture and mirror image added"}


def way_of(task: Task) -> str:
    """Return the protocol of a task in words: crop, normaliser, how angles and pairs fold, what is left out, flip."""
    whose = f"{task.cut}; " if task.cut else ""
    said = [f"crop: {whose}{task.crop.words}"]
    if task.kind == "landmarks":
        where = ", both on the crop" if task.options.get("measured") == "crop" else ""
        said.append(f"errors divided by {NORMALISERS[task.options.get('normaliser', 'box')]}{where}")
    if task.kind == "pose":
        said.append("angles on the branch nearest to the truth, folded at 360 degrees")
        if "filter" in task.options:
            said.append(f"pictures with an angle beyond {task.options['filter']} degrees left out")
    if task.kind == "verification" and task.options.get("pairs") == "list":
        said.append("threshold by the other folds")
    return "; ".join([*said, FLIPS[task.flip]])
