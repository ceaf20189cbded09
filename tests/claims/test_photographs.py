"""Photographs: what is said of them is what stands in the file of scores, and means and differences are of its lines."""

from __future__ import annotations

import pandas as pd
import pytest

from tasks.registry import all_tasks
from tests.claims.reference import FOLDER

OURS, THEIRS, LESS = "paco/trunk", "mae/tuned", "paco/trunk - mae/tuned"
SHOWN = [
    ("expression/ferplus", "", 1),
    ("recognition/lfw", "", 1),
    ("recognition/lfw", "aligned", 1),
    ("recognition/yale", "", 1),
    ("landmarks/london", "", 2),
    ("recognition/london", "", 3),
]
SCORES = (
    pd.read_csv(FOLDER / "photographs.csv", keep_default_na=False).set_index(["task", "crop"]).sort_index()
)


def test_every_set_is_shown_and_whole():
    assert set(SCORES.index) == {(task, crop) for task, crop, _ in SHOWN}
    assert (SCORES.scored == SCORES.expected).all()
    for task in SCORES.index.get_level_values("task").unique():
        assert all_tasks()[task].data_kind == "official"


@pytest.mark.parametrize(("task", "crop", "decimals"), SHOWN)
def test_means_are_of_three_trainings_and_are_what_is_said(task, crop, decimals):
    table = SCORES.loc[[(task, crop)]].reset_index(drop=True)
    means = {}
    for method in (OURS, THEIRS):
        lines = table[table.method == method].set_index("seed").value
        assert lines.index.tolist() == ["8", "9", "10", "mean"]
        means[method] = lines["mean"]
        assert lines["mean"] == pytest.approx(lines[["8", "9", "10"]].mean(), rel=1e-6)
    (less,) = table[table.method == LESS].value
    assert less == pytest.approx(means[OURS] - means[THEIRS], rel=1e-5)
    page = (FOLDER.parents[1] / "docs" / "results.md").read_text("utf-8")
    (line,) = [
        line for line in page.splitlines() if all(_said(table, method, decimals) in line for method in means)
    ]
    told = _said(table, LESS, decimals, sign="+")
    low, high = table[table.method == LESS][["low", "high"]].iloc[0]
    assert line.endswith(f"| {told}* |" if low > 0 or high < 0 else f"| {told} |")


def _said(table: pd.DataFrame, method: str, decimals: int, sign: str = "") -> str:
    (line,) = table[(table.method == method) & (table.seed == "mean")].itertuples()
    value, low, high = (
        f"{number:{plus}.{decimals}f}".replace("-", "\N{MINUS SIGN}")
        for number, plus in ((line.value, sign), (line.low, ""), (line.high, ""))
    )
    return f"{value} [{low}, {high}]"
