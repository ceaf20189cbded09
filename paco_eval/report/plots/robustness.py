"""Figures of controlled factors: a score against severity or a true angle, and a map of angle by severity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from paco_eval.analysis.robustness import CONSTANT
from paco_eval.report.plots.style import (
    DASHES,
    INK,
    MUTED,
    PAPER,
    Look,
    family_of,
    house_style,
    label_ends,
    looks,
    new_figure,
    short_name,
)

_BLUE = "#0072b2"
_COLUMNS = 4


@dataclass(frozen=True)
class Panel:
    """Curves of one kind or task.

    Attributes:
        name: above the panel.
        ylabel: metric with unit and direction.
        xlabel: what grows with the level.
        scores: columns ``encoder``, ``level`` (0 is clean), ``value``, and ``low`` and ``high`` of a band, NaN for none.
        achieved: what stands under a level, such as the share of the face that is hidden there.

    """

    name: str
    ylabel: str
    xlabel: str
    scores: pd.DataFrame
    achieved: Mapping[int, str] = field(default_factory=dict)


def robustness_curves(
    panels: Sequence[Panel | None],
    *,
    title: str,
    shared: bool,
    columns: int = _COLUMNS,
    notes: Mapping[str, str] | None = None,
) -> Figure:
    """Return scores against the severity of a perturbation in a grid of panels, with one legend.

    A score of ``constant`` far from all others is written in the corner, or it would press these together.

    Args:
        panels: at least one, in reading order; None leaves a place empty.
        title: of the figure.
        shared: whether all panels have the same vertical axis.
        columns: at most so many side by side.
        notes: what the legend says beside a name, e.g. over how many seeds its curve is a mean.

    """
    drawn = [panel for panel in panels if panel is not None]
    names = list(dict.fromkeys(str(name) for panel in drawn for name in panel.scores.encoder))
    look, rows = looks(names), -(-len(panels) // columns)
    columns = -(-len(panels) // rows)
    with house_style():
        figure, axes = new_figure(1.0 + 2.7 * columns, 1.3 + 2.2 * rows, rows, columns)
        for number, at in enumerate(axes):
            panel = panels[number] if number < len(panels) else None
            if panel is None:
                at.set_visible(False)
                continue
            outside = _far_constant(pd.concat([p.scores for p in drawn]) if shared else panel.scores)
            for encoder, line in panel.scores.sort_values("level").groupby("encoder"):
                if family_of(str(encoder)) == CONSTANT and outside:
                    at.text(
                        0.02, 0.97 if outside > 0 else 0.03, f"{encoder}: {line.value.mean():.4g}", ha="left",
                        va="top" if outside > 0 else "bottom", transform=at.transAxes, fontsize=8, color=MUTED,
                    )  # fmt: skip
                    continue
                at.plot(line.level, line.value, **_line(str(encoder), look))
                colour = look[str(encoder)].colour
                at.fill_between(line.level, line.low, line.high, color=colour, alpha=0.13, linewidth=0)
            levels = sorted(set(panel.scores.level))
            at.set_xticks(levels, [_tick(level, panel) for level in levels])
            at.set_title(panel.name, fontsize=8.5)
            if number % columns == 0 or not shared:
                at.set_ylabel(panel.ylabel)
            below = panels[number + columns] if number + columns < len(panels) else None
            if below is None or below.xlabel != panel.xlabel:
                at.set_xlabel(panel.xlabel)
        shown = [at for at in axes if at.get_visible()]
        if shared:
            limits = np.array([at.get_ylim() for at in shown])
            for at in shown:
                at.set_ylim(limits[:, 0].min(), limits[:, 1].max())
        said = {name: f" ({note})" for name, note in (notes or {}).items()}
        labels = [short_name(name) + said.get(name, "") for name in names]
        handles = [
            Line2D([], [], **_line(name, look), label=label)
            for name, label in zip(names, labels, strict=True)
        ]
        widest = 0.6 + 0.075 * max(map(len, labels))  # inches
        ncols = max(1, min(len(names), int(figure.get_figwidth() / widest)))
        figure.legend(handles=handles, loc="outside lower center", ncols=ncols)
        figure.suptitle(title, x=0.01, ha="left", fontsize=10.5, fontweight="bold")
    return figure


def _far_constant(scores: pd.DataFrame) -> int:
    """Return 1 where ``constant`` lies further above all others than half of what these span, -1 below, else 0."""
    floor = scores.encoder.map(family_of) == CONSTANT
    others, value = scores.value[~floor], scores.value[floor]
    if others.empty or value.empty:
        return 0
    room = (others.max() - others.min()) / 2
    return int(value.min() > others.max() + room) - int(value.max() < others.min() - room)


def _tick(level: int, panel: Panel) -> str:
    name = "clean" if level == 0 else f"{level:g}"
    return f"{name}\n{panel.achieved[level]}" if level in panel.achieved else name


def _line(name: str, look: Mapping[str, Look]) -> dict[str, Any]:
    """Return how the line of an encoder is drawn; what learned nothing is dashed, so that greys are told apart."""
    own = look[name]
    dashes = DASHES.get(family_of(name), "-")
    return {"color": own.colour, "marker": own.mark, "linestyle": dashes, "markersize": 4, "linewidth": 1.6}


def score_against_angle(bins: Mapping[str, pd.DataFrame], *, title: str, xlabel: str, ylabel: str) -> Figure:
    """Return the score of each encoder in bins of an angle.

    Args:
        bins: encoder to what :func:`paco_eval.analysis.robustness.by_angle` returns.
        title: of the task.
        xlabel: the angle with its unit and sign.
        ylabel: metric with unit and direction.

    """
    look = looks(bins)
    with house_style():
        figure, (axes,) = new_figure(5.6, 3.3)
        ends = []
        for encoder, table in bins.items():
            known = table[table.value.notna()]
            centre = ((known.low + known.high) / 2).to_numpy()
            style = look[encoder]
            axes.plot(centre, known.value, style.mark + "-", color=style.colour, markersize=4)
            if len(known):
                ends.append((encoder, float(centre[-1]), float(known.value.iloc[-1]), style.colour))
        axes.margins(x=0.02)
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)
        axes.set_title(title)
        label_ends(axes, ends)
    return figure


def heat_map(
    values: npt.NDArray[np.floating], *, levels: Sequence[int], edges: Sequence[float], title: str, xlabel: str,
    ylabel: str, higher_is_better: bool,
) -> Figure:  # fmt: skip
    """Return a score by angle (columns) and severity (rows); the darker, the worse.

    Args:
        values: (L, B), NaN where there is none.
        levels: (L,) from clean to severe.
        edges: (B + 1,) of the bins in degrees.
        title: of task and encoder.
        xlabel: the angle with its unit and sign.
        ylabel: what grows with the level.
        higher_is_better: direction of the score.

    """
    low, high = (np.nanmin(values), np.nanmax(values)) if np.isfinite(values).any() else (0.0, 1.0)
    bad = (high - values if higher_is_better else values - low) / max(float(high - low), 1e-12)
    with house_style():
        figure, (axes,) = new_figure(1.5 + 0.52 * values.shape[1], 1.2 + 0.42 * values.shape[0])
        colours = np.broadcast_to(np.array([*to_rgb(_BLUE), 1.0]), (*values.shape, 4)).copy()
        colours[..., 3] = np.where(np.isfinite(values), 0.05 + 0.95 * bad, 0.0)
        axes.imshow(colours, interpolation="none", aspect="auto", origin="lower")
        digits = 2 if high <= 1.0 else 1
        for (row, column), value in np.ndenumerate(values):
            text = f"{value:.{digits}f}" if np.isfinite(value) else "–"
            tone = PAPER if np.isfinite(value) and bad[row, column] > 0.5 else INK
            axes.text(column, row, text, ha="center", va="center", fontsize=7, color=tone)
        axes.set_xticks(np.arange(len(edges)) - 0.5, [f"{edge:g}" for edge in edges])
        axes.set_yticks(range(len(levels)), ["clean" if level == 0 else str(level) for level in levels])
        axes.grid(visible=False)
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)
        axes.set_title(title)
    return figure
