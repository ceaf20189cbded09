"""Accuracy and validation rate over folds of a pair list, as the field scores LFW and its like.

The rule (insightface ``recognition/arcface_torch/eval/verification.py``, after Huang et al. 2007): embeddings
of length 1, squared distance ``d = 2 - 2 cosine``, "same" where ``d < t``. For each fold ``t`` is chosen on
all other folds and judged on this one; the score is the mean over folds. Of equally good thresholds the lowest is
taken. Folds are those of the list, else ten consecutive runs of it, as equal as can be, longer ones first.

Accuracy has two forms. Ours chooses among all midpoints between neighbouring distances of the other folds, and
both ends. The field's chooses among 0, 0.01 .. 3.99: it cannot tell apart what lies within one step, as the scores
of a network that was trained for something else may.

Items are those of :mod:`tasks.metrics.verification` with a column ``fold``. A pair without a score is scored by
:mod:`tasks.metrics.failures`, which also says what threshold is taken where some are lost. Of pairs of one kind alone
nothing is decided: undefined. In a bootstrap replicate thresholds are chosen anew and folds without pairs are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

from paco_fr.utils.types import Array
from tasks.metrics.failures import pair_scores
from tasks.metrics.metric import COMPUTE_CELLS, Metric, group_codes, item_weights, ratio, share
from tasks.metrics.verification import far_name, few_impostors

ACCURACY_STEPS: Array = np.arange(0.0, 4.0, 0.01)
"""Squared distances that the field's accuracy chooses its threshold from."""
RATE_STEPS: Array = np.arange(0.0, 4.0, 0.001)
"""Squared distances between which the validation rate interpolates its threshold."""

Folds = npt.NDArray[np.intp]
Compute = Callable[[pd.DataFrame, Array | None], Array]
Judged = Callable[[pd.DataFrame, Array | None], Iterator[tuple[Array, Array]]]


