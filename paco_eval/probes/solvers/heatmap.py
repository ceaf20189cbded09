"""Heat maps on frozen patch tokens: a linear map for every point, read off by a soft-argmax.

The target of a token is, for each point, a Gaussian of its centre's distance from the point; its width of one token
is our choice. All tokens share the regression, as a 1 x 1 convolution does, so a place is known only as far as the
encoder says it. The prediction is the mean of the token centres under the softmax of the map (integral regression,
Sun et al. 2018). It never leaves the hull of the token centres: a point outside the crop is drawn to its border.

A strength is a penalty and a temperature, both chosen on validation.

Measured beside the linear head on the 8 x 8 frozen tokens of the untrained ``random:tiny``, ``landmarks/london``, 240
photographs, inter-ocular NME in percent: linear 9.5 [8.7, 10.4], heat maps 24.3 [23.4, 25.3], the mean shape alone
22.5 [21.4, 23.5]. Maps want tokens that tell what lies where; without them they are the worse head.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product as pairs_of

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from paco_eval.probes.solvers import token_ridge
from paco_eval.probes.solvers.token_ridge import TokenPath, regress, tokens_of
from paco_fr.utils.errors import PacoError
from paco_fr.utils.types import Array

TEMPERATURES = (0.2, 0.1, 0.05, 0.025, 0.0125)
"""Of the softmax, flattest first, in units of a map's peak, which is 1."""
STRENGTHS = tuple(
    f"{penalty:g} at temperature {temperature:g}"
    for penalty, temperature in pairs_of(token_ridge.STRENGTHS, TEMPERATURES)
)
"""Penalties, strongest first, each with all temperatures."""


@dataclass(frozen=True, eq=False)
class HeatmapPath:
    """Maps that differ in their penalty, read off at several temperatures.

    Attributes:
        strengths: pairs, written as in :data:`STRENGTHS`.
        maps: the regressions, one for each penalty among them.

    """

    strengths: tuple[str, ...]
    maps: TokenPath

    def outputs(self, features: npt.ArrayLike, strength: float | str) -> Array:
        """Return points (n, 2 L), x0 y0 x1 y1 ... on the canvas, 0 to 1, for tokens (n, N, D)."""
        penalty, temperature = _numbers(str(strength))
        return soft_argmax(self.maps.outputs(features, penalty), temperature)

    def all_outputs(self, features: npt.ArrayLike) -> Iterator[Array]:
        """Yield points (n, 2 L) at every strength; the maps of a penalty are made once."""
        known: tuple[float, Array] | None = None
        for strength in self.strengths:
            penalty, temperature = _numbers(strength)
            if known is None or known[0] != penalty:
                known = penalty, self.maps.outputs(features, penalty)
            yield soft_argmax(known[1], temperature)


def fit(
    features: npt.ArrayLike,
    targets: npt.ArrayLike,
    *,
    layer: str = "",
    strengths: tuple[str, ...] = STRENGTHS,
) -> HeatmapPath:
    """Fit the maps at every penalty that ``strengths`` name.

    Args:
        features: (n, N, D) tokens of a square grid, finite.
        targets: (n, 2 L) points x0 y0 x1 y1 ... on the canvas, 0 to 1 inside it.
        layer: names the features in errors.
        strengths: from :data:`STRENGTHS`.

    Raises:
        PacoError: features that are not such tokens, or another number of targets.

    """
    tokens, points = tokens_of(features, layer), np.asarray(targets, dtype=np.float64)
    if len(points) != len(tokens):
        raise PacoError(f"Heat maps got points of {len(points)} units for {len(tokens)} units.")

    def wanted(at: slice) -> Array:
        return gaussians(points[at], tokens.shape[1])

    penalties = tuple(dict.fromkeys(_numbers(strength)[0] for strength in strengths))
    return HeatmapPath(strengths, regress(tokens, wanted, points.shape[1] // 2, penalties, layer))


def centres(tokens: int) -> Array:
    """Return (N, 2) x, y of the centres of a square grid of tokens, 0 to 1, row by row."""
    side = round(tokens**0.5)
    y, x = np.divmod(np.arange(tokens), side)
    return np.asarray((np.stack([x, y], axis=1) + 0.5) / side)


def gaussians(points: Array, tokens: int) -> Array:
    """Return maps (n, N, L) with a peak of 1 at each point (n, 2 L) and a standard deviation of one token."""
    away = points.reshape(len(points), 1, -1, 2) - centres(tokens)[:, None]
    return np.asarray(np.exp(-0.5 * tokens * np.square(away).sum(axis=3)))


def soft_argmax(maps: Array, temperature: float) -> Array:
    """Return points (n, 2 L), the mean token centre under ``softmax(map / temperature)``, of maps (n, N, L)."""
    weights = softmax(maps / temperature, axis=1)
    points = np.einsum("ntl,tc->nlc", weights, centres(maps.shape[1]))
    return np.asarray(points.reshape(len(maps), -1))


def _numbers(strength: str) -> tuple[float, float]:
    penalty, _, temperature = strength.partition(" at temperature ")
    return float(penalty), float(temperature)
