"""Ridge regression at all strengths from one eigendecomposition."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from paco_eval.probes.solvers.standardise import Standardiser, checked, principal_axes, product
from paco_fr.utils.errors import PacoError
from paco_fr.utils.types import Array

STRENGTHS = tuple(float(strength) for strength in np.logspace(5, -6, 45))
"""Penalties per unit, strongest first, in units of the variance of one standardised feature."""


@dataclass(frozen=True, eq=False)
class RidgePath:
    """Ridge regressions that differ in their penalty only.

    In the principal axes of the standardised features the problem falls apart into one number per axis:
    the coefficient at penalty ``s`` is ``covariance / (variance + s)``.

    Attributes:
        strengths: penalties per unit.
        standardiser: fitted on the training features.
        axes: (D, r) principal axes.
        variances: (r,) variances along them.
        covariances: (r, T) covariances of the axes with the targets.
        intercept: (T,) means of the targets; not penalised.
        layer: names the features in errors.

    """

    strengths: tuple[float, ...]
    standardiser: Standardiser
    axes: Array
    variances: Array
    covariances: Array
    intercept: Array
    layer: str

    def outputs(self, features: npt.ArrayLike, strength: float | str) -> Array:
        """Return predictions (n, T) for features (n, D) at one strength."""
        return self._predict(self._project(features), float(strength))

    def all_outputs(self, features: npt.ArrayLike) -> Iterator[Array]:
        """Yield predictions (n, T) at every strength; the features are projected once."""
        projected = self._project(features)
        return (self._predict(projected, strength) for strength in self.strengths)

    def _project(self, features: npt.ArrayLike) -> Array:
        return product(self.standardiser(checked(features, self.layer)), self.axes)

    def _predict(self, projected: Array, strength: float) -> Array:
        return product(projected, self.covariances / (self.variances + strength)[:, None]) + self.intercept


def fit(
    features: npt.ArrayLike,
    targets: npt.ArrayLike,
    *,
    layer: str = "",
    strengths: tuple[float, ...] = STRENGTHS,
) -> RidgePath:
    """Minimise ``mean |y - x w - b|^2 + strength |w|^2`` at every strength.

    At strength s over n units this is scikit-learn's ``Ridge(alpha=n * s)`` on standardised features.

    Args:
        features: (n, D), finite.
        targets: (n, T) or (n,), finite.
        layer: names the features in errors.
        strengths: positive penalties per unit.

    Raises:
        PacoError: features or targets that are not finite, or of unequal length.

    """
    x = checked(features, layer)
    y = np.asarray(targets, dtype=np.float64)
    if len(y) != len(x):
        raise PacoError(f"Ridge regression got {len(y)} targets for {len(x)} units.")
    if not np.isfinite(y).all():
        raise PacoError("Ridge regression needs a finite target for every unit.")
    y = y.reshape(len(x), -1)
    standardiser = Standardiser.fit(x)
    standard, intercept = standardiser(x), y.mean(axis=0)
    axes, variances = principal_axes(standard)
    covariances = product(product(standard, axes).T, y - intercept) / len(x)
    return RidgePath(strengths, standardiser, axes, variances, covariances, intercept, layer)
