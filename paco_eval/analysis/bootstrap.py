"""The bootstrap: how sure a number is, from resampled groups.

Everything resamples groups (people, templates, photographs), never single items of one group, because items
of a group are alike. A replicate draws as many groups as there are, with replacement; a pair counts as often
as the product of its identities' multiplicities, thresholds are chosen anew. Intervals are percentile
intervals (Efron and Tibshirani 1993, chapter 13). Replicates in which a metric is undefined are left out;
where more than one in twenty is, where there is one group only, or where a metric warns that its value rests on too
little, the interval is undefined (NaN), because it would be a guess.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from paco_fr.utils.progress import stage
from paco_fr.utils.random import generator
from paco_fr.utils.types import Array
from tasks.metrics.metric import COMPUTE_CELLS, Metric, group_codes

MOST_UNDEFINED = 0.05
"""Largest share of undefined replicates that an interval may rest on."""


class Interval(NamedTuple):
    """A number and the ends of its interval, in the unit of its metric; NaN ends where undefined."""

    value: float
    low: float
    high: float


def finite(value: float) -> float | None:
    """Return a number, and None for one that is undefined, as rows and tables write it."""
    return float(value) if np.isfinite(value) else None


def resamples(groups: int, replicates: int, seed: int) -> Iterator[Array]:
    """Yield multiplicities (R_i, groups) of drawn groups, some replicates at a time, each row summing to G.

    Row r is the same for any later number of replicates.
    """
    from paco_eval.analysis.draws import count_draws  # imported late: compiled code is heavy

    state = generator("bootstrap", seed).integers(0, 2**64, dtype=np.uint64)
    step = max(1, COMPUTE_CELLS // groups)
    for start in range(0, replicates, step):
        counts = np.empty((min(step, replicates - start), groups))
        state = np.uint64(count_draws(state, counts))
        yield counts


def bootstrap_all(
    metrics: Sequence[Metric],
    items: pd.DataFrame,
    *,
    replicates: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Return each metric of the items by name, with its percentile interval under resampled groups.

    Args:
        metrics: what to compute; all see the same replicates.
        items: one line per scored unit.
        replicates: number of bootstrap replicates.
        seed: draws the replicates.
        level: share of the replicates inside the interval.

    """
    items, groups = coded(items)
    nothing = {metric.name: Interval(metric.value(items), np.nan, np.nan) for metric in metrics}
    drawn = [metric for metric in metrics if not metric.warning(items)] if len(items) else []
    values: dict[str, list[Array]] = {metric.name: [] for metric in drawn}
    with stage("bootstrapping", replicates, "replicates", shown=bool(drawn)) as bar:
        for weights in resamples(groups, replicates, seed) if drawn else ():
            for metric in drawn:
                values[metric.name].append(metric.compute(items, weights))
            bar.update(len(weights))
    return nothing | {
        metric.name: percentile_interval(
            nothing[metric.name].value, np.concatenate(values[metric.name]), groups, level
        )
        for metric in drawn
    }


def coded(items: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Return the items with numbers for group names, and the number of groups G.

    A metric looks its groups up anew for every batch of replicates, which is quick for numbers only.
    """
    codes, names = group_codes(items)
    columns = {"group": codes} if codes.ndim == 1 else dict(zip(("group_a", "group_b"), codes.T, strict=True))
    return items.assign(**columns), len(names)


def percentile_interval(value: float, values: Array, groups: int, level: float) -> Interval:
    """Return a value with the quantiles of its replicates (R,), undefined under the rules of the module."""
    defined = values[~np.isnan(values)]
    if groups < 2 or len(defined) < (1.0 - MOST_UNDEFINED) * len(values):
        return Interval(value, np.nan, np.nan)
    low, high = np.quantile(defined, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return Interval(value, float(low), float(high))
