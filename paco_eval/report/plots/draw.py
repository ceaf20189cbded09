"""Charts in matplotlib's ink, for files that papers take in: PNG, SVG and PDF."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from paco_eval.report.charts.panels import Cells, Chart, Dots, Lines, Panel
from paco_eval.report.plots.style import (
    DASHES,
    INK,
    PAPER,
    Look,
    family_of,
    house_style,
    log_axis,
    looks,
    new_figure,
    short_name,
)

BLUE = "#0072b2"


def draw(chart: Chart, look: Mapping[str, Look] | None = None, title: str = "") -> Figure:
    """Return a chart as a figure with one legend below.

    Args:
        chart: what to draw.
        look: colours and marks shared by several charts; from the labels if left out.
        title: above all panels.

    """
    look = {**looks(chart.labels), **(look or {})}
    panels = chart.panels
    rows = -(-len(panels) // chart.across)
    columns = -(-len(panels) // rows)
    width, height = _size(next(panel for panel in panels if panel is not None), columns, rows)
    with house_style():
        figure, axes = new_figure(width, height + (0.3 if title else 0.0), rows, columns)
        for number, at in enumerate(axes):
            panel = panels[number] if number < len(panels) else None
            if panel is None:
                at.set_visible(False)
            elif isinstance(panel, Lines):
                _lines(at, panel, look)
            elif isinstance(panel, Dots):
                _dots(at, panel, look)
            else:
                _cells(at, panel)
        if any(isinstance(panel, Lines) for panel in panels):
            _legend(figure, chart, look)
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontsize=10.5, fontweight="bold")
    return figure


def _size(panel: Panel, columns: int, rows: int) -> tuple[float, float]:
    if isinstance(panel, Lines):
        return (5.4, 4.0) if columns == rows == 1 else (1.0 + 2.7 * columns, 1.3 + 2.2 * rows)
    if isinstance(panel, Dots):
        return 5.0, 0.95 + 0.27 * max(2, len(panel.points))
    high, wide = panel.shades.shape
    return (1.9 + 0.45 * wide) * columns, (1.5 + 0.42 * high) * rows


def _line(label: str, look: Mapping[str, Look], dense: bool) -> dict[str, Any]:
    """Return how a line is drawn; what learned nothing is dashed, so that greys are told apart."""
    own = look[label]
    dashes = DASHES.get(family_of(label), "-")
    mark = "" if dense else own.mark
    return {"color": own.colour, "marker": mark, "linestyle": dashes, "markersize": 4, "linewidth": 1.6}


def _lines(at: Axes, panel: Lines, look: Mapping[str, Look]) -> None:
    for curve in panel.curves:
        at.plot(curve.x, curve.y, **_line(curve.label, look, panel.dense))
        if curve.low and len(curve.x) > 1:
            colour = look[curve.label].colour
            at.fill_between(curve.x, curve.low, curve.high, color=colour, alpha=0.13, linewidth=0)
        elif curve.low:
            at.plot(
                [curve.x[0]] * 2, [curve.low[0], curve.high[0]], color=look[curve.label].colour, alpha=0.4
            )
    if panel.log:
        log_axis(at)
    if panel.ticks:
        at.set_xticks([x for x, _ in panel.ticks], [name for _, name in panel.ticks])
    if panel.top is not None:
        at.set_ylim(0, 1.01 * panel.top)
    at.margins(x=0.02)
    at.set_xlabel(panel.xlabel)
    at.set_ylabel(panel.ylabel)
    at.set_title(panel.title, fontsize=8.5)


def _dots(at: Axes, panel: Dots, look: Mapping[str, Look]) -> None:
    for place, (label, value, low, high) in enumerate(panel.points):
        colour, mark = look[label].colour, look[label].mark
        if np.isfinite(low):
            at.plot([low, high], [place, place], color=colour, linewidth=2.4, alpha=0.45)
        at.plot([value], [place], mark, color=colour, markersize=6.5, markeredgewidth=1.4)
        said = f"{value:.{panel.decimals}f}" if np.isfinite(value) else "undefined"
        at.annotate(
            said, (1, place), (6, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
            va="center", fontsize=9, color=INK,
        )  # fmt: skip
    at.set_yticks(range(len(panel.points)), [short_name(label) for label, *_ in panel.points])
    at.set_ylim(len(panel.points) - 0.4, -0.6)
    at.grid(visible=False, axis="y")
    at.spines["left"].set_visible(False)
    at.set_xlabel(panel.xlabel)
    at.set_title(panel.title, x=0)
    at.margins(x=0.06)


def _cells(at: Axes, panel: Cells) -> None:
    # Opacity instead of a pale end of the scale: the same figure works on a light and on a dark page.
    colours = np.broadcast_to(np.array([*to_rgb(BLUE), 1.0]), (*panel.shades.shape, 4)).copy()
    colours[..., 3] = 0.04 + 0.96 * np.clip(panel.shades, 0, 1)
    at.imshow(colours, interpolation="none", aspect="auto")
    for (row, column), shade in np.ndenumerate(panel.shades):
        tone = PAPER if shade > 0.5 else INK
        at.text(column, row, panel.texts[row][column], ha="center", va="center", fontsize=8, color=tone)
    turned: dict[str, Any] = {}
    if max(map(len, panel.columns)) > 4:
        turned = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
    at.set_xticks(range(len(panel.columns)), panel.columns, **turned)
    at.set_yticks(range(len(panel.rows)), panel.rows)
    at.grid(visible=False)
    for spine in at.spines.values():
        spine.set_visible(False)
    at.set_xlabel(panel.xlabel)
    at.set_ylabel(panel.ylabel)
    at.set_title(panel.title, fontsize=9)


def _legend(figure: Figure, chart: Chart, look: Mapping[str, Look]) -> None:
    notes = {label: f" ({note})" for label, note in chart.notes}
    names = [short_name(label) + notes.get(label, "") for label in chart.labels]
    handles = [
        Line2D([], [], **_line(label, look, False), label=name)
        for label, name in zip(chart.labels, names, strict=True)
    ]
    widest = 0.6 + 0.075 * max(map(len, names))  # inches
    ncols = max(1, min(len(names), int(figure.get_figwidth() / widest)))
    figure.legend(handles=handles, loc="outside lower center", ncols=ncols)
