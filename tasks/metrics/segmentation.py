"""Segmentation: F1 of every class from the confusion matrix summed over all pixels (``docs/protocols.md``, parsing).

Items have ``confusion``: the C x C counts of one picture, truth by prediction, as a flat list; those of a picture with a
``failure`` hold the truth alone and are scored by :mod:`tasks.metrics.failures`. Sums come first and ratios last, so a
large picture weighs more than a small one, as in the field. The mean runs over the foreground classes (all but class 0)
that occur in the truth or are predicted: one that is only predicted has an F1 of 0, as in the field, one that is neither
does not make the mean NaN.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from paco_fr.utils.types import Array
from tasks.metrics.failures import predicted_in_all
from tasks.metrics.metric import Metric, group_codes, group_sums, ratio, share

BACKGROUND = 0


def confusion(truth: npt.ArrayLike, prediction: npt.ArrayLike, classes: int) -> npt.NDArray[np.int64]:
    """Return (C, C) counts, truth by prediction, of two pictures of class numbers of one shape."""
    true, predicted = np.asarray(truth, dtype=np.int64), np.asarray(prediction, dtype=np.int64)
    if true.shape != predicted.shape:
        raise ValueError(f"masks of shapes {true.shape} and {predicted.shape}")
    if any(side.size and not 0 <= side.min() <= side.max() < classes for side in (true, predicted)):
        raise ValueError(f"a mask holds a class outside 0 to {classes - 1}")
    counts = np.bincount((true * classes + predicted).ravel(), minlength=classes * classes)
    return counts.reshape(classes, classes)


def _counts(items: pd.DataFrame, weights: Array | None) -> tuple[Array, Array, Array]:
    """Return (R, C) counts of right, true and predicted pixels of each class."""
    codes, names = group_codes(items)
    flat = np.stack(items["confusion"].to_list()).astype(np.float64)
    side = round(flat.shape[1] ** 0.5)
    matrices = flat.reshape(-1, side, side)
    lost = items["failure"].to_numpy() != "" if "failure" in items else np.zeros(len(items), dtype=bool)
    true = matrices.sum(axis=2)
    right = np.where(lost[:, None], 0.0, np.diagonal(matrices, axis1=1, axis2=2))
    table = np.stack([right, true, predicted_in_all(matrices.sum(axis=1), true, lost)], axis=1)
    sums = group_sums(codes, table, len(names), weights)
    return sums[:, 0], sums[:, 1], sums[:, 2]


def _f1_scores(items: pd.DataFrame, weights: Array | None) -> Array:
    """Return (R, C) F1 of every class, 2 TP / (predicted + true), NaN of a class that is neither."""
    right, true, predicted = _counts(items, weights)
    return ratio(2.0 * right, true + predicted)


def _mean_f1(items: pd.DataFrame, weights: Array | None) -> Array:
    foreground = np.delete(_f1_scores(items, weights), BACKGROUND, axis=-1)
    present = np.isfinite(foreground)
    return 100.0 * ratio(
        np.where(present, foreground, 0.0).sum(axis=-1), present.sum(axis=-1).astype(np.float64)
    )


def _pixel_accuracy(items: pd.DataFrame, weights: Array | None) -> Array:
    right, true, _ = _counts(items, weights)
    return 100.0 * ratio(right.sum(axis=-1), true.sum(axis=-1))


def _class_metric(number: int, name: str) -> Metric:
    def compute(items: pd.DataFrame, weights: Array | None) -> Array:
        return 100.0 * _f1_scores(items, weights)[:, number]

    return share(f"f1_{name.replace(' ', '_')}", compute)


def metrics_for(classes: Sequence[str]) -> tuple[Metric, ...]:
    """Return mean F1, pixel accuracy and the F1 of every foreground class, in percent."""
    return (
        share("mean_f1", _mean_f1),
        share("pixel_accuracy", _pixel_accuracy),
        *(_class_metric(number, name) for number, name in enumerate(classes) if number != BACKGROUND),
    )
