"""A patch codebook looked at from inside: which tokens live, and how well hidden patches are believed.

No head is fitted: the outputs are the encoder's own diagnostics of each picture. A row of outputs holds the
number of tokens of all codebooks, K, and for each of N places the believed token (-1 where the patch was
visible), the token nearest to the true patch, and whether what was put in a hidden place is nearer to the
truth than the mean patch of that place (-1 where visible), (n, 2 + 3N). Tokens are counted through all
codebooks. A picture that could not be read believes everything wrongly.

Numbers of the whole set (share used, dead, perplexity) have no interval: a bootstrap replicate sees fewer
different pictures than the set and hence fewer tokens, always.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd

from paco_fr.utils.types import Array
from tasks.kinds import HeadName
from tasks.kinds.shared.labels import finite_rows, start_items
from tasks.metrics.metric import Metric, mean_of
from tasks.task import Task

HEAD: HeadName = "diagnostics"

PLACES = 3
"""Numbers of each place in a row of outputs."""


def targets(labels: pd.DataFrame, task: Task) -> Array:
    """Refuse: nothing is fitted."""
    raise NotImplementedError("A codebook is looked at, not fitted to.")


def items(outputs: npt.ArrayLike, labels: pd.DataFrame, task: Task) -> pd.DataFrame:
    """Return a line per picture: shares of hidden patches believed rightly, and all tokens as lists."""
    rows = np.asarray(outputs, dtype=np.float64)
    finite = finite_rows(rows)
    table = start_items(labels, finite)
    believed, nearest, nearer = np.split(np.where(finite[:, None], rows, -1.0)[:, 2:], PLACES, axis=1)
    hidden = believed >= 0
    count = np.maximum(hidden.sum(1), 1)
    table["accuracy"] = 100.0 * (hidden & (believed == nearest)).sum(1) / count
    table["nearer"] = 100.0 * (hidden & (nearer > 0)).sum(1) / count
    table["error"] = 100.0 - table["accuracy"]
    table["believed"] = list(believed.astype(np.int64))
    table["nearest"] = list(nearest.astype(np.int64))
    table["tokens"] = np.where(finite, rows[:, 0], -1).astype(np.int64)
    table["tokens_per_codebook"] = np.where(finite, rows[:, 1], -1).astype(np.int64)
    return pd.DataFrame(table)


def position_entropy(items: pd.DataFrame, column: str = "nearest") -> Array:
    """Return the entropy (N,) in nats of the tokens at each place of the face, ``nearest`` or ``believed``."""
    tokens = np.stack(items[column].to_list())
    found = []
    for place in tokens.T:
        counts = np.bincount(place[place >= 0])
        shares = counts[counts > 0] / max(1, counts.sum())
        found.append(-(shares * np.log(shares)).sum())
    return np.array(found)


def metrics(task: Task) -> tuple[Metric, ...]:
    """Return belief accuracy (main), how often the chosen token beats the mean, and the state of the tokens."""
    return (
        mean_of("accuracy", "belief_accuracy", unit="%", best=100.0, worst=0.0, higher=True),
        mean_of("nearer", "nearer_than_mean", unit="%", best=100.0, worst=0.0, higher=True),
        _of_the_set("tokens_used", True, lambda items: _used(items, "nearest")),
        _of_the_set("tokens_believed", True, lambda items: _used(items, "believed")),
        _of_the_set("tokens_dead", False, lambda items: 100.0 - _used(items, "nearest")),
        _of_the_set("perplexity", True, lambda items: _perplexity(items, "nearest")),
        _of_the_set("belief_perplexity", True, lambda items: _perplexity(items, "believed")),
    )


def _of_the_set(name: str, higher: bool, value: Callable[[pd.DataFrame], float]) -> Metric:
    """Return a metric in percent of the set as it is, undefined under resampling."""

    def compute(items: pd.DataFrame, weights: Array | None) -> Array:
        return np.array([value(items)]) if weights is None else np.full(len(weights), np.nan)

    return Metric(name, "%", higher, 100.0 if higher else 0.0, 0.0 if higher else 100.0, compute)


def _used(items: pd.DataFrame, column: str) -> float:
    """Return how many of all tokens occur at all, in percent."""
    tokens = np.stack(items[column].to_list())
    return 100.0 * len(np.unique(tokens[tokens >= 0])) / max(1, int(items["tokens"].max()))


def _perplexity(items: pd.DataFrame, column: str) -> float:
    """Return the mean over places of the effective number of tokens, in percent of K."""
    effective = np.exp(position_entropy(items, column)).mean()
    return float(100.0 * effective / max(1, int(items["tokens_per_codebook"].max())))


def perfect(labels: pd.DataFrame, task: Task) -> Array:
    """Return the diagnostics of four places with two tokens each, two of them hidden and believed rightly."""
    units = np.arange(len(labels))[:, None]
    nearest = 2 * np.arange(4) + units % 2
    hidden = (np.arange(4) + units) % 2 == 0
    believed, nearer = np.where(hidden, nearest, -1), np.where(hidden, 1, -1)
    head = np.tile([8, 2], (len(labels), 1))
    return np.hstack([head, believed, nearest, nearer]).astype(np.float64)
