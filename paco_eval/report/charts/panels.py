"""What a report draws, as data: panels of curves, of dots and of shaded cells. Two inks draw them.

:mod:`paco_eval.report.page.svg` for the page, :mod:`paco_eval.report.plots.draw` for files that papers take in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from paco_eval.analysis.columns import line_order

MOST_CURVES = 8
"""Curves in one panel; more cannot be told apart."""
MOST_POINTS = 90
"""Points of a curve; what lies between cannot be seen."""


@dataclass(frozen=True)
class Curve:
    """One encoder's line.

    Attributes:
        label: line of a table, or name of a run.
        x: ascending.
        y: as many.
        low: lower end of a band, NaN where there is none; empty for no band.
        high: upper end.

    """

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


@dataclass(frozen=True)
class Lines:
    """Curves over one axis.

    Attributes:
        title: above.
        xlabel: below, with its unit.
        ylabel: of the vertical axis, with unit and direction.
        curves: at most :data:`MOST_CURVES`.
        ticks: named places of the horizontal axis; else it finds its own.
        log: whether the horizontal axis is logarithmic.
        dense: whether points are too many to be marked.
        top: upper end of the vertical axis, where it is known; then the lower one is 0.

    """

    title: str
    xlabel: str
    ylabel: str
    curves: tuple[Curve, ...]
    ticks: tuple[tuple[float, str], ...] = ()
    log: bool = False
    dense: bool = False
    top: float | None = None


@dataclass(frozen=True)
class Dots:
    """A value with its interval for each encoder, first on top.

    Attributes:
        title: above.
        xlabel: below, with unit and direction.
        points: label, value, low and high, NaN where there is none.
        decimals: digits of the printed numbers.

    """

    title: str
    xlabel: str
    points: tuple[tuple[str, float, float, float], ...]
    decimals: int


@dataclass(frozen=True)
class Cells:
    """Shaded cells with a text each, as a confusion matrix.

    Attributes:
        title: above.
        xlabel: below the columns.
        ylabel: beside the rows.
        rows: names, first on top.
        columns: names.
        shades: (R, C) from 0 to 1, the darker the nearer to 1.
        texts: (R, C), written into the cells.

    """

    title: str
    xlabel: str
    ylabel: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    shades: npt.NDArray[np.float64]
    texts: tuple[tuple[str, ...], ...]


Panel = Lines | Dots | Cells


@dataclass(frozen=True)
class Chart:
    """A figure: panels in reading order, None leaves a place empty.

    Attributes:
        name: as a file.
        task: that it belongs to, empty for several or none.
        caption: printed under it.
        panels: of one kind.
        across: at most so many side by side.
        notes: what the legend says beside a label, e.g. over how many seeds its curve is a mean.

    """

    name: str
    task: str
    caption: str
    panels: tuple[Panel | None, ...]
    across: int = 4
    notes: tuple[tuple[str, str], ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """The lines that it shows, each once."""
        found: dict[str, None] = {}
        for panel in self.panels:
            if isinstance(panel, Lines):
                found |= dict.fromkeys(curve.label for curve in panel.curves)
            elif isinstance(panel, Dots):
                found |= dict.fromkeys(label for label, *_ in panel.points)
        return tuple(found)


def slug(text: str) -> str:
    """Return text as part of an address: lower case letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def few(ranked: Iterable[str]) -> list[str]:
    """Return which of many lines, best first, are drawn: the best, and what learned nothing."""
    labels = list(ranked)
    floor = [label for label in labels if line_order(label)[0]][-3:]
    best = [label for label in labels if label not in floor][: MOST_CURVES - len(floor)]
    kept = {*best, *floor}
    return [label for label in labels if label in kept]


def thinned(x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return a dense curve with at most :data:`MOST_POINTS` points, its ends kept."""
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    keep = np.unique(np.linspace(0, len(x) - 1, min(MOST_POINTS, len(x))).round().astype(int))
    return tuple(x[keep].tolist()), tuple(y[keep].tolist())


def nice_ticks(low: float, high: float, wanted: int = 4) -> list[float]:
    """Return round numbers from low to high, about so many."""
    if not np.isfinite([low, high]).all() or high <= low:
        return [low]
    raw = (high - low) / wanted
    power = 10.0 ** np.floor(np.log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw * 0.999)
    first = np.ceil(low / step - 1e-9) * step
    return [round(float(first + i * step), 10) for i in range(int((high - first) / step + 1e-9) + 1)]


def limits(values: Sequence[float], pad: float = 0.06) -> tuple[float, float]:
    """Return the ends of an axis that holds all finite values, with a little room."""
    known = [value for value in values if np.isfinite(value)]
    if not known:
        return 0.0, 1.0
    low, high = min(known), max(known)
    room = pad * (high - low) or pad * abs(high) or 1.0
    return low - room, high + room


def relabelled(chart: Chart, titles: Mapping[str, str]) -> Chart:
    """Return a chart whose lines are called what tables call them."""

    def named(panel: Panel | None) -> Panel | None:
        if isinstance(panel, Lines):
            own = tuple(replace(curve, label=titles.get(curve.label, curve.label)) for curve in panel.curves)
            return replace(panel, curves=own)
        if isinstance(panel, Dots):
            return replace(
                panel,
                points=tuple(
                    (titles.get(label, label), value, low, high) for label, value, low, high in panel.points
                ),
            )
        return panel

    return replace(chart, panels=tuple(named(panel) for panel in chart.panels))
