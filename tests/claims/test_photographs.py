"""Photographs: the table of the page is that of the file of scores, and its means and differences are of its lines."""

from __future__ import annotations

import os
import re

import pandas as pd
import pytest

from tasks.registry import all_tasks
from tests.claims.reference import FOLDER

OURS = "paco/trunk"
RIVALS = {"MAE": "mae/tuned", "data2vec": "data2vec/tuned"}
"""Those whose items lay beside PaCo-FR's, so that there is a paired difference."""
METHODS = {"PaCo-FR": OURS, "MAE": "mae/tuned", "SimMIM": "simmim/tuned-228k", "data2vec": "data2vec/tuned"}
SEEDS = {
    method: ["0", "1", "2"] if method == "data2vec/tuned" else ["8", "9", "10"] for method in METHODS.values()
}
SHOWN = {
    ("expression/ferplus", ""): ("FER+: accuracy, % ↑", 1),
    ("recognition/lfw", ""): ("LFW: accuracy, 10 folds, % ↑", 1),
    ("recognition/lfw", "aligned"): ("LFW, aligned: the same ↑", 1),
    ("recognition/yale", ""): ("Extended Yale B: rank-1, subsets 2 to 5, % ↑", 1),
    ("landmarks/london", ""): ("London: NME, % of outer eye corners ↓", 2),
    ("recognition/london", ""): ("London: AUC ↑", 3),
}
"""Task and crop -> what the line is called, and its decimals."""
SCORES = pd.read_csv(FOLDER / "photographs.csv", keep_default_na=False)
PAGE = FOLDER.parents[1] / "docs" / "results.md"
BLOCK = re.compile(r"(<!-- photographs\.csv -->\n)(.*?)(\n<!-- end -->)", re.DOTALL)


def test_every_set_is_shown_and_whole():
    assert set(zip(SCORES.task, SCORES.crop, strict=True)) == set(SHOWN)
    assert (SCORES.scored == SCORES.expected).all()
    assert all(all_tasks()[task].data_kind == "official" for task in SCORES.task)


@pytest.mark.parametrize(("task", "crop"), SHOWN)
def test_means_and_differences_are_of_the_trainings(task, crop):
    table = SCORES[(SCORES.task == task) & (SCORES.crop == crop)]
    means = {}
    for method, seeds in SEEDS.items():
        lines = table[table.method == method].set_index("seed").value
        assert lines.index.tolist() == [*seeds, "mean"]
        means[method] = lines["mean"]
        assert lines["mean"] == pytest.approx(lines[seeds].mean(), rel=1e-6)
    for rival in RIVALS.values():
        (less,) = table[table.method == f"{OURS} - {rival}"].value
        assert less == pytest.approx(means[OURS] - means[rival], rel=1e-5)


def test_the_table_is_that_of_the_file():
    whole = PAGE.read_text("utf-8")
    if os.environ.get("PACO_WRITE_TABLES"):
        PAGE.write_text(BLOCK.sub(lambda found: found[1] + _table() + found[3], whole), "utf-8")
    else:
        (found,) = BLOCK.findall(whole)
        assert found[1] == _table()


def _table() -> str:
    heads = ["set", *METHODS, *(f"less {name}" for name in RIVALS)]
    lines = [heads, [":--", *["--:"] * (len(heads) - 1)]]
    for (task, crop), (name, decimals) in SHOWN.items():
        of_set = SCORES[(SCORES.task == task) & (SCORES.crop == crop) & (SCORES.seed == "mean")]
        table = of_set.set_index("method")[["value", "low", "high"]]
        values = [_said(table.loc[method], decimals) for method in METHODS.values()]
        less = [_said(table.loc[f"{OURS} - {rival}"], decimals, "+") for rival in RIVALS.values()]
        lines.append([name, *values, *less])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _said(found: pd.Series, decimals: int, sign: str = "") -> str:
    value, low, high = (
        f"{number:{plus}.{decimals}f}".replace("-", "\N{MINUS SIGN}")
        for number, plus in zip(found, (sign, "", ""), strict=True)
    )
    beyond = "*" if sign and (found.low > 0 or found.high < 0) else ""
    return f"{value} [{low}, {high}]{beyond}"
