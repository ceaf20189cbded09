"""Names of encoders are text in figures, tables and exports, whatever is in them."""

from __future__ import annotations

import csv
import io
import json
import warnings

import numpy as np
import pandas as pd
import pytest

from paco_eval.report.charts.panels import Chart, Curve, Lines
from paco_eval.report.page.svg import Ids, panel_svg
from paco_eval.report.plots.draw import draw
from paco_eval.report.plots.style import house_style, log_axis, new_figure, to_svg
from paco_eval.report.tables.formats import escape_latex, plain_cells
from paco_fr.export import without_places


@pytest.mark.parametrize("name", ["paco:runs/$a_{$", "$x^2$ <b>", r"\frac{1}{$", "a & b_c %"])
def test_a_dollar_sign_begins_no_formula(name: str) -> None:
    """An encoder ``paco:runs/$a_{$`` stopped the report; ``$x^2$`` was set as mathematics."""
    panel = Lines(name, "error (%)", "faces", (Curve(name, (0, 1), (2, 3)), Curve("other", (0, 1), (3, 4))))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        svg = to_svg(draw(Chart(name, "", "", (panel,))))
    told = name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert svg.count(told) >= 2
    inline = panel_svg(panel, Ids([name, "other"]))
    assert inline.count(told) >= 3 and "<b>" not in inline
    assert all(character in escape_latex("$") for character in r"\$")


def test_ticks_of_a_logarithmic_axis_are_plain() -> None:
    with house_style():
        figure, (axes,) = new_figure(3, 2)
        axes.plot([1e-4, 1], [0, 1])
        log_axis(axes)
    svg = to_svg(figure)
    assert "$" not in svg and "0.001" in svg


def test_no_cell_begins_a_formula() -> None:
    """``results.csv`` kept ``=HYPERLINK(...)``, which a spreadsheet carries out."""
    names = ['=HYPERLINK("http://x")', "+1", "-2+3", "@SUM(A1)", "\tx", "\r=1", "plain", "a=b", ""]
    table = pd.DataFrame({"encoder": names, "value": np.linspace(-1, 1, 9), "note": [None, *names[1:]]})
    lines = list(csv.reader(io.StringIO(plain_cells(table).to_csv(index=False), newline="")))[1:]
    assert not any(line[0].strip()[0] in "=+-@" for line in lines if line[0].strip())
    assert [line[0].removeprefix("'") for line in lines] == [
        name.replace("\t", " ").replace("\r", " ") for name in names
    ]
    assert [float(line[1]) for line in lines] == pytest.approx(
        np.linspace(-1, 1, 9)
    )  # numbers keep their sign


def test_exports_name_no_place_of_this_machine() -> None:
    """The README and the metadata of an export held the path of the training folder and names of skipped files."""
    card = {
        "config": {"data": {"source": "/home/someone/private/faces"}, "run": {"out": "~/runs/a"}},
        "command": "pretrain --data /srv/data/faces.parquet --out paco:/tmp/x/run",
        "home": "https://example.org/a/b",
        "relative": "faces/train and 1/2",
        "skipped": ["/home/someone/private/faces/me.jpg: damaged"],
        "seconds": 3,
    }
    told = without_places(card)
    text = json.dumps(told)
    assert not any(word in text for word in ("/home", "/srv", "/tmp", "someone", "me.jpg"))
    assert told["config"]["data"]["source"] == "faces"
    assert told["command"] == "pretrain --data faces.parquet --out paco:run"
    assert (told["home"], told["relative"]) == (card["home"], card["relative"])
    assert (told["skipped_count"], told["seconds"]) == (1, 3)
    assert "skipped" in card  # the card of the run itself stays as it is
