"""Charts as data: the numbers that are drawn are those of items, against independent oracles."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_curve

from paco_eval.analysis.robustness import by_group
from paco_eval.report.charts import scores
from paco_eval.report.charts.panels import (
    MOST_CURVES,
    MOST_POINTS,
    Cells,
    Curve,
    Dots,
    Lines,
    few,
    nice_ticks,
    thinned,
)
from paco_eval.report.charts.training import compared_runs, read_metrics, run_charts
from paco_eval.report.page.svg import Ids, panel_svg
from paco_eval.rows.artefacts import Pretraining
from paco_eval.rows.schema import Definition
from paco_fr.utils.errors import PacoError
from tasks.metrics.metric import Metric
from tests.fixtures.made_rows import TASKS, make_row

NAN = float("nan")


def test_roc_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    truth, score = pd.Series(rng.random(400) < 0.4), pd.Series(np.round(rng.normal(size=400), 1))
    false, true, _ = roc_curve(truth, score, drop_intermediate=False)
    np.testing.assert_allclose(scores.roc_points(truth, score), (false, true))
    panel = scores._roc("t", {"a": pd.DataFrame({"truth": truth, "score": score})})
    (curve,) = panel.curves
    for x, y in zip(curve.x, curve.y, strict=True):
        assert y == pytest.approx(100 * true[false <= x].max())
    assert panel.log and panel.top == 100


def test_roc_of_ties_only() -> None:
    false, true = scores.roc_points(pd.Series([True, False]), pd.Series([0.0, 0.0]))
    assert list(false) == [0, 1] and list(true) == [0, 1]


def test_cumulative_error_counts_failures() -> None:
    panel = scores._cumulative("t", {"a": pd.DataFrame({"error": [1.0, 2.0, np.nan, 9.0]})}, "NME", 8.0)
    (curve,) = panel.curves
    assert curve.x == (0, 1, 2, 8) and curve.y == (0, 25, 50, 50)


def test_rows_of_a_confusion_matrix_sum_to_100() -> None:
    items = pd.DataFrame({"truth": [0, 0, 0, 1, 1], "prediction": [0, 0, 1, 1, -1]})
    row, _ = make_row(made=next(made for made in TASKS if made.main == "accuracy"))
    panel = scores._confusion("t", items, row)
    assert panel.texts == (("67", "33"), ("", "100")) and panel.rows == ("neutral", "happiness")
    np.testing.assert_allclose(panel.shades.sum(1), 1)
    own = Definition(kind="classification", options={"classes": ["bare", "with_hat"]})
    changed = row.model_copy(update={"family": "hats", "definition": own})
    assert scores._confusion("t", items, changed).rows == ("bare", "with hat")
    assert scores._confusion("t", items, changed.model_copy(update={"definition": None})).rows == ("0", "1")


def test_groups_of_few_items_have_no_score() -> None:
    items = pd.DataFrame(
        {"light": ["soft"] * 12 + ["side"] * 10 + ["back"] * 9, "error": [1.0] * 12 + [2.0] * 10 + [3.0] * 9}
    )
    metric = Metric("mae", "deg", False, 0.0, 180.0, lambda table, _: np.array([table["error"].mean()]))
    found = by_group(items.assign(group="g"), metric, "light")
    assert list(found) == ["soft", "side"] and found["side"] == pytest.approx(2.0)


def test_the_best_and_what_learned_nothing_are_drawn() -> None:
    ranked = [*(f"timm:{i}" for i in range(12)), "random:a", "pixels", "constant"]
    kept = few(ranked)
    assert (
        len(kept) == MOST_CURVES and kept[-3:] == ["random:a", "pixels", "constant"] and kept[0] == "timm:0"
    )


def test_dense_curves_are_thinned_and_keep_their_ends() -> None:
    x, y = thinned(np.arange(5000), np.arange(5000) ** 2)
    assert len(x) == MOST_POINTS and (x[0], x[-1]) == (0, 4999) and y[-1] == 4999**2


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (3.4, 21.7), (-40.0, 40.0), (0.001, 0.0042)])
def test_ticks_are_round_and_inside(low: float, high: float) -> None:
    ticks = nice_ticks(low, high)
    assert 2 <= len(ticks) <= 6 and low <= ticks[0] and ticks[-1] <= high
    assert len({round(b - a, 9) for a, b in pairwise(ticks)}) == 1


def test_marks_stand_where_their_values_are() -> None:
    curve = Curve("a", (0.0, 1.0, 2.0), (1.0, 3.0, 2.0), (0.5, 2.5, NAN), (1.5, 3.5, NAN))
    svg = ElementTree.fromstring(
        panel_svg(Lines("t", "x", "y", (curve,)), Ids(["b", "a"], {"a": "Ours & co"}))
    )
    group = next(node for node in svg.iter() if node.get("data-e") == "1")
    assert group.get("class") == "e e1" and group[0].text == "Ours & co"
    marks = [re.findall(r"[\d.]+", node.get("transform", "")) for node in group if node.get("class") == "p"]
    x, y = np.array(marks, dtype=float).T
    assert np.allclose(np.diff(x), np.diff(x)[0], atol=0.2) and y[1] < y[2] < y[0]
    assert (y[0] - y[1]) / (y[0] - y[2]) == pytest.approx(2.0, abs=0.02)


def test_marks_differ_without_their_colours() -> None:
    labels = ["a", "b", "c", "d", "e", "f"]
    ids = Ids(labels)
    assert len({ids.mark(label) for label in labels}) == len(labels)


def test_intervals_of_dots_and_shades_of_cells() -> None:
    dots = Dots("t", "x", (("a", 5.0, 4.0, 7.0), ("b", 6.0, NAN, NAN)), 1)
    svg = str(panel_svg(dots, Ids(["a", "b"])))
    (bar,) = re.findall(r'class="i" d="M([\d.]+),\d+H([\d.]+)"', svg)
    marks = [float(x) for x in re.findall(r'class="p" transform="translate\(([\d.]+)', svg)]
    low, high = map(float, bar)
    assert (marks[0] - low) / (high - low) == pytest.approx(1 / 3, abs=0.01) and low < marks[0] < marks[
        1
    ] < high
    cells = str(panel_svg(Cells("t", "x", "y", ("r",), ("<c>",), np.array([[0.9]]), (("<9>",),)), Ids([])))
    assert "&lt;9&gt;" in cells and "&lt;c&gt;" in cells and "--a:0.90" in cells


@pytest.fixture
def run(tmp_path: Path) -> Pretraining:
    lines = [
        {"step": i, "epoch": i // 10, "loss": 1 / (i + 1), "belief": 2.0, "perplexity": i, "lr": 1e-3}
        for i in range(40)
    ]
    (tmp_path / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)) + '\n{"step": 40, "ep')
    return Pretraining("run", tmp_path)


def test_curves_of_training(run: Pretraining) -> None:
    assert len(read_metrics(run.log)) == 40, "the half-written last line is passed over"
    problems: list[str] = []
    losses, health = run_charts(run, "run", problems.append)
    assert [panel.title for panel in losses.panels if isinstance(panel, Lines)] == [
        "total loss",
        "belief loss",
    ]
    (panel,) = health.panels
    assert isinstance(panel, Lines) and "perplexity" in panel.title and panel.curves[0].x[-1] == 39
    other = Pretraining("other", run.folder)
    (both,) = compared_runs([run, other], problems.append)
    assert both.labels == ("run", "other") and not problems


def test_bad_logs_are_told(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('nonsense\n{"step": 1, "epoch": 0}\n')
    with pytest.raises(PacoError, match="line 1: is not JSON"):
        read_metrics(tmp_path / "metrics.jsonl")
    problems: list[str] = []
    assert list(run_charts(Pretraining("a", tmp_path), "a", problems.append)) == [] and problems
    (tmp_path / "b.jsonl").write_text('{"loss": 1}\n')
    with pytest.raises(PacoError, match="epoch, step"):
        read_metrics(tmp_path / "b.jsonl")
