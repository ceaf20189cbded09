"""How sure numbers are: intervals alone are conservative, resampled items see what is paired."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from paco_eval.analysis.significance import (
    MetricOf,
    metrics_of_tasks,
    registered_metrics,
    seed_intervals,
    widest_ends,
)
from paco_eval.report.leaderboard.layout import ahead_of, leaderboards
from paco_eval.report.tables.table import family_tables
from paco_eval.rows.schema import Definition, Metric
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


def leads(rows: list[Stored], metric_of: MetricOf | None) -> list[bool]:
    (board,) = leaderboards(rows, metric_of=metric_of, replicates=200)
    return [claim.ahead for claim in board.claims]


def test_a_small_steady_difference_is_seen_only_paired(tmp_path: Path) -> None:
    rows = [store(tmp_path, "a", 0.0), store(tmp_path, "b", 0.3)]
    assert leads(rows, None) == [False] and leads(rows, metrics_of_tasks([POSE])) == [True]
    (board,) = leaderboards(rows, metric_of=metrics_of_tasks([POSE]), replicates=200)
    (table,) = family_tables(rows, ahead=ahead_of([board]))
    assert [cell.best for line in table.lines for cell in line.cells if cell] == [True, False]
    assert any("200 replicates" in sentence for sentence in board.definitions)


def test_several_seeds_are_resampled_with_people(tmp_path: Path) -> None:
    mean_interval = seed_intervals(metrics_of_tasks([POSE]), replicates=200)
    seeds = [store(tmp_path, f"paco:{i}", 0.5 * i, i, method="paco/tiny") for i in range(3)]
    low, high = mean_interval("mae", seeds)
    means = [s.row.main.value or 0.0 for s in seeds]
    assert low is not None and high is not None and low < np.mean(means) < high
    assert (low, high) != widest_ends("mae", seeds)
    assert mean_interval("mae", seeds[:1]) == widest_ends("mae", seeds[:1])


def test_what_cannot_be_paired_is_judged_by_its_intervals(tmp_path: Path) -> None:
    a, b = store(tmp_path, "a", 0.0), store(tmp_path, "b", 0.3)
    assert leads([a, b], metrics_of_tasks([POSE])) == [True]
    items_path(b.path).write_bytes(b"")
    assert leads([a, b], metrics_of_tasks([POSE])) == [False]


def test_derived_tasks_have_their_own_metric_and_direction(tmp_path: Path) -> None:
    task = derived()["perturbed-occlusion/pose/synthetic"]
    swept = {"task": task.name, "family": task.family, "task_version": task.version}
    row = store(tmp_path, "a", 0.0, subset="clean", level=0, **swept).row
    definition = registered_metrics()(row, task.main_metric)
    assert definition is not None and not definition.higher_is_better


def test_a_row_that_carries_its_definition_needs_no_declaration(tmp_path: Path) -> None:
    """Rows of a user's own task had a metric by name only: nothing of them could be compared."""
    row = store(tmp_path, "a", 0.0, task="pose/mine", definition=Definition(kind="pose")).row
    found = metrics_of_tasks([])(row, "mae")
    assert found is not None and found.value(store(tmp_path, "a", 0.0).items()) == pytest.approx(
        row.main.value
    )
    other = row.model_copy(update={"definition": Definition(kind="landmarks", options={"normaliser": "x"})})
    assert metrics_of_tasks([])(other, "mae") is None, "of another version"
    assert metrics_of_tasks([])(row.model_copy(update={"definition": None}), "mae") is None


def test_rows_of_another_version_have_no_definition(tmp_path: Path) -> None:
    metric_of = metrics_of_tasks([POSE])
    row = store(tmp_path, "a", 0.0).row
    assert metric_of(row, "mae") is not None and metric_of(row, "unheard of") is None
    assert metric_of(make_row("a", TASKS[2], task_version=2)[0], "mae") is None
    assert metric_of(make_row("a", TASKS[0])[0], "auc") is None
