"""Multilabel: means over K binary attributes. Items have lists ``truth`` (0, 1) and ``prediction`` (-1: none)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from paco_fr.utils.types import Array
from tasks.metrics.metric import Metric, group_codes, group_sums, ratio


def _counts(items: pd.DataFrame, weights: Array | None) -> tuple[Array, Array, Array, Array]:
    """Return (R, K) weights of right and of all positives, of right and of all negatives."""
    codes, names = group_codes(items)
    truth = np.stack(items["truth"].to_list()).astype(np.int64)
    right = np.stack(items["prediction"].to_list()) == truth
    table = np.stack([right & (truth == 1), truth == 1, right & (truth == 0), truth == 0], axis=1)
    sums = group_sums(codes, table, len(names), weights)
    return sums[:, 0], sums[:, 1], sums[:, 2], sums[:, 3]


def _mean_accuracy(items: pd.DataFrame, weights: Array | None) -> Array:
    right1, all1, right0, all0 = _counts(items, weights)
    told = ((all1 > 0) & (all0 > 0)).any(axis=1)
    return np.where(told, 100.0 * ratio(right1 + right0, all1 + all0).mean(axis=1), np.nan)


def _balanced(items: pd.DataFrame, weights: Array | None) -> Array:
    right1, all1, right0, all0 = _counts(items, weights)
    both = (all1 > 0) & (all0 > 0)
    halves = np.where(both, (ratio(right1, all1) + ratio(right0, all0)) / 2.0, 0.0)
    return 100.0 * ratio(halves.sum(axis=1), both.sum(axis=1).astype(np.float64))


METRICS: tuple[Metric, ...] = (
    Metric("mean_accuracy", "%", True, 100.0, 0.0, _mean_accuracy),
    Metric("balanced_accuracy", "%", True, 100.0, 0.0, _balanced),
)
"""Mean over attributes of binary accuracy, undefined where no attribute has both values, because saying the one
value is then never wrong; and of the mean of true-positive and true-negative rates, over the
attributes of which both values occur (most attributes are rare, so saying no is often right)."""
