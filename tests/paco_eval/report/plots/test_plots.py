"""Files for papers: axes named, as many marks as values, the same picture twice gives the same bytes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from paco_eval.report.charts.panels import Cells, Chart, Curve, Dots, Lines
from paco_eval.report.plots.draw import draw
from paco_eval.report.plots.pictures import perplexity, picture_rows, tile
from paco_eval.report.plots.style import GREYS, OWN_COLOUR, PALETTE, looks, save, to_svg

NAN = float("nan")
DOTS = Dots(
    "pose/synthetic v1", "angle error ↓",
    (("paco-tiny", 5.0, 4.5, 5.5), ("mae-tiny", 6.0, 5.2, 6.7), ("pixels", 14.0, NAN, NAN)), 2,
)  # fmt: skip


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


def test_dots_and_intervals() -> None:
    (axes,) = draw(Chart("a", "", "", (DOTS,))).axes
    dots = [line for line in axes.lines if line.get_marker() != "None"]
    bars = [line for line in axes.lines if line.get_marker() == "None"]
    assert [line.get_xdata()[0] for line in dots] == [5, 6, 14]
    assert [list(line.get_xdata()) for line in bars] == [[4.5, 5.5], [5.2, 6.7]]
    assert axes.get_title(loc="left") == "pose/synthetic v1" and axes.get_xlabel() == "angle error ↓"
    assert {"paco-tiny", "mae-tiny", "pixels", "5.00", "14.00"} <= texts(axes.figure)
    assert axes.get_ylim()[0] > axes.get_ylim()[1], "the first encoder stands on top"


def test_long_names_leave_room_for_the_axes() -> None:
    name = "paco:/a/very/long/way/to/the/folder/where/somebody/keeps/the/checkpoint/of/a/run-17"
    figure = draw(Chart("a", "", "", (Dots("t", "h", ((name, 1.0, 0.5, 1.5), ("b", 2.0, NAN, NAN)), 1),)))
    (short,) = [text for text in texts(figure) if text.startswith("…")]
    assert len(short) == 36 and name.endswith(short[1:])
    to_svg(figure)
    assert figure.axes[0].get_position().width > 0.3


def test_panels_stand_in_reading_order_with_one_legend() -> None:
    curves = (Curve("a", (0, 1, 2), (1, 2, 0), (0, 1, 0), (2, 3, 1)), Curve("b", (0, 1, 2), (4, 4, 5)))
    ticks = ((0.0, "clean"), (1.0, "1\n10 %"), (2.0, "2"))
    first = Lines("hand", "occlusion", "NME ↓", curves, ticks)
    second = Lines("scarf", "occlusion", "NME ↓", curves[:1], ticks)
    figure = draw(Chart("a", "", "", (first, None, None, second), 2, (("a", "3 seeds"),)))
    assert [axes.get_visible() for axes in figure.axes] == [True, False, False, True]
    axes = figure.axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["clean", "1\n10 %", "2"]
    assert list(axes.lines[1].get_ydata()) == [4, 4, 5] and len(axes.collections) == 1
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a (3 seeds)", "b"]


def test_a_logarithmic_axis_and_a_known_top() -> None:
    panel = Lines(
        "roc",
        "false accepts",
        "true accepts",
        (Curve("a", (0.01, 0.1, 1), (10, 50, 100)),),
        log=True,
        top=100.0,
    )
    (axes,) = draw(Chart("a", "", "", (panel,))).axes
    assert axes.get_xscale() == "log" and axes.get_ylim()[0] == 0 and axes.get_ylim()[1] > 100


def test_cells_carry_their_texts() -> None:
    shades = np.array([[0.67, 0.33], [0.0, 1.0]])
    panel = Cells("t", "predicted", "true", ("a", "b"), ("a", "b"), shades, (("67", "33"), ("", "100")))
    (axes,) = draw(Chart("a", "", "", (panel,))).axes
    assert [text.get_text() for text in axes.texts] == ["67", "33", "", "100"]
    assert axes.images[0].get_array()[1, 1, 3] == 1.0


def test_tile_puts_every_picture_in_its_place() -> None:
    pictures = np.arange(6, dtype=np.uint8).reshape(2, 3, 1, 1, 1).repeat(4, 2).repeat(4, 3).repeat(3, 4)
    sheet = tile(pictures, gap=2)
    assert sheet.shape == (10, 16, 4)
    assert sheet[7, 13, 0] == 5 and sheet[7, 13, 3] == 255 and sheet[4, 4, 3] == 0


def test_rows_of_pictures_are_named() -> None:
    faces = np.zeros((5, 16, 16, 3), np.uint8)
    figure = picture_rows({"original": faces, "corrupted": faces, "decoded": faces}, title="run")
    assert {"original", "corrupted", "decoded"} <= texts(figure)
    assert figure.axes[0].images[0].get_array().shape == (3 * 18 - 2, 5 * 18 - 2, 4)


def test_perplexity_is_the_effective_number_of_codes() -> None:
    np.testing.assert_allclose(perplexity(np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0]])), [2, 1, 0])


def test_saved_twice_is_saved_alike(tmp_path: Path) -> None:
    def figure() -> Figure:
        return draw(Chart("a", "", "", (Dots("<t> & co", "mae", DOTS.points, 2),)))

    first, second = save(figure(), tmp_path / "a"), save(figure(), tmp_path / "b.c")
    assert [path.name for path in second] == ["b.c.png", "b.c.svg", "b.c.pdf"]
    assert first[1].read_bytes() == second[1].read_bytes() and first[2].read_bytes() == second[2].read_bytes()
    assert first[2].read_bytes().startswith(b"%PDF")
    assert Image.open(first[0]).size[0] > 900
    svg = ElementTree.fromstring(to_svg(figure()))
    assert svg.tag.endswith("svg") and any("<t> & co" in (node.text or "") for node in svg.iter())
