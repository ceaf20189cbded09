"""Plots of scores: dots with intervals, few-shot and robustness curves, accuracy against cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from paco_eval.report.plots.style import (
    INK,
    MUTED,
    PAPER,
    Look,
    house_style,
    label_ends,
    log_axis,
    looks,
    new_figure,
    short_name,
)


def dot_and_interval(
    scores: pd.DataFrame,
    *,
    title: str,
    heading: str,
    look: Mapping[str, Look] | None = None,
    decimals: int = 2,
) -> Figure:
    """Return one line per encoder: the value as a mark, its interval as a bar, the number at the right.

    Args:
        scores: columns ``encoder``, ``value``, ``low``, ``high`` (NaN for none), first line on top; with
            a column ``published`` (bool) such values are drawn hollow.
        title: task and subset.
        heading: metric with unit and direction, under the axis.
        look: colours and marks shared by several plots; from the names if left out.
        decimals: digits of the printed numbers.

    """
    look = look or looks(scores.encoder)
    with house_style():
        figure, (axes,) = new_figure(5.0, 0.95 + 0.27 * max(2, len(scores)))
        for place, line in enumerate(scores.to_dict("records")):
            colour, mark = look[line["encoder"]].colour, look[line["encoder"]].mark
            if np.isfinite(line["low"]):
                ends = [line["low"], line["high"]]
                axes.plot(ends, [place, place], color=colour, linewidth=2.4, alpha=0.45)
            fill = PAPER if line.get("published", False) else colour
            axes.plot(
                [line["value"]], [place], mark, color=colour, markersize=6.5, markerfacecolor=fill,
                markeredgewidth=1.4,
            )  # fmt: skip
            said = f"{line['value']:.{decimals}f}" if np.isfinite(line["value"]) else "undefined"
            axes.annotate(
                said, (1, place), (6, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
                va="center", fontsize=9, color=INK,
            )  # fmt: skip
        axes.set_yticks(range(len(scores)), [short_name(str(name)) for name in scores.encoder])
        axes.set_ylim(len(scores) - 0.4, -0.6)
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(heading)
        axes.set_title(title, x=0)
        axes.margins(x=0.06)
    return figure


def _bands(
    axes: Axes, scores: pd.DataFrame, x: str, look: Mapping[str, Look], positions: Mapping[float, float]
) -> None:
    ends = []
    for encoder, lines in scores.groupby("encoder", sort=True):
        lines = lines.sort_values(x)
        at = [positions[value] for value in lines[x]]
        colour, mark = look[str(encoder)].colour, look[str(encoder)].mark
        axes.plot(at, lines.value, mark + "-", color=colour, markersize=4.5)
        if {"low", "high"} <= set(lines.columns):
            axes.fill_between(at, lines.low, lines.high, color=colour, alpha=0.13, linewidth=0)
        ends.append((str(encoder), at[-1], float(lines.value.iloc[-1]), colour))
    axes.margins(x=0.03)
    label_ends(axes, ends)


def _level_plot(
    scores: pd.DataFrame, x: str, *, title: str, xlabel: str, ylabel: str, ticks: Sequence[str]
) -> Figure:
    values = sorted(set(scores[x]))
    with house_style():
        figure, (axes,) = new_figure(5.4, 3.3)
        _bands(axes, scores, x, looks(scores.encoder), {value: i for i, value in enumerate(values)})
        axes.set_xticks(range(len(values)), list(ticks))
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)
        axes.set_title(title)
    return figure


def few_shot_curves(scores: pd.DataFrame, *, title: str, ylabel: str, unit: str) -> Figure:
    """Return scores against the amount of labelled training items, evenly spaced.

    Args:
        scores: columns ``encoder``, ``amount`` (infinite for all items), ``value`` and optionally ``low``,
            ``high`` and ``labelled``, the number of items that an amount came to.
        title: of the task.
        ylabel: metric with unit and direction.
        unit: of the amount, ``%`` or ``per class``.

    """
    amounts = sorted(set(scores.amount))
    ticks = ["all" if np.isinf(amount) else f"{amount:g} {unit}" for amount in amounts]
    if "labelled" in scores:
        counts = scores.groupby("amount").labelled.max()
        ticks = [
            tick if np.isnan(counts[amount]) else f"{tick}\nn = {counts[amount]:.0f}"
            for amount, tick in zip(amounts, ticks, strict=True)
        ]
    return _level_plot(
        scores, "amount", title=title, xlabel="labelled items used for training", ylabel=ylabel, ticks=ticks
    )  # fmt: skip


def accuracy_against_cost(scores: pd.DataFrame, *, title: str, xlabel: str, ylabel: str) -> Figure:
    """Return a score against a cost on a logarithmic axis, every point named.

    Args:
        scores: columns ``encoder``, ``cost`` (positive), ``value`` and optionally ``low``, ``high``.
        title: of the task.
        xlabel: the cost with its unit.
        ylabel: metric with unit and direction.

    """
    look = looks(scores.encoder)
    with house_style():
        figure, (axes,) = new_figure(5.0, 3.4)
        # Of points that nearly coincide the lower one is named below, so that both names can be read.
        spread = float(scores.value.max() - scores.value.min()) or 1.0
        named: list[tuple[float, float]] = []
        for line in scores.sort_values("value", ascending=False).to_dict("records"):
            x, y = float(line["cost"]), float(line["value"])
            colour, mark = look[line["encoder"]].colour, look[line["encoder"]].mark
            if np.isfinite(line.get("low", np.nan)):
                axes.plot([x, x], [line["low"], line["high"]], color=colour, linewidth=2, alpha=0.4)
            axes.plot([x], [y], mark, color=colour, markersize=7)
            crowded = any(abs(np.log10(x / a)) < 0.4 and abs(y - b) < 0.08 * spread for a, b in named)
            named.append((x, y))
            offset = (7, -11) if crowded else (7, 5)
            axes.annotate(
                short_name(line["encoder"]), (x, y), offset, textcoords="offset points", fontsize=9, color=colour
            )  # fmt: skip
        log_axis(axes)
        axes.margins(x=0.25, y=0.12)
        axes.tick_params(axis="x", which="minor", labelbottom=False)
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)
        axes.set_title(title)
        axes.spines["left"].set_color(MUTED)
    return figure
