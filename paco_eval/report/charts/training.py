"""Curves of pretraining runs from their ``metrics.jsonl``: loss terms and the health of the codebook."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from paco_eval.report.charts.panels import MOST_CURVES, Chart, Curve, Lines, thinned
from paco_eval.rows.artefacts import Pretraining
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


def _curve(label: str, metrics: pd.DataFrame, name: str) -> Curve:
    """Return the running mean of a logged number over steps."""
    values = metrics[["step", name]].dropna()
    smooth = values[name].rolling(max(1, len(values) // 40), min_periods=1, center=True).mean()
    return Curve(label, *thinned(values.step, smooth))


def _panels(label: str, metrics: pd.DataFrame, names: Mapping[str, str]) -> tuple[Lines, ...]:
    known = {name: words for name, words in names.items() if name in metrics and metrics[name].notna().any()}
    return tuple(
        Lines(words, "step", "running mean", (_curve(label, metrics, name),), dense=True)
        for name, words in known.items()
    )


def run_charts(run: Pretraining, label: str, problem: Callable[[str], None]) -> Iterator[Chart]:
    """Yield the loss curves of a run and the health of its codebook, as far as they were logged."""
    if not run.log.exists() or not run.log.stat().st_size:  # an untrained encoder took no step
        return
    try:
        metrics = read_metrics(run.log)
    except PacoError as error:
        problem(str(error))
        return
    losses, health = _panels(label, metrics, TERMS), _panels(label, metrics, HEALTH)
    if not losses:
        problem(f"{run.log}: holds no loss.")
    else:
        yield Chart(f"{run.name}-losses", "", f"Losses of {run.name}.", losses)
    if health:
        yield Chart(
            f"{run.name}-health", "", "How many codes live and how well the belief picks them.", health
        )


def compared_runs(runs: Sequence[Pretraining], problem: Callable[[str], None]) -> Iterator[Chart]:
    """Yield the total loss of all runs of one objective in one panel, where there are several.

    Losses of different objectives are sums of different terms and never meet in one panel.
    """
    by_objective: dict[str, dict[str, pd.DataFrame]] = defaultdict(dict)
    for run in runs:
        try:
            metrics = read_metrics(run.log) if run.log.exists() else pd.DataFrame()
            if "loss" in metrics and metrics["loss"].notna().any():
                by_objective[str(run.card().get("objective", "unknown"))][run.name] = metrics
        except PacoError:
            continue  # told where the run's own curves are drawn
    for objective, logs in sorted(by_objective.items()):
        if len(logs) > 1:
            shown = dict(list(logs.items())[:MOST_CURVES])
            if len(shown) < len(logs):
                problem(f"{objective}: training curves of {len(shown)} of {len(logs)} runs are drawn.")
            curves = tuple(_curve(name, metrics, "loss") for name, metrics in shown.items())
            panel = Lines(
                f"{objective}, {len(shown)} runs", "step", "total loss, running mean", curves, dense=True
            )
            yield Chart(f"{objective}-training", "", "Total loss, running mean.", (panel,))
