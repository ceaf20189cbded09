"""What every oracle is held against: a task from its files to its metrics, with outputs that are given by picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from datasets import Dataset

from tasks.kinds import load_kind
from tasks.metrics.metric import Metric
from tasks.registry import all_tasks
from tasks.task import Task, bind, resolve
from tasks.units import units_of

Answers = Callable[[pd.DataFrame], np.ndarray]
"""From the labels of the scored units to outputs, a row each."""


def scored(name: str, root: Path, answers: Answers) -> tuple[Task, pd.DataFrame, dict[str, float]]:
    """Return the bound task, the items of its test part and the value of each metric."""
    task = bind(all_tasks()[name], root)
    records: Dataset = resolve(task.reader)(root, **task.reader_options)
    labels = units_of(records, task.crop).labels
    if "split" in labels:
        labels = labels[labels["split"] == "test"].reset_index(drop=True)
    items = load_kind(task.kind).items(answers(labels), labels, task)
    return task, items, {metric.name: metric.value(items) for metric in metrics_of(task)}


def metrics_of(task: Task) -> tuple[Metric, ...]:
    """Return the metrics of a task."""
    return load_kind(task.kind).metrics(task)


def vectors(names: list[str], width: int = 6, people: int = 12, seed: int = 0) -> dict[str, np.ndarray]:
    """Return a random vector for each name, of which some lean the same way."""
    rng = np.random.default_rng(seed)
    leans = rng.normal(size=(people, width))
    return {name: rng.normal(size=width) + leans[rng.integers(people)] for name in names}
