"""Plots computed from items: cumulative error, ROC and DET, error against yaw, confusion matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from scipy.stats import norm

from paco_eval.report.plots.style import (
    INK,
    MUTED,
    house_style,
    label_ends,
    log_axis,
    looks,
    new_figure,
    short_name,
)
from paco_fr.utils.types import Array

YAW_STEP = 15.0
"""Width of a bin of the true yaw, in degrees."""


def cumulative_error(errors: Mapping[str, npt.ArrayLike], *, title: str, xlabel: str, limit: float) -> Figure:
    """Return for each encoder the share of items with at most a given error, up to ``limit``.

    Args:
        errors: encoder to errors (n,); NaN is a failure and stays above every limit.
        title: of the task.
        xlabel: the error with its unit.
        limit: right end of the axis, usually the failure threshold of the task.

    """
    look = looks(errors)
    with house_style():
        figure, (axes,) = new_figure(5.4, 3.3)
        ends = []
        for encoder, values in errors.items():
            found = np.asarray(values, dtype=np.float64)
            ordered = np.sort(found[np.isfinite(found) & (found <= limit)])
            share = 100 * np.arange(len(ordered) + 1) / max(1, len(found))
            axes.step([0, *ordered, limit], [*share, share[-1]], where="post", color=look[encoder].colour)
            ends.append((encoder, limit, float(share[-1]), look[encoder].colour))
        axes.set_xlim(0, limit)
        axes.set_ylim(0, 101)
        axes.set_xlabel(xlabel)
        axes.set_ylabel("items with at most this error (%)")
        axes.set_title(title)
        label_ends(axes, ends)
    return figure


def roc_points(truth: npt.ArrayLike, score: npt.ArrayLike) -> tuple[Array, Array]:
    """Return false and true positive rates (k,) from (0, 0) to (1, 1); equal scores share one point."""
    positive = np.asarray(truth, dtype=bool)
    values = np.asarray(score, dtype=np.float64)
    order = np.argsort(-values, kind="stable")
    last = np.append(np.flatnonzero(np.diff(values[order])), len(order) - 1)
    hits = np.cumsum(positive[order])[last]
    false = last + 1 - hits
    rates = [false / max(1, (~positive).sum()), hits / max(1, positive.sum())]
    return np.append(0.0, rates[0]), np.append(0.0, rates[1])


def roc(pairs: Mapping[str, tuple[npt.ArrayLike, npt.ArrayLike]], *, title: str) -> Figure:
    """Return receiver operating characteristics with a logarithmic false accept rate.

    Args:
        pairs: encoder to truth (n,) of booleans and score (n,), higher for the same person.
        title: of the task.

    """
    look = looks(pairs)
    impostors = max(int((~np.asarray(truth, dtype=bool)).sum()) for truth, _ in pairs.values())
    # Below one accepted impostor there is nothing to see.
    least = 10.0 ** np.floor(np.log10(1 / max(10, impostors)))
    with house_style():
        figure, (axes,) = new_figure(5.4, 3.5)
        grid = np.logspace(np.log10(least), 0, 200)
        axes.plot(grid, 100 * grid, color=MUTED, linewidth=0.8, linestyle=(0, (2, 3)))
        ends = []
        for encoder, (truth, score) in pairs.items():
            false, true = roc_points(truth, score)
            axes.step(np.maximum(false, least), 100 * true, where="post", color=look[encoder].colour)
            middle = 100 * float(true[np.searchsorted(false, 0.1, side="right") - 1])
            ends.append((middle, encoder))
        log_axis(axes)
        axes.set_xlim(least, 1)
        axes.set_ylim(0, 101)
        axes.set_xlabel("false accepts (share of impostor pairs)")
        axes.set_ylabel("true accepts (%)")
        axes.set_title(title)
        # All curves end in one point, so the names stand in the order of the curves at 10 % false accepts.
        for place, (middle, encoder) in enumerate(sorted(ends, reverse=True)):
            axes.text(
                0.02, 0.97 - 0.075 * place, f"{short_name(encoder)}  {middle:.0f} % at 0.1", transform=axes.transAxes,
                color=look[encoder].colour, fontsize=9, va="top",
            )  # fmt: skip
    return figure


DET_TICKS = (0.001, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99)
"""Shares that are named on the axes of a DET."""


def det(pairs: Mapping[str, tuple[npt.ArrayLike, npt.ArrayLike]], *, title: str) -> Figure:
    """Return detection error trade-offs: false rejects against false accepts, both on normal deviates.

    On these axes the curve of normally distributed scores is a straight line, and all of them are spread out
    where an ROC crowds them into a corner (Martin et al. 1997).

    Args:
        pairs: encoder to truth (n,) of booleans and score (n,), higher for the same person.
        title: of the task.

    """
    look = looks(pairs)
    counts = [np.bincount(np.asarray(truth, dtype=bool), minlength=2) for truth, _ in pairs.values()]
    # Half a pair stands for none, which has no normal deviate.
    least = min(0.5 / max(1, int(count)) for pair in counts for count in pair)
    least = max(1e-6, min(0.01, least))
    with house_style():
        figure, (axes,) = new_figure(5.4, 3.6)
        ends = []
        for encoder, (truth, score) in pairs.items():
            false, true = roc_points(truth, score)
            axes.plot(
                norm.ppf(np.clip(false, least, 1 - least)), norm.ppf(np.clip(1 - true, least, 1 - least)),
                color=look[encoder].colour,
            )  # fmt: skip
            equal = int(np.argmin(np.abs(false - (1 - true))))
            ends.append((50 * float(false[equal] + 1 - true[equal]), encoder))
        low, high = float(norm.ppf(least)), float(norm.ppf(1 - least))
        axes.plot(
            [low, high], [low, high], color=MUTED, linewidth=0.8, linestyle=(0, (2, 3))
        )  # equal error rates
        ticks = [tick for tick in DET_TICKS if least <= tick <= 1 - least]
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_ticks(norm.ppf(ticks), [f"{100 * tick:g}" for tick in ticks])
        axes.set_xlim(low, high)
        axes.set_ylim(low, high)
        axes.set_xlabel("false accepts (% of impostor pairs)")
        axes.set_ylabel("false rejects (% of genuine pairs)")
        axes.set_title(title)
        # Bad curves fill the corner that good ones leave free, so the names stand outside, best first.
        for place, (error, encoder) in enumerate(sorted(ends)):
            axes.text(
                1.03, 1 - 0.075 * place, f"{short_name(encoder)}  {error:.1f} %", transform=axes.transAxes,
                color=look[encoder].colour, fontsize=9, va="top",
            )  # fmt: skip
    return figure


def binned_means(x: npt.ArrayLike, y: npt.ArrayLike, edges: Sequence[float]) -> tuple[Array, Array, Array]:
    """Return centre, mean and standard error (k,) of y in each bin of x that holds at least 3 items."""
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    found = []
    for low, high in pairwise(edges):
        inside = y[(x >= low) & (x < high) & np.isfinite(y)]
        if len(inside) >= 3:
            found.append(((low + high) / 2, inside.mean(), inside.std(ddof=1) / np.sqrt(len(inside))))
    return tuple(np.array(found).reshape(-1, 3).T)  # type: ignore[return-value]


def error_against_yaw(
    errors: Mapping[str, tuple[npt.ArrayLike, npt.ArrayLike]], *, title: str, ylabel: str
) -> Figure:
    """Return the mean error in bins of the true yaw, with a band of one standard error.

    Args:
        errors: encoder to true yaw (n,) in degrees and error (n,).
        title: of the task.
        ylabel: the error with its unit.

    """
    look = looks(errors)
    edges = list(np.arange(-90, 90 + YAW_STEP, YAW_STEP))
    with house_style():
        figure, (axes,) = new_figure(5.4, 3.3)
        ends = []
        for encoder, (yaw, error) in errors.items():
            centre, mean, deviation = binned_means(yaw, error, edges)
            colour, mark = look[encoder].colour, look[encoder].mark
            axes.plot(centre, mean, mark + "-", color=colour, markersize=4)
            axes.fill_between(
                centre, mean - deviation, mean + deviation, color=colour, alpha=0.15, linewidth=0
            )
            if len(centre):
                ends.append((encoder, centre[-1], mean[-1], colour))
        axes.set_ylim(bottom=0)
        axes.margins(x=0.02)
        axes.set_xlabel("true yaw (°), positive: nose to the left of the picture")
        axes.set_ylabel(ylabel)
        axes.set_title(title)
        label_ends(axes, ends)
    return figure


def confusion_matrix(
    truth: Sequence[str], prediction: Sequence[str], *, title: str, classes: Sequence[str]
) -> Figure:
    """Return a matrix of percentages, each row (true class) summing to 100, its count at the right.

    Args:
        truth: true class names (n,).
        prediction: predicted class names (n,).
        title: of task and encoder.
        classes: order of rows and columns.

    """
    place = {name: i for i, name in enumerate(classes)}
    counts = np.zeros((len(classes), len(classes)))
    np.add.at(counts, ([place[name] for name in truth], [place[name] for name in prediction]), 1)
    total = counts.sum(axis=1)
    share = counts / np.maximum(1, total)[:, None]
    with house_style():
        side = 1.6 + 0.42 * len(classes)
        figure, (axes,) = new_figure(side + 0.5, side)
        # Opacity instead of a pale end of the scale: the same figure works on a light and on a dark page.
        colours = np.broadcast_to(np.array([*to_rgb("#0072b2"), 1.0]), (*share.shape, 4)).copy()
        colours[..., 3] = 0.04 + 0.96 * share
        axes.imshow(colours, interpolation="none")
        for i, j in np.ndindex(*share.shape):
            if counts[i, j]:
                axes.text(
                    j, i, f"{100 * share[i, j]:.0f}", ha="center", va="center", fontsize=9,
                    color="#ffffff" if share[i, j] > 0.45 else INK,
                )  # fmt: skip
        names = [name.replace("_", " ") for name in classes]
        axes.set_xticks(range(len(classes)), names, rotation=40, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(classes)), names)
        for i, count in enumerate(total):
            axes.text(len(classes) - 0.35, i, f"n {count:.0f}", va="center", fontsize=7, color=MUTED)
        axes.grid(visible=False)
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        axes.set_title(title)
    return figure
