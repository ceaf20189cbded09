"""A linear classifier of every patch token, in closed form: ridge regression on what the token's patch shows.

The target of a token is the share of each class in its patch (a histogram, or one-hot inside a region). Only sums over
tokens enter the solution, so pictures pass by in batches and nothing as large as all tokens in float64 is ever held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from paco_eval.probes.solvers.standardise import Standardiser, product
from paco_fr.utils.errors import PacoError
from paco_fr.utils.types import Array

STRENGTHS = (1.0, 1e-2, 1e-4)
"""Penalties per token, strongest first, in units of the variance of one standardised feature. Few: tokens are many
beside their dimensions, and every penalty is judged on whole masks."""
BATCH = 64
"""Pictures at once."""


@dataclass(frozen=True, eq=False)
class TokenPath:
    """Ridge regressions of one kind of token that differ in their penalty only.

    Attributes:
        strengths: penalties per token.
        standardiser: fitted on the training tokens.
        weights: (s, D, C) coefficients at every strength.
        intercept: (C,) means of the targets in training, of classes their shares.

    """

    strengths: tuple[float, ...]
    standardiser: Standardiser
    weights: Array
    intercept: Array

    def outputs(self, features: npt.ArrayLike, strength: float | str) -> Array:
        """Return scores (n, N, C) of tokens (n, N, D) at one strength."""
        return self._scores(np.asarray(features), self.weights[self.strengths.index(float(strength))])

    def all_outputs(self, features: npt.ArrayLike) -> Iterator[Array]:
        """Yield scores (n, N, C) at every strength."""
        tokens = np.asarray(features)
        return (self._scores(tokens, weights) for weights in self.weights)

    def _scores(self, tokens: npt.NDArray[np.floating], weights: Array) -> Array:
        scores = np.empty((*tokens.shape[:2], weights.shape[1]))
        for at in range(0, len(tokens), BATCH):
            part = tokens[at : at + BATCH].astype(np.float64)
            rows = self.standardiser(part.reshape(-1, part.shape[2]))
            scores[at : at + BATCH] = (product(rows, weights) + self.intercept).reshape(*part.shape[:2], -1)
        return scores


def fit(
    features: npt.ArrayLike,
    targets: npt.ArrayLike,
    *,
    layer: str = "",
    strengths: tuple[float, ...] = STRENGTHS,
) -> TokenPath:
    """Minimise ``mean |y - x w - b|^2 + strength |w|^2`` over all tokens x at every strength.

    Args:
        features: (n, N, D) tokens of a square grid, finite.
        targets: (n, S, S) class of every cell of a finer grid over the same picture.
        layer: names the features in errors.
        strengths: positive penalties per token.

    Raises:
        PacoError: features that are not such tokens, or another number of targets.

    """
    tokens, maps = tokens_of(features, layer), np.asarray(targets)
    if len(maps) != len(tokens):
        raise PacoError(f"Ridge regression got {len(maps)} class maps for {len(tokens)} units.")
    classes = int(maps.max()) + 1

    def shares(at: slice) -> Array:
        return histograms(maps[at], tokens.shape[1], classes)

    return regress(tokens, shares, classes, strengths, layer)


def tokens_of(features: npt.ArrayLike, layer: str) -> npt.NDArray[np.floating]:
    """Return features as tokens (n, N, D) of a square grid.

    Raises:
        PacoError: they are something else.

    """
    tokens = np.asarray(features)
    if tokens.ndim != 3 or not tokens.size or round(tokens.shape[1] ** 0.5) ** 2 != tokens.shape[1]:
        raise PacoError(
            f"Features of {layer} have shape {tokens.shape}; expected (units, a square of tokens, dimensions)."
        )
    return tokens


def regress(
    tokens: npt.NDArray[np.floating],
    wanted: Callable[[slice], Array],
    columns: int,
    strengths: tuple[float, ...],
    layer: str = "",
) -> TokenPath:
    """Return the regressions of tokens (n, N, D) on ``wanted``, which gives (b, N, C) for a slice of units.

    Raises:
        PacoError: a token is not finite.

    """
    dimensions, count = tokens.shape[2], tokens.shape[0] * tokens.shape[1]
    # Moments are taken about the first picture's mean, so that large offsets cancel no digits.
    origin = tokens[0].mean(axis=0, dtype=np.float64)
    total, crossed, squared = (
        np.zeros(dimensions),
        np.zeros((dimensions, columns)),
        np.zeros((dimensions,) * 2),
    )
    sums, largest = np.zeros(columns), np.zeros(dimensions)
    for at in range(0, len(tokens), BATCH):
        part = slice(at, at + BATCH)
        x = tokens[part].reshape(-1, dimensions).astype(np.float64)
        y = wanted(part).reshape(-1, columns)
        largest = np.maximum(largest, np.abs(x).max(axis=0))
        x -= origin
        total += x.sum(axis=0)
        sums += y.sum(axis=0)
        squared += product(x.T, x)
        crossed += product(x.T, y)
    if not np.isfinite(squared).all():
        raise PacoError(f"Features of {layer} are not finite.")
    mean, intercept = total / count, sums / count
    covariance = squared / count - np.outer(mean, mean)
    std = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    inverse = np.divide(1.0, std, out=np.zeros_like(std), where=std > 1e-7 * largest)
    standard = covariance * np.outer(inverse, inverse)
    towards = (crossed / count - np.outer(mean, intercept)) * inverse[:, None]
    variances, axes = np.linalg.eigh(standard)
    along = product(axes.T, towards)
    weights = [
        product(axes, along / (np.maximum(variances, 0.0) + strength)[:, None]) for strength in strengths
    ]
    return TokenPath(strengths, Standardiser(origin + mean, inverse), np.stack(weights), intercept)


def histograms(maps: npt.NDArray[np.integer], tokens: int, classes: int) -> Array:
    """Return (n, N, C) shares of the classes in the cells of N tokens on a square grid, for class maps (n, S, S)."""
    side = round(tokens**0.5)
    one_hot = F.one_hot(torch.from_numpy(maps.astype(np.int64)), classes).permute(0, 3, 1, 2).double()
    pooled = F.adaptive_avg_pool2d(one_hot, side)
    return np.asarray(pooled.flatten(2).transpose(1, 2).numpy())
