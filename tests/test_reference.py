"""The claims that rest on ``results/reference``, computed again from its items."""

from __future__ import annotations

from pathlib import Path

import pytest

from paco_eval.rows import load_rows
from paco_eval.statistics import over_seeds, paired_difference
from tasks.kinds import load_kind
from tasks.metrics.metric import Metric
from tasks.registry import all_tasks

FOLDER = Path(__file__).parent.parent / "results" / "reference"


def stored(task: str, method: str):
    rows = [s for s in load_rows([FOLDER])[0] if s.row.task == task and s.row.method == method]
    return sorted(rows, key=lambda s: s.row.pretrain_seed or 0)


def main_metric(name: str) -> Metric:
    task = all_tasks()[name]
    return next(metric for metric in load_kind(task.kind).metrics(task) if metric.name == task.main_metric)


def test_every_row_is_whole_and_of_the_present_task_version():
    rows, problems = load_rows([FOLDER])
    assert rows and not problems
    for found in rows:
        assert found.row.task_version == all_tasks()[found.row.task].version
        assert found.row.data_kind == "synthetic" and found.row.command
        assert len(found.items()) > 0


@pytest.mark.parametrize("task", ["pose/synthetic", "landmarks/synthetic"])
def test_paco_beats_the_untrained_encoder_over_three_seeds(task):
    paco, untrained, metric = stored(task, "paco/tiny"), stored(task, "random:tiny"), main_metric(task)
    assert len(paco) == len(untrained) == 3
    whole = over_seeds(metric, [s.items() for s in paco], baseline=[s.items() for s in untrained])
    assert whole.high < 0, "errors: less is better"
    apart = [paired_difference(metric, a.items(), b.items()) for a, b in zip(paco, untrained, strict=True)]
    assert sum(difference.high < 0 for difference in apart) >= 2


def test_stored_values_are_those_of_the_items():
    for found in load_rows([FOLDER])[0]:
        value = main_metric(found.row.task).value(found.items())
        assert value == pytest.approx(found.row.main.value, rel=1e-9)
