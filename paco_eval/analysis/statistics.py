"""What numbers allow to say: paired differences, over pretraining seeds, Holm's adjustment, ranks, verdicts.

Two encoders see the same draws of people (:mod:`paco_eval.analysis.bootstrap`), so that what a draw makes easy
or hard for both cancels; seeds of pretraining are drawn besides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from paco_eval.analysis.bootstrap import Interval, coded, percentile_interval, resamples
from paco_fr.contracts import content_hash
from paco_fr.utils.errors import PacoError
from paco_fr.utils.random import generator
from paco_fr.utils.types import Array
from tasks.metrics.metric import Metric, group_codes

Verdict = Literal["better", "worse", "not distinguishable", "observed"]

ALPHA = 0.05
"""Largest chance of any false claim in a table."""


def over_seeds(
    metric: Metric,
    runs: Sequence[pd.DataFrame],
    *,
    baseline: Sequence[pd.DataFrame] = (),
    replicates: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Return the mean of the metric over pretraining seeds, less that of the baseline's, with its interval.

    A replicate draws groups (the same for all runs) and, independently, seeds of either side. Few seeds are
    few draws: three seeds give an interval that is somewhat too narrow, one seed says nothing of seeds.

    Args:
        metric: what to compute.
        runs: items of one encoder, a table per pretraining seed.
        baseline: items of the other encoder; none for the mean itself.
        replicates: number of bootstrap replicates.
        seed: draws the replicates.
        level: share of the replicates inside the interval.

    Raises:
        PacoError: no runs, or tables that are not of the same units and groups.

    """
    return replicated(metric, runs, baseline, replicates=replicates, seed=seed).interval(level)


class Replicates(NamedTuple):
    """A number under resampling.

    Attributes:
        value: of the items themselves.
        drawn: (R,) its replicates, groups and pretraining seeds drawn.
        by_groups: (R,) the same with all seeds kept: what people alone vary.
        groups: number of groups.

    """

    value: float
    drawn: Array
    by_groups: Array
    groups: int

    def interval(self, level: float = 0.95) -> Interval:
        """Return the value with its percentile interval."""
        return percentile_interval(self.value, self.drawn, self.groups, level)

    def tested(self, level: float = 0.95) -> tuple[Interval, float]:
        """Return the interval and the p-value of no difference, from the same replicates.

        The p-value is twice the share of replicates on the other side of zero, the estimate itself counted in, so
        that it is never 0 (Davison and Hinkley 1997, section 4.4): below 0.05 where the 95 % interval excludes
        zero. NaN where the interval is undefined.
        """
        interval = self.interval(level)
        if np.isnan(interval.low):
            return interval, np.nan
        defined = self.drawn[~np.isnan(self.drawn)]
        beyond = min((defined <= 0).sum(), (defined >= 0).sum())
        return interval, min(1.0, float(2 * (beyond + 1) / (len(defined) + 1)))


def replicated(
    metric: Metric,
    runs: Sequence[pd.DataFrame],
    baseline: Sequence[pd.DataFrame],
    *,
    replicates: int = 1000,
    seed: int = 0,
    joint: bool = False,
) -> Replicates:
    """Return the mean over runs less that over the baseline, under resampling, see :func:`over_seeds`.

    Args:
        metric: what to compute.
        runs: items of one encoder, a table per pretraining seed.
        baseline: those of the other.
        replicates: number of bootstrap replicates.
        seed: draws the replicates.
        joint: so that results can be added up replicate by replicate: any table of the same groups meets the
            same draws of them, other groups meet draws of their own, and all the same draws of runs.

    """
    if not runs:
        raise PacoError("There are no runs to average.")
    return drawn_together(metric, [runs, baseline], replicates=replicates, seed=seed, joint=joint).less(0, 1)


class Drawn(NamedTuple):
    """Runs of several sides under the same draws of groups.

    Attributes:
        values: (runs,) of the items themselves, one side's after the other's.
        by_run: (R, runs) replicates, in which groups alone were drawn.
        sides: number of runs of each side.
        groups: number of groups.
        seed: draws the runs.

    """

    values: Array
    by_run: Array
    sides: tuple[int, ...]
    groups: int
    seed: int

    def mean(self, side: int) -> Replicates:
        """Return the mean over the runs of a side."""
        return self._of([side])

    def less(self, side: int, other: int) -> Replicates:
        """Return the mean over the runs of a side less that of another; of one without runs nothing is taken off."""
        return self._of([side, other])

    def _of(self, sides: Sequence[int]) -> Replicates:
        ends = np.cumsum(self.sides)
        runs = np.concatenate([np.arange(ends[side] - self.sides[side], ends[side]) for side in sides])
        counts = [self.sides[side] for side in sides] + [0] * (2 - len(sides))
        return of_runs(self.values[runs], self.by_run[:, runs], counts, self.groups, self.seed)


def drawn_together(
    metric: Metric,
    sides: Sequence[Sequence[pd.DataFrame]],
    *,
    replicates: int = 1000,
    seed: int = 0,
    joint: bool = False,
) -> Drawn:
    """Return the metric of every run of every side under the same draws of groups, see :func:`replicated`.

    Raises:
        PacoError: tables that are not of the same units and groups.

    """
    same = aligned([run for side in sides for run in side])
    tables, groups = [coded(table)[0] for table in same], coded(same[0])[1]
    value = np.array([metric.value(table) for table in tables])
    by_run = [
        np.stack([metric.compute(table, weights) for table in tables], axis=1)
        for weights in resamples(groups, replicates, joint_seed(same[0], seed) if joint else seed)
    ]
    return Drawn(value, np.concatenate(by_run), tuple(map(len, sides)), groups, seed)


