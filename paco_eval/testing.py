"""The conformance suite of tasks, result row included; see :mod:`tasks.testing` for what is checked."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
from pydantic import ValidationError

from paco_eval.rows import Metric, Row, Unit
from tasks.kinds import load_kind
from tasks.task import Task
from tasks.testing import Checked, ConformanceError, inspect


def check_task(task: Task, data_root: str | Path | None = None) -> Checked:
    """Check a task as :func:`tasks.testing.check_task` does, and that rows of its numbers validate.

    Raises:
        MissingDataError: the data is not there.
        ConformanceError: the task breaks rules; all of them are named.

    """
    result = inspect(task, data_root)
    for view, values in result.scores.items():
        for column, what in enumerate(("perfect", "dealt", "failed")):
            try:
                row_of(result.task, view, {name: numbers[column] for name, numbers in values.items()})
            except ValidationError as error:
                first = error.errors()[0]
                where = ".".join(str(part) for part in first["loc"])
                result.problems.append(f"view '{view}': the row of {what} numbers: {where}: {first['msg']}")
    if result.problems:
        raise ConformanceError(f"{task.name}: " + f"\n{task.name}: ".join(result.problems))
    return result


def row_of(task: Task, view: str, values: dict[str, float]) -> Row:
    """Return a row of made-up numbers, all fields filled; raises where it does not validate."""
    directions = {metric.name: metric for metric in load_kind(task.kind).metrics(task)}
    metrics = {
        name: Metric(
            value=float(value) if np.isfinite(value) else None,
            higher_is_better=directions[name].higher_is_better,
            unit=cast(Unit, directions[name].unit),
        )
        for name, value in values.items()
    }
    return Row.model_validate(
        {
            "task": task.name,
            "task_version": task.version,
            "family": task.family,
            "encoder": "conformance",
            "method": "conformance",
            "weight_hash": "0" * 16,
            "pixel_hash": "0" * 16,
            "crop_hash": task.crop.hash,
            "protocol": "conformance",
            "subset": view,
            "data_fingerprint": "0" * 16,
            "data_kind": task.data_kind,
            "metrics": metrics,
            "main_metric": task.main_metric,
            "n_expected": 0,
            "n_scored": 0,
        }
    )
