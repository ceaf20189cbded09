"""Plots of a pretraining run from its ``metrics.jsonl``: loss terms and the health of the codebook."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from paco_eval.report.plots.style import INK, MUTED, PALETTE, house_style, label_ends, looks, new_figure
from paco_fr.utils.errors import PacoError
from paco_fr.utils.untrusted import read_json_lines

TERMS = {
    "loss": "total loss",
    "reconstruction": "reconstruction loss",
    "belief": "belief loss",
    "spatial": "spatial loss",
}
"""Terms of the loss that a line of ``metrics.jsonl`` may carry."""

HEALTH = {
    "perplexity": "perplexity of nearest tokens (per cell)",
    "belief_perplexity": "perplexity of believed tokens (per cell)",
    "tokens_used": "tokens in use (share)",
    "tokens_believed": "tokens ever believed (share)",
    "belief_accuracy": "belief picks the nearest token (share)",
    "candidate_entropy": "entropy of the mixture (nats)",
    "token_error": "token error",
    "quantisation_error": "quantisation error",
}
"""Measures of the codebook that a line may carry."""


def read_metrics(path: str | Path) -> pd.DataFrame:
    """Return the lines of a ``metrics.jsonl`` with at least ``step`` and ``epoch``.

    A half-written last line, as a killed run leaves it, is passed over; any other bad line is an error.
    """
    frame = pd.DataFrame(read_json_lines(path, "Is it the log of a pretraining run?"))
    missing = {"step", "epoch"} - set(frame.columns)
    if missing:
        raise PacoError(
            f"{path}: no column {', '.join(sorted(missing))}. Is it the log of a pretraining run?"
        )
    return frame


def _smooth(values: pd.Series, window: int) -> pd.Series:
    return values.rolling(window, min_periods=1, center=True).mean()


def loss_curves(metrics: pd.DataFrame, *, title: str) -> Figure:
    """Return a panel per loss term over steps: every logged value faintly, a running mean on top.

    Args:
        metrics: from :func:`read_metrics`; terms are the columns named in :data:`TERMS`.
        title: of the run.

    """
    terms = {name: words for name, words in TERMS.items() if name in metrics and metrics[name].notna().any()}
    if not terms:
        raise PacoError(f"{title}: the log holds no loss.")
    return _panels(metrics, terms, title)


def codebook_health(metrics: pd.DataFrame, *, title: str) -> Figure:
    """Return a panel per measure in :data:`HEALTH` that the run logged, over steps."""
    found = {name: words for name, words in HEALTH.items() if name in metrics and metrics[name].notna().any()}
    if not found:
        raise PacoError(f"{title}: the log holds no measure of codebook health.")
    return _panels(metrics, found, title)


def has_codebook(metrics: pd.DataFrame) -> bool:
    """Say whether a run logged any measure of codebook health; MAE and SimMIM have none."""
    return any(name in metrics and metrics[name].notna().any() for name in HEALTH)


def _panels(metrics: pd.DataFrame, names: Mapping[str, str], title: str) -> Figure:
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    # Epochs end where the epoch number changes; the first end is where incubation is over.
    ends = metrics.step[metrics.epoch.diff().fillna(0) > 0].tolist()
    with house_style():
        figure, panels = new_figure(0.4 + 2.9 * columns, 0.3 + 2.1 * rows, rows, columns)
        for axes, (name, words) in zip(panels, names.items(), strict=False):
            values = metrics[["step", name]].dropna()
            axes.plot(values.step, values[name], color=PALETTE[0], linewidth=0.7, alpha=0.35)
            smooth = _smooth(values[name], max(1, len(values) // 40))
            axes.plot(values.step, smooth, color=PALETTE[0])
            for i, end in enumerate(ends[:1]):
                axes.axvline(end, color=MUTED, linewidth=0.7, linestyle=(0, (2, 3)))
                if i == 0 and axes is panels[0]:
                    axes.annotate(
                        "epoch 1 ends", (end, 1), (3, -2), xycoords=("data", "axes fraction"),
                        textcoords="offset points", fontsize=7, color=MUTED, va="top",
                    )  # fmt: skip
            axes.annotate(
                f"{smooth.iloc[-1]:.3g}", (values.step.iloc[-1], smooth.iloc[-1]), (4, 0),
                textcoords="offset points", fontsize=9, color=INK, va="center", annotation_clip=False,
            )  # fmt: skip
            axes.set_title(words, fontsize=9, fontweight="normal")
            axes.margins(x=0.02)
            axes.set_xlabel("step")
        for axes in panels[len(names) :]:
            axes.set_visible(False)
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
    return figure


def compare_losses(runs: Mapping[str, pd.DataFrame], term: str, *, title: str) -> Figure:
    """Return one loss term of several runs in one panel, where their terms mean the same.

    Args:
        runs: name to metrics from :func:`read_metrics`.
        term: a column of all of them.
        title: of the figure.

    """
    look = looks(runs)
    with house_style():
        figure, (axes,) = new_figure(5.4, 3.2)
        ends = []
        for name, metrics in runs.items():
            values = metrics[["step", term]].dropna()
            smooth = _smooth(values[term], max(1, len(values) // 40))
            axes.plot(values.step, smooth, color=look[name].colour)
            ends.append((name, float(values.step.iloc[-1]), float(smooth.iloc[-1]), look[name].colour))
        axes.set_xlim(0, max(end[1] for end in ends) or 1)
        axes.set_xlabel("step")
        axes.set_ylabel(TERMS.get(term, term))
        axes.set_title(title)
        label_ends(axes, ends)
    return figure