def joint_seed(items: pd.DataFrame, seed: int) -> int:
    """Return a seed that is a function of the groups' names."""
    return int(content_hash([seed, *map(str, group_codes(items)[1])]), 16)


def of_runs(value: Array, by_run: Array, sides: Sequence[int], groups: int, seed: int) -> Replicates:
    """Return the first side's mean over its runs less the second's, where a replicate draws runs of either side.

    Args:
        value: (runs,) of the items themselves, one side's after the other's.
        by_run: (R, runs) replicates, in which groups alone were drawn.
        sides: number of runs of either side.
        groups: number of groups.
        seed: draws the runs.

    """
    rng = generator("bootstrap seeds", seed)
    counts = [rng.multinomial(n, np.full(n, 1.0 / n), size=len(by_run)) for n in sides if n]
    signs = np.repeat([1.0, -1.0], sides) / np.repeat(sides, sides)
    drawn = (by_run * np.concatenate(counts, axis=1) * signs).sum(axis=1)
    return Replicates(float(value @ signs), drawn, by_run @ signs, groups)


def aligned(tables: Iterable[pd.DataFrame]) -> list[pd.DataFrame]:
    """Return item tables in the order of the first, or say which unit or group they do not share.

    Raises:
        PacoError: an id occurs twice, is missing from a table, or has another group there.

    """
    indexed = [table.set_index("id", drop=False) for table in tables]
    first = indexed[0]
    for table in indexed:
        if not table.index.is_unique:
            raise PacoError(f"Item '{table.index[table.index.duplicated()][0]}' occurs twice in one table.")
        different = first.index.symmetric_difference(table.index)
        if len(different):
            raise PacoError(
                f"The tables do not score the same units: '{different[0]}' is only in one of them."
            )
    ordered = [table.loc[first.index] for table in indexed]
    columns = [name for name in ("group", "group_a", "group_b") if name in first]
    for table in ordered:
        if not table[columns].equals(first[columns]):
            raise PacoError("The tables put the same units into different groups.")
    return ordered


def holm(p_values: npt.ArrayLike) -> Array:
    """Return p-values (m,) adjusted for m tests so that the family-wise error is held (Holm 1979)."""
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p-values are a list of numbers from 0 to 1, got {p}")
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def mean_rank(
    scores: pd.DataFrame,
    higher_is_better: Mapping[str, bool],
    *,
    replicates: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> pd.DataFrame:
    """Return the mean rank of every encoder over tasks, 1 the best, with its interval over tasks.

    Args:
        scores: (encoders, tasks) values of the main metrics; equal values share their ranks.
        higher_is_better: direction of every task.
        replicates: number of bootstrap replicates, each drawing as many tasks as there are.
        seed: draws the replicates.
        level: share of the replicates inside the interval.

    Returns:
        A line per encoder with ``mean_rank``, ``low`` and ``high``, best first.

    Raises:
        PacoError: an encoder lacks a task, so that ranks would not mean the same.

    """
    for row, column in np.argwhere(scores.isna().to_numpy())[:1]:
        where = f"{scores.index[row]} has no score on {scores.columns[column]}"
        raise PacoError(f"{where}; rank only what every encoder was scored on.")
    signs = np.array([-1.0 if higher_is_better[task] else 1.0 for task in scores.columns])
    ranks = (scores.astype(np.float64) * signs).rank().to_numpy().T
    draws = [weights @ ranks / len(ranks) for weights in resamples(len(ranks), replicates, seed)]
    replicated = np.concatenate(draws)
    rows = [
        percentile_interval(float(mean), values, len(ranks), level)
        for mean, values in zip(ranks.mean(axis=0), replicated.T, strict=True)
    ]
    table = pd.DataFrame(rows, index=scores.index).rename(columns={"value": "mean_rank"})
    return table.sort_values("mean_rank", kind="stable")


class Claim:
    """A tested difference, as far as saying something of it goes."""

    seeds: int
    p_value: float

    @property
    def claimable(self) -> bool:
        """Whether more than an observation can come of it."""
        return self.seeds >= 2 and not np.isnan(self.p_value)


def verdict(difference: Interval, higher_is_better: bool, seeds: int, p_value: float) -> Verdict:
    """Return what a difference from a baseline allows to say.

    Args:
        difference: encoder less baseline, with its interval.
        higher_is_better: direction of the metric.
        seeds: pretraining seeds on the side that has fewer. One seed cannot tell a method from its luck:
            its differences are observed, whatever the interval over people.
        p_value: of no difference, adjusted for all differences of the table (:func:`holm`). Better and worse
            need both an interval without zero and an adjusted p-value below :data:`ALPHA`.

    """
    if seeds < 2:
        return "observed"
    if p_value < ALPHA and difference.low > 0:
        return "better" if higher_is_better else "worse"
    if p_value < ALPHA and difference.high < 0:
        return "worse" if higher_is_better else "better"
    return "not distinguishable"
