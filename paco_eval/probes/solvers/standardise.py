"""Features as solvers take them: checked, standardised, turned to their principal axes."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from paco_fr.utils.errors import PacoError
from paco_fr.utils.files import checksum
from paco_fr.utils.types import Array


def checked(features: npt.ArrayLike, layer: str = "") -> Array:
    """Return features (n, D) as float64, or say which row of which layer is not finite.

    Raises:
        PacoError: not a table of at least one row, or a value is NaN or infinite.

    """
    array = np.asarray(features, dtype=np.float64)
    source = f"Features of {layer}" if layer else "Features"
    if array.ndim != 2 or not array.size:
        raise PacoError(
            f"{source} have shape {array.shape}; expected (units, dimensions), neither of them 0."
        )
    bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if bad.size:
        raise PacoError(f"{source} are not finite in row {bad[0]} ({bad.size} of {len(array)} rows).")
    return array


def product(a: Array, b: Array) -> Array:
    """Return ``a @ b`` by torch, which multiplies tall thin tables several times faster than numpy."""
    left, right = (torch.from_numpy(np.asarray(part, dtype=np.float64)) for part in (a, b))
    return np.asarray((left @ right).numpy())


@dataclass(frozen=True, eq=False)
class Standardiser:
    """Takes each feature to mean 0 and variance 1 on the units that it was fitted on.

    Attributes:
        mean: (D,) means.
        inverse_std: (D,) reciprocals of the standard deviations, 0 for a feature that was constant.

    """

    mean: Array
    inverse_std: Array

    @classmethod
    def fit(cls, features: Array) -> Standardiser:
        """Fit to features (n, D). A spread below float32 rounding counts as constant."""
        mean, std = features.mean(axis=0), features.std(axis=0)
        varies = std > 1e-7 * np.abs(features).max(axis=0)
        inverse = np.divide(1.0, std, out=np.zeros_like(std), where=varies)
        return cls(mean, inverse)

    def __call__(self, features: Array) -> Array:
        """Return standardised features (n, D)."""
        return (features - self.mean) * self.inverse_std


HELD_BYTES = 512 * 2**20
"""Of axes that are kept: those of some ten layers of 1,800 units, and so all of one encoder."""

_kept: OrderedDict[str, tuple[Array, Array]] = OrderedDict()
"""Axes by the checksum of the rows that they are of, the longest unused first."""


def principal_axes(centred: Array) -> tuple[Array, Array]:
    """Return the axes (D, r) and variances (r,) of centred rows (n, D), smallest first; not to be changed.

    Works on the smaller of the D x D and n x n products. Axes whose variance drowns in rounding are left
    out, so r is at most the rank. They depend on no label, and cost more than all else: the same rows, of choosing and
    of scoring, or of several tasks on the same pictures, are decomposed once.
    """
    key = checksum(repr(centred.shape), np.ascontiguousarray(centred))
    found = _kept.pop(key, None)
    if found is None:
        found = _decomposed(centred)
    _kept[key] = found
    size = sum(axes.nbytes for axes, _ in _kept.values())
    while size > HELD_BYTES and len(_kept) > 1:
        size -= _kept.popitem(last=False)[1][0].nbytes
    return found


def _decomposed(centred: Array) -> tuple[Array, Array]:
    n, d = centred.shape
    moments = (product(centred.T, centred) if d <= n else product(centred, centred.T)) / n
    variances, vectors = np.linalg.eigh(moments)
    kept = variances > max(n, d) * np.finfo(np.float64).eps * max(variances[-1], 0.0)
    variances, vectors = variances[kept], vectors[:, kept]
    if d <= n:
        return vectors, variances
    return product(centred.T, vectors / np.sqrt(n * variances)), variances
