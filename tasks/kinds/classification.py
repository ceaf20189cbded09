"""Classification: one class of a closed list, by default the expression.

``task.options["label"]`` names the column with the class codes, ``task.options["classes"]`` the classes in
the order of the codes (default: the canonical expressions). A unit without a finite output is wrong.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from paco_fr.contracts import EXPRESSIONS
from paco_fr.utils.errors import PacoError
from paco_fr.utils.types import Array
from tasks.kinds import HeadName
from tasks.kinds.shared.labels import finite_rows, start_items
from tasks.kinds.shared.shown import faces_shown
from tasks.metrics import classification as scores
from tasks.metrics.metric import Metric
from tasks.task import Task

HEAD: HeadName = "logistic"
shown = faces_shown


def class_names(task: Task) -> tuple[str, ...]:
    """Return the names of the classes, in the order of their codes."""
    return tuple(task.options.get("classes", EXPRESSIONS))


def targets(labels: pd.DataFrame, task: Task) -> npt.NDArray[np.int64]:
    """Return (n,) class codes; a missing or impossible one is an error that names its unit."""
    column, classes = task.options.get("label", "expression"), len(class_names(task))
    if column not in labels:
        raise PacoError(f"The labels have no column '{column}', which {task.name} classifies.")
    codes = labels[column].to_numpy(dtype=np.float64, na_value=np.nan)
    for row in np.flatnonzero(~((codes >= 0) & (codes < classes) & (codes % 1 == 0)))[:1]:
        unit = labels["unit_id"].iloc[row]
        raise PacoError(f"Unit '{unit}': {column} is {codes[row]}, expected a code from 0 to {classes - 1}.")
    return np.asarray(codes, dtype=np.int64)


def items(outputs: npt.ArrayLike, labels: pd.DataFrame, task: Task) -> pd.DataFrame:
    """Return a line per unit: class codes ``truth`` and ``prediction``, ``error`` 0 or 1, ``confidence``.

    Args:
        outputs: (n, C) probabilities, columns in the order of the class codes.
        labels: one row per unit.
        task: the declaration.

    """
    rows, finite = np.asarray(outputs, dtype=np.float64), finite_rows(outputs)
    truth, prediction = targets(labels, task), np.where(finite, rows.argmax(axis=1), -1)
    confidence = np.where(finite, rows.max(axis=1), np.nan)
    found = {"truth": truth, "prediction": prediction, "error": (truth != prediction).astype(np.float64)}
    return pd.DataFrame(start_items(labels, finite) | found | {"confidence": confidence})


def metrics(task: Task) -> tuple[Metric, ...]:
    """Return accuracy (main), class-mean accuracy and macro F1, in percent."""
    return scores.metrics_for(len(class_names(task)))


def perfect(labels: pd.DataFrame, task: Task) -> Array:
    """Return probability 1 for the true class."""
    return np.eye(len(class_names(task)))[targets(labels, task)]
