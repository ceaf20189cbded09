"""Multilabel: K binary attributes of one face, each decided at one half.

``task.options["label"]`` names the column with the K values 0 or 1 (default ``attributes``),
``task.options["classes"]`` their names. The head is one linear least-squares fit to all of them. A unit without
a finite output has every attribute wrong.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from paco_fr.utils.errors import PacoError
from paco_fr.utils.types import Array
from tasks.kinds import HeadName
from tasks.kinds.shared.labels import finite_rows, stacked, start_items
from tasks.kinds.shared.shown import faces_shown
from tasks.metrics.classification import ATTRIBUTES
from tasks.metrics.metric import Metric
from tasks.task import Task

HEAD: HeadName = "ridge"
shown = faces_shown

THRESHOLD = 0.5


def targets(labels: pd.DataFrame, task: Task) -> Array:
    """Return (n, K) of 0 and 1; anything else is an error that names its unit."""
    column = task.options.get("label", "attributes")
    values = stacked(labels, column, len(task.options["classes"]))
    for row in np.flatnonzero(~np.isin(values, (0.0, 1.0)).all(axis=1))[:1]:
        raise PacoError(f"Unit '{labels['unit_id'].iloc[row]}': '{column}' holds values other than 0 and 1.")
    return values


def items(outputs: npt.ArrayLike, labels: pd.DataFrame, task: Task) -> pd.DataFrame:
    """Return a line per unit: lists ``truth`` and ``prediction`` (-1: no output) of K, ``error`` their share wrong."""
    rows, finite, truth = np.asarray(outputs, dtype=np.float64), finite_rows(outputs), targets(labels, task)
    predicted = np.where(finite[:, None], np.nan_to_num(rows) > THRESHOLD, -1).astype(np.int64)
    table = start_items(labels, finite)
    table["error"] = (predicted != truth).mean(axis=1)
    table["truth"], table["prediction"] = list(truth.astype(np.int64).tolist()), list(predicted.tolist())
    return pd.DataFrame(table)


def metrics(task: Task) -> tuple[Metric, ...]:
    """Return the mean accuracy over attributes (main) and the mean balanced accuracy, in percent."""
    return ATTRIBUTES


def perfect(labels: pd.DataFrame, task: Task) -> Array:
    """Return the targets."""
    return targets(labels, task)
