"""Figures show what they were given: axes named, as many marks as values, curves that reach their ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image
from scipy.stats import norm
from sklearn.metrics import roc_curve

from paco_eval.report.plots.curves import (
    binned_means,
    confusion_matrix,
    cumulative_error,
    det,
    error_against_yaw,
    roc,
    roc_points,
)
from paco_eval.report.plots.pictures import (
    codebook_atlas,
    landmark_sheet,
    perplexity,
    reconstruction_sheet,
    tile,
)
from paco_eval.report.plots.robustness import Panel, robustness_curves
from paco_eval.report.plots.scores import accuracy_against_cost, dot_and_interval, few_shot_curves
from paco_eval.report.plots.style import GREYS, OWN_COLOUR, PALETTE, looks, save, to_svg
from paco_eval.report.plots.training import codebook_health, compare_losses, loss_curves, read_metrics
from paco_fr.utils.errors import PacoError

SCORES = pd.DataFrame(
    {
        "encoder": ["paco-tiny", "mae-tiny", "pixels"],
        "value": [5.0, 6.0, 14.0],
        "low": [4.5, 5.2, np.nan],
        "high": [5.5, 6.7, np.nan],
    }
)


@pytest.fixture(autouse=True)
def no_global_style() -> Iterator[None]:
    before = dict(mpl.rcParams)
    yield
    assert dict(mpl.rcParams) == before


def texts(figure: Figure) -> set[str]:
    return {text.get_text() for axes in figure.axes for text in axes.texts} | {
        label.get_text() for axes in figure.axes for label in axes.get_yticklabels()
    }


def test_looks_are_fixed_and_distinct() -> None:
    few, many = (
        looks(["paco-tiny", "pixels"]),
        looks([f"timm:v{i:02d}" for i in range(50)] + ["paco-tiny", "pixels"]),
    )
    assert few["paco-tiny"] == many["paco-tiny"] and few["paco-tiny"].colour == PALETTE[OWN_COLOUR["paco"]]
    assert few["pixels"].colour == GREYS["pixels"]
    everyone = looks(["paco:a", "paco:b", "mae-tiny", "random:x@0", "random:x@1", "timm:a", "timm:b"])
    assert len({(look.colour, look.mark) for look in everyone.values()}) == 7


def test_palette_can_be_told_apart_by_lightness_and_hue() -> None:
    colours = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in PALETTE])
    distance = np.abs(colours[:, None] - colours[None]).sum(-1) + 9 * np.eye(len(PALETTE))
    assert distance.min() > 0.2


def test_dot_and_interval() -> None:
    figure = dot_and_interval(SCORES, title="pose/synthetic v1", heading="mae (°) ↓")
    (axes,) = figure.axes
    dots = [line for line in axes.lines if line.get_marker() != "None"]
    bars = [line for line in axes.lines if line.get_marker() == "None"]
    assert [line.get_xdata()[0] for line in dots] == [5, 6, 14]
    assert [list(line.get_xdata()) for line in bars] == [[4.5, 5.5], [5.2, 6.7]]
    assert axes.get_title(loc="left") == "pose/synthetic v1" and axes.get_xlabel() == "mae (°) ↓"
    assert {"paco-tiny", "mae-tiny", "pixels", "5.00", "14.00"} <= texts(figure)
    assert axes.get_ylim()[0] > axes.get_ylim()[1], "the first encoder stands on top"


def test_long_names_leave_room_for_the_axes() -> None:
    name = "paco:/a/very/long/way/to/the/folder/where/somebody/keeps/the/checkpoint/of/a/run-17"
    figure = dot_and_interval(SCORES.assign(encoder=[name, "b", "c"]), title="t", heading="h")
    (short,) = [text for text in texts(figure) if text.startswith("…")]
    assert len(short) == 36 and name.endswith(short[1:])
    to_svg(figure)
    assert figure.axes[0].get_position().width > 0.3


def test_cumulative_error_counts_failures() -> None:
    figure = cumulative_error({"paco-tiny": [1.0, 2.0, np.nan, 9.0]}, title="t", xlabel="NME (%)", limit=8)
    (line,) = figure.axes[0].lines
    assert list(line.get_xdata()) == [0, 1, 2, 8] and list(line.get_ydata()) == [0, 25, 50, 50]
    assert figure.axes[0].get_xlabel() == "NME (%)" and "paco-tiny" in texts(figure)


def test_roc_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    truth, score = rng.random(400) < 0.4, np.round(rng.normal(size=400), 1)
    false, true, _ = roc_curve(truth, score, drop_intermediate=False)
    np.testing.assert_allclose(roc_points(truth, score), (false, true))
    figure = roc({"paco-tiny": (truth, score)}, title="t")
    assert figure.axes[0].get_xscale() == "log" and "accepts" in figure.axes[0].get_xlabel()


def test_det_of_normal_scores_is_a_straight_line() -> None:
    spread = np.linspace(0.001, 0.999, 999)
    truth = np.repeat([True, False], 999)
    score = np.concatenate([norm.ppf(spread) + 2.0, norm.ppf(spread)])
    figure = det({"paco-tiny": (truth, score)}, title="t")
    curve = figure.axes[0].lines[0]
    x, y = np.asarray(curve.get_xdata()), np.asarray(curve.get_ydata())
    inner = (np.abs(x) < 2) & (np.abs(y) < 2)
    # Genuine scores lie two deviations above impostors: deviates of the two errors add up to minus two.
    np.testing.assert_allclose((x + y)[inner], -2.0, atol=0.02)
    (said,) = texts(figure) - {label.get_text() for label in figure.axes[0].get_yticklabels()}
    assert float(said.split()[1]) == pytest.approx(100 * norm.cdf(-1), abs=0.2)
    assert "false rejects" in figure.axes[0].get_ylabel()


def test_det_without_any_error_stays_finite() -> None:
    figure = det({"a": ([True, True, False], [2.0, 1.0, 0.0])}, title="t")
    assert np.isfinite(figure.axes[0].lines[0].get_xydata()).all() and "a  0.0 %" in texts(figure)


def test_roc_of_ties_only() -> None:
    false, true = roc_points([True, False], [0.0, 0.0])
    assert list(false) == [0, 1] and list(true) == [0, 1]


def test_error_against_yaw() -> None:
    yaw, error = np.repeat([-40.0, 5.0, 50.0], 4), np.repeat([9.0, 3.0, 8.0], 4)
    centre, mean, deviation = binned_means(yaw, error, [-60, -30, 0, 30, 60])
    assert list(centre) == [-45, 15, 45] and list(mean) == [9, 3, 8] and list(deviation) == [0, 0, 0]
    figure = error_against_yaw({"paco-tiny": (yaw, error)}, title="t", ylabel="e")
    assert len(figure.axes[0].lines[0].get_xdata()) == 3 and "yaw" in figure.axes[0].get_xlabel()


def test_confusion_matrix_rows_sum_to_100() -> None:
    figure = confusion_matrix(list("aaab"), list("aabb"), title="t", classes=["a", "b", "c"])
    said = [text.get_text() for text in figure.axes[0].texts]
    assert said == ["67", "33", "100", "n 3", "n 1", "n 0"]


def test_few_shot_and_robustness_and_cost() -> None:
    shares = pd.DataFrame(
        {"encoder": ["a"] * 3 + ["b"] * 3, "amount": [np.inf, 1.0, 10.0] * 2, "value": range(6)}
    )
    figure = few_shot_curves(shares, title="t", ylabel="accuracy (%) ↑", unit="%")
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == ["1 %", "10 %", "all"]
    assert list(figure.axes[0].lines[0].get_ydata()) == [1, 2, 0]
    counted = shares.assign(labelled=[np.nan, 24, 240] * 2)
    figure = few_shot_curves(counted, title="t", ylabel="", unit="%")
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == ["1 %\nn = 24", "10 %\nn = 240", "all"]
    levels = shares.rename(columns={"amount": "level"}).assign(level=[0, 1, 2] * 2, low=0, high=6)
    panels = [
        Panel("hand", "nme", "level", levels, {1: "10 %"}),
        Panel("scarf", "nme", "level", levels.assign(value=levels.value + 9)),
    ]
    figure = robustness_curves(panels, title="t", shared=True)
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["clean", "1\n10 %", "2"]
    assert figure.axes[0].get_xticklabels()[0].get_text() == "clean" and len(figure.axes[0].collections) == 2
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim() and figure.axes[1].get_ylim()[1] > 14
    apart = robustness_curves(panels, title="t", shared=False)
    near = pd.concat([levels, levels.assign(encoder="constant", value=6)])
    (axes,) = robustness_curves([Panel("hand", "nme", "level", near)], title="t", shared=False).axes
    assert len(axes.lines) == 3 and not axes.texts, "a constant at hand is a curve"
    holes = robustness_curves([panels[0], None, None, panels[1]], title="t", shared=False, columns=2)
    assert [axes.get_visible() for axes in holes.axes] == [True, False, False, True]
    assert apart.axes[0].get_ylim() != apart.axes[1].get_ylim()
    assert [text.get_text() for text in apart.legends[0].get_texts()] == ["a", "b"]
    figure = accuracy_against_cost(
        SCORES.assign(cost=[1e5, 1e6, 10]), title="t", xlabel="parameters", ylabel=""
    )
    assert {"paco-tiny", "mae-tiny", "pixels"} <= texts(figure) and figure.axes[0].get_xscale() == "log"


def test_names_stand_at_the_ends_of_their_lines() -> None:
    scores = pd.DataFrame(
        {"encoder": ["a", "a", "b", "b"], "amount": [0, 1, 0, 1], "value": [7.0, 8, 9, 9.5]}
    )
    scores = scores.assign(low=scores.value - 3, high=scores.value + 3)
    (axes,) = few_shot_curves(scores, title="t", ylabel="", unit="%").axes
    low, high = axes.get_ylim()
    for text, end in zip(axes.texts, (8, 9.5), strict=True):
        assert text.get_position()[1] == pytest.approx((end - low) / (high - low), abs=0.01)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    lines = [
        {
            "step": i,
            "epoch": i // 10,
            "loss": 1 / (i + 1),
            "belief": 2.0,
            "perplexity": i,
            "lr": 1e-3,
        }
        for i in range(40)
    ]
    path = tmp_path / "metrics.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)) + '\n{"step": 40, "ep')
    return path


def test_training_plots(log: Path) -> None:
    metrics = read_metrics(log)
    assert len(metrics) == 40, "the half-written last line is passed over"
    losses = loss_curves(metrics, title="run")
    assert [axes.get_title(loc="left") for axes in losses.axes if axes.get_visible()] == [
        "total loss",
        "belief loss",
    ]
    assert len(losses.axes[0].lines[0].get_xdata()) == 40
    health = codebook_health(metrics, title="run")
    assert "perplexity" in health.axes[0].get_title(loc="left")
    with pytest.raises(PacoError, match="no measure of codebook health"):
        codebook_health(metrics.drop(columns="perplexity"), title="mae")
    both = compare_losses({"paco-tiny": metrics, "mae-tiny": metrics}, "loss", title="t")
    assert len(both.axes[0].lines) == 2


def test_bad_logs_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('nonsense\n{"step": 1, "epoch": 0}\n')
    with pytest.raises(PacoError, match="line 1: is not JSON"):
        read_metrics(tmp_path / "a.jsonl")
    (tmp_path / "b.jsonl").write_text('{"loss": 1}\n')
    with pytest.raises(PacoError, match="epoch, step"):
        read_metrics(tmp_path / "b.jsonl")


def test_tile_puts_every_picture_in_its_place() -> None:
    pictures = np.arange(6, dtype=np.uint8).reshape(2, 3, 1, 1, 1).repeat(4, 2).repeat(4, 3).repeat(3, 4)
    sheet = tile(pictures, gap=2)
    assert sheet.shape == (10, 16, 4)
    assert sheet[7, 13, 0] == 5 and sheet[7, 13, 3] == 255 and sheet[4, 4, 3] == 0


def test_reconstruction_sheet() -> None:
    faces = np.zeros((5, 16, 16, 3), np.uint8)
    figure = reconstruction_sheet(faces, faces + 9, faces + 99, title="run")
    assert {"original", "corrupted", "reconstructed"} <= texts(figure)
    assert figure.axes[0].images[0].get_array().shape == (3 * 18 - 2, 5 * 18 - 2, 4)


def test_codebook_atlas_shows_the_most_used_token_where_it_belongs() -> None:
    tokens = np.zeros((4, 9, 2, 2, 3))
    usage = np.ones((4, 9))
    tokens[3, 7] = 1.0
    usage[3, 7] = 5
    figure = codebook_atlas(tokens, usage, title="run", side=2)
    top = figure.axes[0].images[0].get_array()
    assert top[2:, 2:, :3].min() == 255 and top[:2, :, :3].max() == 0
    assert "9" in texts(figure)
    np.testing.assert_allclose(perplexity(np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0]])), [2, 1, 0])
    with pytest.raises(ValueError, match="not a square grid"):
        codebook_atlas(tokens[:3], usage[:3], title="run")


def test_landmark_sheet_draws_every_point() -> None:
    truth = np.random.default_rng(0).uniform(0, 16, (3, 7, 2))
    visible = np.ones((3, 7), bool)
    visible[:, 5:] = False
    faces = np.zeros((3, 16, 16, 3), np.uint8)
    figure = landmark_sheet(faces, truth + 1, truth, visible, title="run", names=list("abc"), columns=2)
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_xlabel() for axes in shown] == ["a", "b", "c"]
    dots = [
        line for line in shown[0].lines if line.get_marker() == "o" and line.get_markerfacecolor() != "none"
    ]
    assert [len(line.get_xdata()) for line in dots] == [5, 2]
    np.testing.assert_allclose(dots[0].get_xdata(), truth[0, :5, 0] + 1)


def test_saved_twice_is_saved_alike(tmp_path: Path) -> None:
    def figure() -> Figure:
        return dot_and_interval(SCORES, title="<t> & co", heading="mae")

    first, second = save(figure(), tmp_path / "a"), save(figure(), tmp_path / "b.c")
    assert [path.name for path in second] == ["b.c.png", "b.c.svg", "b.c.pdf"]
    assert first[1].read_bytes() == second[1].read_bytes() and first[2].read_bytes() == second[2].read_bytes()
    assert first[2].read_bytes().startswith(b"%PDF")
    assert Image.open(first[0]).size[0] > 900
    svg = ElementTree.fromstring(to_svg(figure()))
    assert svg.tag.endswith("svg") and any("<t> & co" in (node.text or "") for node in svg.iter())
