"""Judges: intervals alone are conservative, resampled items see what is paired."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from paco_eval.analysis.significance import (
    BY_INTERVALS,
    Judge,
    by_resampling,
    metrics_of_tasks,
    registered_judge,
    registered_metrics,
)
from paco_eval.report.tables.table import family_tables
from paco_eval.rows.schema import Metric
from paco_eval.rows.store import Stored, items_path, read_row, write_row
from paco_fr.contracts import CROPS
from paco_fr.utils.random import generator
from tasks.registry import derived
from tasks.task import Task
from tests.fixtures.made_rows import TASKS, make_row

POSE = Task(
    "pose/synthetic", 1, "pose", "tests:none", CROPS["box"], "mae", licence="none", obtain="made",
    data_kind="synthetic",
)  # fmt: skip


def store(folder: Path, encoder: str, shift: float, seed: int | None = None, **changed: object) -> Stored:
    """Write a row whose errors are those of everybody plus a shift: paired, the shift is plain to see."""
    rng = generator("judging", 0)
    errors = np.repeat(rng.gamma(3, 2, 40), 3) + rng.normal(0, 0.2, 120) + shift
    items = pd.DataFrame({"id": np.arange(120).astype(str), "group": np.repeat(np.arange(40), 3).astype(str)})
    items = items.assign(error=errors, failure="")
    value = float(errors.mean())
    metric = Metric(value=value, low=value - 1, high=value + 1, higher_is_better=False, unit="deg")
    row, _ = make_row(
        encoder, TASKS[2],
        **{"metrics": {"mae": metric}, "pretrain_seed": seed, "n_expected": 120, "n_scored": 120, **changed},
    )  # fmt: skip
    path = write_row(folder, row, items)
    return Stored(read_row(path), path)


@pytest.fixture
def judge() -> Judge:
    return by_resampling(metrics_of_tasks([POSE]), replicates=200)


def test_a_small_steady_difference_is_seen_only_paired(tmp_path: Path, judge: Judge) -> None:
    a, b = store(tmp_path, "a", 0.0), store(tmp_path, "b", 0.3)
    assert not BY_INTERVALS.distinguishable("mae", [a], [b])
    assert judge.distinguishable("mae", [a], [b]) and judge.distinguishable("mae", [b], [a])
    assert not judge.distinguishable("mae", [a], [a])
    (plain,), (paired,) = family_tables([a, b]), family_tables([a, b], judge=judge)
    assert [cell.best for line in plain.lines for cell in line.cells if cell] == [False, False]
    assert [cell.best for line in paired.lines for cell in line.cells if cell] == [True, False]
    assert "200 bootstrap replicates" in paired.caption


def test_several_seeds_are_resampled_with_people(tmp_path: Path, judge: Judge) -> None:
    seeds = [store(tmp_path, f"paco:{i}", 0.5 * i, i, method="paco/tiny") for i in range(3)]
    low, high = judge.mean_interval("mae", seeds)
    means = [s.row.main.value or 0.0 for s in seeds]
    assert low is not None and high is not None and low < np.mean(means) < high
    assert (low, high) != BY_INTERVALS.mean_interval("mae", seeds)
    assert judge.mean_interval("mae", seeds[:1]) == BY_INTERVALS.mean_interval("mae", seeds[:1])


def test_what_cannot_be_paired_is_not_called_different(tmp_path: Path, judge: Judge) -> None:
    a, b = store(tmp_path, "a", 0.0), store(tmp_path, "b", 50.0)
    assert judge.distinguishable("mae", [a], [b])
    items_path(b.path).write_bytes(b"")
    fresh = by_resampling(metrics_of_tasks([POSE]), replicates=50)
    assert not fresh.distinguishable("mae", [a], [b])


def test_derived_tasks_are_judged_by_their_own_metric_and_direction(tmp_path: Path) -> None:
    task = derived()["perturbed-occlusion/pose/synthetic"]
    swept = {"task": task.name, "family": task.family, "task_version": task.version}
    a, b = (
        store(tmp_path, name, shift, subset="clean", level=0, **swept)
        for name, shift in (("a", 0.0), ("b", 0.3))
    )
    definition = registered_metrics()(a.row, task.main_metric)
    assert definition is not None and not definition.higher_is_better
    found = registered_judge(replicates=200)
    assert found.distinguishable("mae", [a], [b]) and not BY_INTERVALS.distinguishable("mae", [a], [b])
    (table,) = family_tables([a, b], judge=found)
    best = {line.label: cell.best for line in table.lines for cell in line.cells if cell}
    assert best == {"a": True, "b": False}, "less is better"


def test_rows_of_another_version_have_no_definition(tmp_path: Path) -> None:
    metric_of = metrics_of_tasks([POSE])
    row = store(tmp_path, "a", 0.0).row
    assert metric_of(row, "mae") is not None and metric_of(row, "unheard of") is None
    assert metric_of(make_row("a", TASKS[2], task_version=2)[0], "mae") is None
    assert metric_of(make_row("a", TASKS[0])[0], "auc") is None
