"""Figures of controlled factors: a score against severity or a true angle, and a map of angle by severity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from paco_eval.plots.style import INK, PAPER, house_style, label_ends, looks, new_figure, short_name

_BLUE = "#0072b2"
_COLUMNS = 4


@dataclass(frozen=True)
class Panel:
    """Curves of one kind or task.

    Attributes:
        name: above the panel.
        ylabel: metric with unit and direction.
        scores: columns ``encoder``, ``level`` (0 is clean), ``value``, and ``low`` and ``high`` of a band, NaN for none.

    """

    name: str
    ylabel: str
    scores: pd.DataFrame


def robustness_curves(panels: Sequence[Panel], *, title: str, factor: str, shared: bool) -> Figure:
    """Return scores against the severity of a perturbation in panels side by side, with one legend.

    Args:
        panels: at least one.
        title: of the figure.
        factor: what grows with the level, e.g. occlusion.
        shared: whether all panels have the same vertical axis.

    """
    names = sorted({str(name) for panel in panels for name in panel.scores.encoder})
    look, rows = looks(names), -(-len(panels) // _COLUMNS)
    columns = -(-len(panels) // rows)
    with house_style():
        figure, axes = new_figure(1.0 + 2.6 * columns, 1.2 + 2.2 * rows, rows, columns)
        for unused in axes[len(panels) :]:
            unused.set_visible(False)
        for number, (at, panel) in enumerate(zip(axes, panels, strict=False)):
            for encoder, line in panel.scores.sort_values("level").groupby("encoder"):
                style = look[str(encoder)]
                at.plot(line.level, line.value, style.mark + "-", color=style.colour, markersize=4)
                at.fill_between(line.level, line.low, line.high, color=style.colour, alpha=0.13, linewidth=0)
            levels = sorted(set(panel.scores.level))
            at.set_xticks(levels, ["clean" if level == 0 else f"{level:g}" for level in levels])
            at.set_title(panel.name, fontsize=9.5)
            if number % columns == 0 or not shared:
                at.set_ylabel(panel.ylabel)
            if number + columns >= len(panels):
                at.set_xlabel(f"{factor}, level")
        if shared:
            limits = np.array([at.get_ylim() for at in axes[: len(panels)]])
            for at in axes[: len(panels)]:
                at.set_ylim(limits[:, 0].min(), limits[:, 1].max())
        handles = [
            Line2D(
                [], [], color=look[name].colour, marker=look[name].mark, markersize=4, label=short_name(name)
            )
            for name in names
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=min(len(names), columns + 1))
        figure.suptitle(title, x=0.01, ha="left", fontsize=10.5, fontweight="bold")
    return figure


def score_against_angle(bins: Mapping[str, pd.DataFrame], *, title: str, xlabel: str, ylabel: str) -> Figure:
    """Return the score of each encoder in bins of an angle.

    Args:
        bins: encoder to what :func:`paco_eval.robustness.by_angle` returns.
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
