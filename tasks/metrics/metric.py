"""What a metric is, and the weighted sums that all of them are made of.

A metric is computed from an item table (one line per scored unit) for many bootstrap replicates at once. A
replicate says how often each group was drawn: ``weights`` has shape (R, G), its columns in the order of the
names that :func:`group_codes` returns. ``None`` stands for the sample as it is, shape (1, G) of ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from paco_fr.utils.types import Array

Codes = npt.NDArray[np.intp]

COMPUTE_CELLS = 1_000_000
"""Largest number of replicate-by-item cells held at once (8 MB of float64)."""


def _no_warning(items: pd.DataFrame) -> str:
    return ""


@dataclass(frozen=True)
class Metric:
    """One number of an item table.

    Attributes:
        name: key in the row.
        unit: ``%``, ``deg`` or empty for a plain number from 0 to 1.
        higher_is_better: direction.
        best: value of a perfect predictor.
        worst: value that no predictor can be worse than; infinite where there is none.
        compute: ``(items, weights) -> (R,)`` float64 values; NaN where undefined, as on a table without items.
        warning: ``items -> str``: why the value is too weakly founded for an interval, "" where it is not.

    """

    name: str
    unit: str
    higher_is_better: bool
    best: float
    worst: float
    compute: Callable[[pd.DataFrame, Array | None], Array]
    warning: Callable[[pd.DataFrame], str] = _no_warning

    def __post_init__(self) -> None:
        """Leave tables without items undefined, so that no metric has to think of them."""
        compute = self.compute

        def of_some(items: pd.DataFrame, weights: Array | None) -> Array:
            if not len(items):
                return np.full(1 if weights is None else len(weights), np.nan)
            return compute(items, weights)

        object.__setattr__(self, "compute", of_some)

    def value(self, items: pd.DataFrame) -> float:
        """Return the metric of the sample as it is."""
        return float(self.compute(items, None)[0])


def share(
    name: str,
    compute: Callable[[pd.DataFrame, Array | None], Array],
    warning: Callable[[pd.DataFrame], str] = _no_warning,
) -> Metric:
    """Return the metric that is a share in percent, of which more is better."""
    return Metric(name, "%", True, 100.0, 0.0, compute, warning)


def group_codes(items: pd.DataFrame) -> tuple[Codes, npt.NDArray[np.object_]]:
    """Return the group of every item as a column number of ``weights``, and the sorted group names (G,).

    Codes have shape (n,) for items with a ``group``, (n, 2) for pairs with ``group_a`` and ``group_b``.
    """
    columns = ("group",) if "group" in items else ("group_a", "group_b")
    values = np.stack([items[column].to_numpy() for column in columns], axis=1)
    codes, names = pd.factorize(values.ravel(), sort=True)
    shaped = codes.reshape(values.shape)
    return (shaped[:, 0] if len(columns) == 1 else shaped), np.asarray(names, dtype=object)


def item_weights(codes: Codes, weights: Array) -> Array:
    """Return (R, n) weights of items: how often each one occurs in each replicate.

    A pair of two groups occurs as often as the product of their multiplicities, a pair inside one group as
    often as that group (Bolle et al. 2004, subset bootstrap, with identities as subsets).
    """
    if codes.ndim == 1:
        return np.asarray(weights[:, codes])
    a, b = codes.T
    return np.where(a == b, weights[:, a], weights[:, a] * weights[:, b])


def group_sums(codes: Codes, values: npt.ArrayLike, groups: int, weights: Array | None) -> Array:
    """Return (R, ...) sums of ``values`` (n, ...) over items, each weighted by its group's multiplicity."""
    table = np.asarray(values, dtype=np.float64)
    flat = table.reshape(len(table), math.prod(table.shape[1:]))
    sums = np.stack([np.bincount(codes, column, minlength=groups) for column in flat.T], axis=1)
    draws = np.ones((1, groups)) if weights is None else weights
    return np.asarray((draws @ sums).reshape(-1, *table.shape[1:]))


def ratio(numerator: Array, denominator: Array) -> Array:
    """Return the quotient, NaN where the denominator is zero."""
    undefined = np.full(np.broadcast_shapes(numerator.shape, denominator.shape), np.nan)
    return np.asarray(np.divide(numerator, denominator, out=undefined, where=denominator != 0))


def weighted_mean(
    items: pd.DataFrame, values: npt.ArrayLike, weights: Array | None, keep: npt.ArrayLike | None = None
) -> Array:
    """Return (R,) means of ``values`` (n,) over the items that ``keep`` (n,) admits; NaN over none.

    A value that is NaN or infinite makes the mean so in the replicates that draw its group, and in those alone.
    """
    codes, names = group_codes(items)
    array = np.asarray(values, dtype=np.float64)
    mask = np.ones(len(items), dtype=bool) if keep is None else np.asarray(keep, dtype=np.float64) > 0
    finite = np.isfinite(array)
    kept = np.where(mask & finite, array, 0.0)
    if (finite | ~mask).all():
        sums = group_sums(codes, np.stack([kept, mask], axis=1), len(names), weights)
        return ratio(sums[:, 0], sums[:, 1])
    odd = [mask & (array == np.inf), mask & (array == -np.inf), mask & np.isnan(array)]
    total, count, above, below, never = group_sums(
        codes, np.stack([kept, mask, *odd], axis=1), len(names), weights
    ).T
    total = np.where(above > 0, np.inf, total)
    total = np.where(below > 0, np.where(above > 0, np.nan, -np.inf), total)
    return ratio(np.where(never > 0, np.nan, total), count)


def mean_of(
    column: str,
    name: str,
    *,
    unit: str,
    best: float,
    worst: float,
    higher: bool = False,
    keep: str | None = None,
) -> Metric:
    """Return the metric that averages a column, over the items whose boolean column ``keep`` is true."""

    def compute(items: pd.DataFrame, weights: Array | None) -> Array:
        flags = None if keep is None else items[keep]
        return weighted_mean(items, items[column], weights, flags)

    return Metric(name, unit, higher, best, worst, compute)
