"""Solvers: how heads on frozen features are fitted, each along a whole path of strengths at once.

A solver standardises on the features that it is fitted on, so a strength means the same for every encoder,
block and number of units and can be carried over from a choosing fold to the larger scoring fold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, cast

import numpy.typing as npt

from paco_fr.utils.errors import unknown_name
from paco_fr.utils.types import Array
from tasks.task import resolve

Strength = float | str

SOLVERS = {
    "logistic": "paco_eval.probes.solvers.logistic:fit",
    "ridge": "paco_eval.probes.solvers.ridge:fit",
    "knn": "paco_eval.probes.solvers.knn:fit",
    "token_ridge": "paco_eval.probes.solvers.token_ridge:fit",
    "heatmap": "paco_eval.probes.solvers.heatmap:fit",
    "whitening": "paco_eval.probes.solvers.whitening:fit",
}


class FittedPath(Protocol):
    """A head fitted at every strength of its path."""

    @property
    def strengths(self) -> Sequence[Strength]:
        """What can be chosen from, strongest first; plain values, fit for a row."""
        ...

    def outputs(self, features: npt.ArrayLike, strength: Strength) -> Array:
        """Return the outputs (n, T) for features (n, D) at one strength of the path."""
        ...

    def all_outputs(self, features: npt.ArrayLike) -> Iterator[Array]:
        """Yield the outputs (n, T) at every strength, in their order; shared work is done once."""
        ...


class Head(Protocol):
    """Fits a path: what every entry of :data:`SOLVERS` is."""

    def __call__(
        self, features: npt.ArrayLike, targets: npt.ArrayLike, *, layer: str = "", strengths: tuple = ...
    ) -> FittedPath:
        """Fit to features (n, D) and targets (n,) or (n, T).

        ``layer`` names them in errors; ``strengths`` are all of the solver's own unless given.
        """
        ...


def load_solver(name: str) -> Head:
    """Import the solver of a head; an unknown name is an error that suggests the nearest."""
    if name not in SOLVERS:
        raise unknown_name("head", name, SOLVERS)
    return cast(Head, resolve(SOLVERS[name]))
