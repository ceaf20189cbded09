"""Whitening of embeddings before cosines are taken, along a path of choices.

============  =========================================================================================
strength      embedding before it is brought to length 1
============  =========================================================================================
``raw``       the features as they are
``total:a``   standardised, then whitened by the covariance C of the training units, shrunk to
              ``(1 - a) C + a (trace C / D) I`` (Ledoit and Wolf 2004); ``total:1`` only standardises
``within:a``  the same with the covariance within identities, which is linear discriminant analysis
              without its ranking of directions (WCCN, Hatch et al. 2006)
============  =========================================================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from paco_eval.probes.solvers.standardise import Standardiser, checked, principal_axes, product
from paco_fr.utils.errors import PacoError
from paco_fr.utils.types import Array
from tasks.kinds.shared.embeddings import to_length_one

SHRINKAGES = (1.0, 0.9, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01)
"""Shares of the round covariance that is mixed in, strongest first."""


@dataclass(frozen=True, eq=False)
class _Covariance:
    """A covariance as its axes (D, r), the variances along them (r,) and the mean variance of a feature."""

    axes: Array
    variances: Array
    mean: float

    @classmethod
    def of(cls, centred: Array) -> _Covariance:
        axes, variances = principal_axes(centred)
        return cls(axes, variances, float(variances.sum()) / centred.shape[1])

    def gains(self, shrinkage: float) -> tuple[Array, float]:
        """Return what whitening multiplies by, along the axes (r,) and in all other directions."""
        along = (1.0 - shrinkage) * self.variances + shrinkage * self.mean
        across = shrinkage * self.mean
        return 1.0 / np.sqrt(along), 1.0 / np.sqrt(across) if across > 0 else 1.0


@dataclass(frozen=True, eq=False)
class WhiteningPath:
    """Embeddings that differ in their whitening only.

    Attributes:
        strengths: choices, see the module.
        standardiser: fitted on the training features.
        covariances: by name, ``total`` and perhaps ``within``.
        layer: names the features in errors.

    """

    strengths: tuple[str, ...]
    standardiser: Standardiser
    covariances: dict[str, _Covariance]
    layer: str

    def outputs(self, features: npt.ArrayLike, strength: float | str) -> Array:
        """Return embeddings (n, D) of length 1 (or 0 where nothing is left) at one choice."""
        x = checked(features, self.layer)
        return self._embed(x, self.standardiser(x), str(strength), {})

    def all_outputs(self, features: npt.ArrayLike) -> Iterator[Array]:
        """Yield embeddings (n, D) at every choice; the features are projected once per covariance."""
        x = checked(features, self.layer)
        standard = self.standardiser(x)
        projected: dict[str, Array] = {}
        return (self._embed(x, standard, strength, projected) for strength in self.strengths)

    def _embed(self, x: Array, standard: Array, strength: str, projected: dict[str, Array]) -> Array:
        if strength not in self.strengths:
            raise PacoError(f"Whitening has no choice '{strength}'; it has {', '.join(self.strengths)}.")
        if strength == "raw":
            return to_length_one(x)
        name, _, shrinkage = strength.partition(":")
        covariance = self.covariances[name]
        if name not in projected:
            projected[name] = product(standard, covariance.axes)
        along, across = covariance.gains(float(shrinkage))
        if covariance.axes.shape[0] == covariance.axes.shape[1]:
            return to_length_one(projected[name] * along)  # turning back would leave every cosine as it is
        correction = product(projected[name] * (along - across), covariance.axes.T)
        return to_length_one(across * standard + correction)


def fit(
    features: npt.ArrayLike,
    targets: npt.ArrayLike | None = None,
    *,
    layer: str = "",
    strengths: tuple[str, ...] = (),
) -> WhiteningPath:
    """Fit the path to features (n, D).

    Args:
        features: (n, D), finite.
        targets: (n,) identity codes; without them, or where nobody has two units, there is no ``within``.
        layer: names the features in errors.
        strengths: choices to offer; none for all of them.

    Raises:
        PacoError: features that are not finite, or codes of another length.

    """
    x = checked(features, layer)
    standardiser = Standardiser.fit(x)
    standard = standardiser(x)
    covariances = {"total": _Covariance.of(standard)}
    if targets is not None:
        codes = np.asarray(targets)
        if codes.shape != (len(x),):
            raise PacoError(f"Whitening got {len(x)} units and identity codes of shape {codes.shape}.")
        within = _Covariance.of(_centred_by_identity(standard, codes))
        if within.mean > 0:
            covariances["within"] = within
    if not strengths:
        strengths = ("raw", *(f"total:{a:g}" for a in SHRINKAGES))
        if "within" in covariances:
            strengths += tuple(f"within:{a:g}" for a in SHRINKAGES if a < 1.0)  # within:1 is total:1
    return WhiteningPath(strengths, standardiser, covariances, layer)


def _centred_by_identity(rows: Array, codes: npt.NDArray[np.generic]) -> Array:
    """Return rows less the mean of their identity, lone units left out (they would only be zeros)."""
    _, code, counts = np.unique(codes, return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), rows.shape[1]))
    np.add.at(sums, code, rows)
    centred = rows - (sums / counts[:, None])[code]
    return centred[counts[code] > 1] if (counts > 1).any() else np.zeros((1, rows.shape[1]))
