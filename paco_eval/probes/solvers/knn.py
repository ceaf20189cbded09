"""Nearest neighbours by cosine of standardised features, at several numbers of neighbours at once.

Neighbours vote with the weight ``exp(cosine / 0.07)`` (Wu et al. 2018, as in DINO's evaluation); of numbers
the weighted mean is taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from paco_eval.probes.solvers.standardise import Standardiser, checked, product
from paco_fr.utils.errors import PacoError
from paco_fr.utils.types import Array
from tasks.kinds.shared.embeddings import to_length_one

STRENGTHS = (100.0, 50.0, 20.0, 10.0, 5.0, 1.0)
"""Numbers of neighbours; many smooth more, so they come first."""
TEMPERATURE = 0.07
ROWS = 1024
"""Queries whose cosines are held at once."""


@dataclass(frozen=True, eq=False)
class NeighbourPath:
    """Remembered units that are asked for different numbers of neighbours.

    Attributes:
        strengths: numbers of neighbours.
        standardiser: fitted on the remembered features.
        memory: (n, D) remembered features of length 1.
        answers: (n, C) one-hot classes or (n, T) numbers.
        layer: names the features in errors.

    """

    strengths: tuple[float, ...]
    standardiser: Standardiser
    memory: Array
    answers: Array
    layer: str

    def outputs(self, features: npt.ArrayLike, strength: float | str) -> Array:
        """Return class shares (n, C), a class code never remembered getting 0, or numbers (n, T)."""
        return next(self._answered(features, (float(strength),)))

    def all_outputs(self, features: npt.ArrayLike) -> Iterator[Array]:
        """Yield the outputs at every number of neighbours; cosines are computed once."""
        return self._answered(features, self.strengths)

    def _answered(self, features: npt.ArrayLike, numbers: tuple[float, ...]) -> Iterator[Array]:
        queries = to_length_one(self.standardiser(checked(features, self.layer)))
        most = min(int(max(numbers)), len(self.memory))
        near, cosines = [], []
        for start in range(0, len(queries), ROWS):
            found = product(queries[start : start + ROWS], self.memory.T)
            order = np.argsort(-found, axis=1, kind="stable")[:, :most]
            near.append(order)
            cosines.append(np.take_along_axis(found, order, axis=1))
        indices, weights = np.concatenate(near), np.exp(np.concatenate(cosines) / TEMPERATURE)
        for number in numbers:
            share = weights[:, : int(number)] / weights[:, : int(number)].sum(axis=1, keepdims=True)
            yield np.einsum("nk,nkt->nt", share, self.answers[indices[:, : int(number)]])


def fit(
    features: npt.ArrayLike,
    targets: npt.ArrayLike,
    *,
    layer: str = "",
    strengths: tuple[float, ...] = STRENGTHS,
) -> NeighbourPath:
    """Remember features (n, D) with class codes (n,) of an integer type or numbers (n, T).

    Raises:
        PacoError: features that are not finite, or targets of another length.

    """
    x, y = checked(features, layer), np.asarray(targets)
    if len(y) != len(x):
        raise PacoError(f"Nearest neighbours got {len(y)} targets for {len(x)} units.")
    standardiser = Standardiser.fit(x)
    coded = y.ndim == 1 and np.issubdtype(y.dtype, np.integer)
    answers = np.eye(int(y.max()) + 1)[y] if coded else y.reshape(len(x), -1).astype(np.float64)
    return NeighbourPath(strengths, standardiser, to_length_one(standardiser(x)), answers, layer)
