"""Classification: accuracy, class-mean accuracy, macro F1; and means over binary attributes.

Items have integer columns ``truth`` and ``prediction``; a prediction of -1 (no output) is scored by
:mod:`tasks.metrics.failures`. Means over classes run over the classes of each replicate: of accuracy over those present
in the truth, of F1 also over those that are only predicted, whose F1 is 0 (scikit-learn's rule for either).

Of attributes, items have lists ``truth`` (0, 1) and ``prediction`` (-1: none).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from paco_fr.utils.types import Array
from tasks.metrics.failures import predicted_in_all
from tasks.metrics.metric import Metric, group_codes, group_sums, ratio, share, weighted_mean


def _accuracy(items: pd.DataFrame, weights: Array | None) -> Array:
    return 100.0 * weighted_mean(items, items["truth"] == items["prediction"], weights)


def _class_counts(items: pd.DataFrame, weights: Array | None, classes: int) -> tuple[Array, Array, Array]:
    """Return (R, C) counts of right, true and predicted units of each class."""
    codes, names = group_codes(items)
    prediction = items["prediction"].to_numpy()
    is_true, is_predicted = (
        (side[:, None] == np.arange(classes)).astype(np.float64)
        for side in (items["truth"].to_numpy(), prediction)
    )
    is_predicted = predicted_in_all(is_predicted, is_true, prediction < 0)
    table = np.stack([is_true * is_predicted, is_true, is_predicted], axis=1)
    sums = group_sums(codes, table, len(names), weights)
    return sums[:, 0], sums[:, 1], sums[:, 2]


def _mean_over_present(scores: Array, counts: Array) -> Array:
    """Return (R,) means in percent of scores (R, C) over the classes with any count (R, C)."""
    present = (counts > 0).astype(np.float64)
    return 100.0 * ratio(np.where(counts > 0, scores, 0.0).sum(axis=1), present.sum(axis=1))


def metrics_for(classes: int) -> tuple[Metric, ...]:
    """Return accuracy, class-mean accuracy and macro F1, in percent, of classes 0 to ``classes`` - 1."""

    def class_mean_accuracy(items: pd.DataFrame, weights: Array | None) -> Array:
        right, true, _ = _class_counts(items, weights, classes)
        return _mean_over_present(ratio(right, true), true)

    def macro_f1(items: pd.DataFrame, weights: Array | None) -> Array:
        right, true, predicted = _class_counts(items, weights, classes)
        return _mean_over_present(ratio(2.0 * right, true + predicted), true + predicted)

    return (
        share("accuracy", _accuracy),
        share("class_mean_accuracy", class_mean_accuracy),
        share("macro_f1", macro_f1),
    )


def _attribute_counts(items: pd.DataFrame, weights: Array | None) -> tuple[Array, Array, Array, Array]:
    """Return (R, K) weights of right and of all positives, of right and of all negatives."""
    codes, names = group_codes(items)
    truth = np.stack(items["truth"].to_list()).astype(np.int64)
    right = np.stack(items["prediction"].to_list()) == truth
    table = np.stack([right & (truth == 1), truth == 1, right & (truth == 0), truth == 0], axis=1)
    sums = group_sums(codes, table, len(names), weights)
    return sums[:, 0], sums[:, 1], sums[:, 2], sums[:, 3]


def _mean_attribute_accuracy(items: pd.DataFrame, weights: Array | None) -> Array:
    right1, all1, right0, all0 = _attribute_counts(items, weights)
    told = ((all1 > 0) & (all0 > 0)).any(axis=1)
    return np.where(told, 100.0 * ratio(right1 + right0, all1 + all0).mean(axis=1), np.nan)


def _balanced(items: pd.DataFrame, weights: Array | None) -> Array:
    right1, all1, right0, all0 = _attribute_counts(items, weights)
    both = (all1 > 0) & (all0 > 0)
    halves = np.where(both, (ratio(right1, all1) + ratio(right0, all0)) / 2.0, 0.0)
    return 100.0 * ratio(halves.sum(axis=1), both.sum(axis=1).astype(np.float64))


ATTRIBUTES: tuple[Metric, ...] = (
    share("mean_accuracy", _mean_attribute_accuracy),
    share("balanced_accuracy", _balanced),
)
"""Mean over attributes of binary accuracy, undefined where no attribute has both values, because saying the one
value is then never wrong; and of the mean of true-positive and true-negative rates, over the
attributes of which both values occur (most attributes are rare, so saying no is often right)."""
