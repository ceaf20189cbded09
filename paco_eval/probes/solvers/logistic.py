"""Multinomial logistic regression along a path of penalties, each start the end of the one before.

The features are turned to their principal axes and every axis is scaled by the curvature to expect along
it, ``h * variance + strength``. In these coordinates the problem is nearly round, and L-BFGS needs a
handful of steps where it needs hundreds on the features as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from paco_eval.probes.solvers.standardise import Standardiser, checked, principal_axes, product
from paco_fr.utils.errors import PacoError
from paco_fr.utils.types import Array

STRENGTHS = tuple(float(strength) for strength in np.logspace(1, -6, 15))
"""Penalties per unit, half a decade apart, strongest first, in units of the variance of one standardised feature."""

SINGLE = 1e-4
"""Tolerance from which on single precision is exact enough; it reads half as much memory, which is what costs."""

FEW_CELLS = 2_000_000
"""Units times axes below which a second thread does not pay."""


@dataclass(frozen=True, eq=False)
class LogisticPath:
    """Classifiers that differ in their penalty only.

    Attributes:
        strengths: penalties per unit.
        standardiser: fitted on the training features.
        axes: (D, r) principal axes of the standardised features.
        classes: (K,) codes of the classes that were trained on.
        coefficients: (S, r + 1, K) weights along the axes, the intercept last.
        layer: names the features in errors.

    """

    strengths: tuple[float, ...]
    standardiser: Standardiser
    axes: Array
    classes: npt.NDArray[np.int64]
    coefficients: Array
    layer: str

    def outputs(self, features: npt.ArrayLike, strength: float | str) -> Array:
        """Return probabilities (n, C) at one strength; a class code never trained on gets 0."""
        return self._predict(self._project(features), self.strengths.index(float(strength)))

    def all_outputs(self, features: npt.ArrayLike) -> Iterator[Array]:
        """Yield probabilities (n, C) at every strength; the features are projected once."""
        projected = self._project(features)
        return (self._predict(projected, at) for at in range(len(self.strengths)))

    def _project(self, features: npt.ArrayLike) -> Array:
        return product(self.standardiser(checked(features, self.layer)), self.axes)

    def _predict(self, projected: Array, at: int) -> Array:
        probabilities = np.zeros((len(projected), self.classes[-1] + 1))
        from scipy.special import softmax

        logits = product(projected, self.coefficients[at, :-1]) + self.coefficients[at, -1]
        probabilities[:, self.classes] = softmax(logits, axis=1)
        return probabilities


def fit(
    features: npt.ArrayLike,
    targets: npt.ArrayLike,
    *,
    layer: str = "",
    strengths: tuple[float, ...] = STRENGTHS,
    tolerance: float | None = None,
) -> LogisticPath:
    """Minimise ``mean cross entropy + strength / 2 |w|^2`` at every strength; the intercept is free.

    At strength s over n units this is scikit-learn's ``LogisticRegression(C=1 / (n * s))`` on standardised
    features; of two classes both have weights here, which halves the penalty.

    Args:
        features: (n, D), finite.
        targets: (n,) class codes from 0.
        layer: names the features in errors.
        strengths: positive penalties per unit, falling, so that each start is near its end.
        tolerance: largest gradient component, in the scaled coordinates, at which a fit is done; by default 1e-5
            for one strength, the head that is scored, and 1e-4 along a path: scikit-learn's default, and choosing
            needs no more. From there on features are multiplied in single precision, logits summed up in double.

    Raises:
        PacoError: features that are not finite, codes of another length, or fewer than two classes.

    """
    x, codes = checked(features, layer), np.asarray(targets)
    if codes.shape != (len(x),):
        raise PacoError(f"Logistic regression got {len(x)} units and class codes of shape {codes.shape}.")
    classes, labels = np.unique(codes.astype(np.int64), return_inverse=True)
    if len(classes) < 2:
        raise PacoError(f"Logistic regression needs units of two classes, all have code {classes[0]}.")
    if tolerance is None:
        tolerance = 1e-5 if len(strengths) == 1 else SINGLE
    standardiser = Standardiser.fit(x)
    standard = standardiser(x)
    axes, variances = principal_axes(standard)
    problem = _Problem(
        torch.from_numpy(product(standard, axes)).to(torch.float32 if tolerance >= SINGLE else torch.float64),
        torch.from_numpy(np.eye(len(classes))[labels]),
        torch.from_numpy(variances),
    )
    before = last = torch.zeros(len(variances) + 1, len(classes), dtype=torch.float64)
    path = []
    with _threads_worth_it(problem.units):
        for strength in strengths:
            start = (
                2.0 * last - before
            )  # the path is smooth: go on along the line through its last two points
            before, last = last, problem.solve(strength, start, tolerance)
            path.append(last.numpy())
    return LogisticPath(strengths, standardiser, axes, classes, np.stack(path), layer)


@contextmanager
def _threads_worth_it(units: Tensor) -> Iterator[None]:
    """Use one thread while units are few: they would wait for each other longer than they work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if units.numel() < FEW_CELLS else threads)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@dataclass(frozen=True, eq=False)
class _Problem:
    """Units (n, r) in principal axes, their classes (n, K) as ones, the variances (r,) along the axes."""

    units: Tensor
    classes: Tensor
    variances: Tensor

    def solve(self, strength: float, start: Tensor, tolerance: float) -> Tensor:
        """Return the coefficients (r + 1, K), the intercept last, at one strength."""
        expected = self._log_probabilities(start).exp()
        curvature = (expected * (1.0 - expected)).mean().clamp_min(1e-6)
        bend = torch.cat([curvature * self.variances + strength, curvature[None]])
        stretch = bend.rsqrt()[:, None]
        scaled = start / stretch

        def objective() -> Tensor:
            coefficients = stretch * scaled
            weights = coefficients[:-1]
            log_p = self._log_probabilities(coefficients)
            residual = (log_p.exp() - self.classes) / len(log_p)
            slope = (residual.T.to(self.units.dtype) @ self.units).T.double()
            gradient = torch.cat([slope + strength * weights, residual.sum(0)[None]])
            scaled.grad = stretch * gradient
            return strength / 2.0 * weights.square().sum() - (self.classes * log_p).sum() / len(log_p)

        optimiser = torch.optim.LBFGS(
            [scaled],
            max_iter=1000,
            tolerance_grad=tolerance,
            tolerance_change=1e-14,
            history_size=10,
            line_search_fn="strong_wolfe",
        )
        optimiser.step(objective)  # type: ignore[no-untyped-call]
        return stretch * scaled

    def _log_probabilities(self, coefficients: Tensor) -> Tensor:
        logits = (self.units @ coefficients[:-1].to(self.units.dtype)).double()
        return torch.log_softmax(logits + coefficients[-1], dim=1)
