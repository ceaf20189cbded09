"""What a choice of settings reads: gains on validation people, tasks alike whatever their unit."""

from __future__ import annotations

from statistics import pstdev

import pytest

from paco_eval.analysis.columns import Column
from paco_eval.report.tables.table import Line, Table
from paco_eval.report.tables.trials import trials_table


def _table(labels: list[str]) -> Table:
    columns = (
        Column("pose/blobs", 1, "test", "all", -1, 0, "mae", "deg", False, main=True),
        Column("expression/blobs", 1, "test", "all", -1, 0, "accuracy", "%", True, main=True),
    )
    return Table("ablation", "frozen", False, columns, tuple(Line(x, "", (None, None)) for x in labels), "")


def test_a_gain_is_the_mean_over_tasks_in_deviations_from_the_first_line():
    scores = {"recipe": [5.0, 30.0], "better": [4.0, 30.5], "mixed": [4.5, 29.0]}
    found = trials_table(_table(list(scores)), scores, dict.fromkeys(scores, 1))
    angles, shares = pstdev([5.0, 4.0, 4.5]), pstdev([30.0, 30.5, 29.0])
    gains = [line.cells[-1].value for line in found.lines]
    assert gains == pytest.approx([0.0, (1 / angles + 0.5 / shares) / 2, (0.5 / angles - 1 / shares) / 2])
    assert [line.cells[-1].best for line in found.lines] == [False, True, False]
    assert [line.cells[0].value for line in found.lines] == [5.0, 4.0, 4.5]
    assert {column.split for column in found.columns} == {"validation"}


def test_a_line_without_a_score_is_shown_and_never_chosen():
    scores = {"recipe": [5.0, 30.0], "broken": [1.0, None]}
    found = trials_table(_table(list(scores)), scores, dict.fromkeys(scores, 2))
    assert found.lines[1].cells[1:] == (None, None) and found.lines[0].cells[-1].best
    assert found.lines[0].note == "2 seeds"