def consecutive_folds(pairs: int, folds: int = 10) -> npt.NDArray[np.int64]:
    """Return the fold (P,) of every pair: consecutive runs, the first ``pairs % folds`` one longer."""
    sizes = np.full(folds, pairs // folds)
    sizes[: pairs % folds] += 1
    return np.repeat(np.arange(folds), sizes).astype(np.int64)


def squared_distances(scores: npt.ArrayLike, genuine: npt.ArrayLike) -> Array:
    """Return ``2 - 2 cosine`` (P,); without a score infinite for genuine pairs, minus infinite for impostors."""
    return np.asarray(2.0 - 2.0 * pair_scores(np.asarray(scores, dtype=np.float64), genuine))


def _accepted(distance: Array, cells: Folds, count: int, steps: Array, weights: Array) -> Array:
    """Return (R, count, K) weights of the pairs of each cell with a distance below each of K steps."""
    levels = len(steps) + 1
    place = cells * levels + np.searchsorted(steps, distance, side="right")
    order = np.argsort(place, kind="stable")
    present, starts = np.unique(place[order], return_index=True)
    table = np.zeros((len(weights), count * levels))
    table[:, present] = np.add.reduceat(weights[:, order], starts, axis=1)
    below = np.cumsum(table.reshape(len(weights), count, levels), axis=2)
    return np.asarray(below[:, :, :-1])


def _parts(items: pd.DataFrame, weights: Array | None, cells: int) -> Iterator[Array]:
    """Yield weights of pairs (R_i, P), so few replicates at a time that ``cells`` a replicate fit."""
    if weights is None:
        return iter([np.ones((1, len(items)))])
    codes, _ = group_codes(items)
    draws = weights
    step = max(1, COMPUTE_CELLS // max(cells, len(items)))
    return (item_weights(codes, draws[at : at + step]) for at in range(0, len(draws), step))


def _totals(cells: Folds, count: int, weights: Array) -> Array:
    """Return (R, count) weights of all pairs of each cell."""
    member = cells[:, None] == np.arange(count)
    return np.asarray(weights @ member.astype(np.float64))


def _judged_at_midpoints(items: pd.DataFrame, weights: Array | None) -> Iterator[tuple[Array, Array]]:
    """Yield what every fold decides rightly at the best midpoint of the others, and what it holds, (R_i, F) each."""
    from tasks.metrics.acceptance import judge_folds  # here: the compiler takes its time to import

    folds, fold = np.unique(items["fold"].to_numpy(), return_inverse=True)
    genuine = items["truth"].to_numpy(dtype=bool)
    distance = squared_distances(items["score"], genuine)
    order = np.argsort(distance, kind="stable")
    for part in _parts(items, weights, len(items)):
        right = np.empty((len(part), len(folds)))
        judge_folds(
            distance[order], genuine[order], fold[order].astype(np.int64), np.ascontiguousarray(part[:, order]), right
        )  # fmt: skip
        yield right, _totals(fold, len(folds), part)


def _judged_on_the_grid(items: pd.DataFrame, weights: Array | None) -> Iterator[tuple[Array, Array]]:
    """Yield the same at the best of :data:`ACCURACY_STEPS`."""
    folds, fold = np.unique(items["fold"].to_numpy(), return_inverse=True)
    count, genuine = len(folds), items["truth"].to_numpy(dtype=bool)
    cells = 2 * fold + genuine
    distance = squared_distances(items["score"], genuine)
    for part in _parts(items, weights, 2 * count * len(ACCURACY_STEPS)):
        below = _accepted(distance, cells, 2 * count, ACCURACY_STEPS, part)
        total = _totals(cells, 2 * count, part)
        right = below[:, 1::2] + total[:, ::2, None] - below[:, ::2]  # genuine accepted, impostors not
        elsewhere = right.sum(axis=1, keepdims=True) - right
        chosen = elsewhere.argmax(axis=2)[:, :, None]  # the first, so the lowest, of the best
        found = np.take_along_axis(right, chosen, axis=2)[:, :, 0]
        lost = _totals(fold, count, part * np.isinf(distance))
        might = lost.sum(axis=1, keepdims=True) - lost  # speak for another threshold: see judge_folds
        fair = elsewhere >= elsewhere.max(axis=2, keepdims=True) - might[:, :, None]
        worst = np.where(fair, right, np.inf).min(axis=2)
        yield np.where(might > 0, worst, found), total[:, ::2] + total[:, 1::2]


def _over_folds(judged: Judged, summary: Callable[[Array, Array], Array], resampled: bool = True) -> Compute:
    """Turn what folds decide rightly into the ``compute`` of a metric in percent, undefined for one kind of pair."""

    def compute(items: pd.DataFrame, weights: Array | None) -> Array:
        if items["truth"].nunique() < 2 or (weights is not None and not resampled):
            return np.full(1 if weights is None else len(weights), np.nan)
        return 100.0 * np.concatenate([summary(*both) for both in judged(items, weights)])

    return compute


def _std_over_folds(amount: Array, total: Array) -> Array:
    """Return (R,) standard deviations over folds of amount / total, over the folds that have any."""
    share, there = ratio(amount, total), (total > 0).astype(np.float64)
    count = there.sum(axis=1)
    mean = ratio(np.where(there > 0, share, 0.0).sum(axis=1), count)
    return np.sqrt(ratio(np.where(there > 0, (share - mean[:, None]) ** 2, 0.0).sum(axis=1), count))


def _mean_of_folds(amount: Array, total: Array) -> Array:
    """Return (R,) means over folds of amount / total, over the folds that have any."""
    share = ratio(amount, total)
    there = total > 0
    return ratio(np.where(there, share, 0.0).sum(axis=1), there.sum(axis=1).astype(np.float64))


def _interpolated(rates: Array, target: float) -> Array:
    """Return the threshold (R, F) at which non-falling rates (R, F, K) reach the target; 0 if they never do.

    Linear between the last step below the target and the first at or above it, which is what a linear
    interpolator over possibly repeated rates amounts to.
    """
    reached = rates >= target
    last = rates.shape[2] - 1
    high = np.clip(reached.argmax(axis=2), 1, last)
    low = high - 1
    y0, y1 = (np.take_along_axis(rates, at[:, :, None], axis=2)[:, :, 0] for at in (low, high))
    share = np.divide(target - y0, y1 - y0, out=np.zeros_like(y0), where=y1 > y0)
    found = RATE_STEPS[low] + share * (RATE_STEPS[high] - RATE_STEPS[low])
    return np.where(reached.any(axis=2), found, 0.0)


def _fold_rate(items: pd.DataFrame, weights: Array | None, far: float) -> Array:
    folds, fold = np.unique(items["fold"].to_numpy(), return_inverse=True)
    count, genuine = len(folds), items["truth"].to_numpy(dtype=bool)
    if genuine.all() or not genuine.any():
        return np.full(1 if weights is None else len(weights), np.nan)
    distance = squared_distances(items["score"], genuine)
    means = []
    for part in _parts(items, weights, count * len(RATE_STEPS)):
        below = _accepted(distance[~genuine], fold[~genuine], count, RATE_STEPS, part[:, ~genuine])
        total = _totals(fold[~genuine], count, part[:, ~genuine])
        elsewhere = below.sum(axis=1, keepdims=True) - below
        rates = ratio(elsewhere, (total.sum(axis=1, keepdims=True) - total)[:, :, None])
        threshold = _interpolated(np.nan_to_num(rates), far)
        accepted = part * genuine * (distance < threshold[:, fold])
        sums = [_totals(fold, count, table) for table in (accepted, part * genuine)]
        means.append(_mean_of_folds(sums[0], sums[1]))
    return 100.0 * np.concatenate(means)


FOLD_ACCURACY = share("accuracy_10fold", _over_folds(_judged_at_midpoints, _mean_of_folds))
"""Mean over folds of the share of pairs decided rightly at the midpoint chosen on the other folds."""

GRID_ACCURACY = share("accuracy_10fold_grid", _over_folds(_judged_on_the_grid, _mean_of_folds))
"""The same with the field's 400 thresholds: the column for published numbers."""

GRID_STD = Metric(
    "accuracy_10fold_grid_std",
    "%",
    False,
    0.0,
    50.0,
    _over_folds(_judged_on_the_grid, _std_over_folds, False),
)
"""Standard deviation of that over the folds (of n, not n - 1), which papers print behind "±"; no interval, as it
stands for one itself."""


def val_at_far(far: float) -> Metric:
    """Return the field's validation rate: share of genuine pairs accepted where FAR was ``far`` elsewhere.

    A column for comparison with published numbers: its threshold is interpolated inside empty steps of
    FAR, so the FAR on the judged fold may be above. Ours is :func:`tasks.metrics.verification.tar_at_far`.
    """
    name = f"val_10fold@far={far_name(far)}"
    return share(name, lambda items, weights: _fold_rate(items, weights, far), few_impostors(far))
