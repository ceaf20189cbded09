"""What a task's test part is scored with: a choice made elsewhere than on it, and heads fitted elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from paco_eval.features.extract import Features
from paco_eval.features.layers import Layer
from paco_eval.probes.borrowed import score_elsewhere
from paco_eval.probes.choice_cache import chosen_once
from paco_eval.probes.probe import Choice, choose, fit, outputs_of, score_fitted
from paco_eval.probes.solvers import FittedPath
from paco_fr.utils.errors import PacoError
from tasks.splits import Fold, ScoredOnly, Split, Test, Train
from tasks.task import Task

Tables = Mapping[Layer, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Decision:
    """Block, pooling and strength; for a set that is scored as a whole also what was fitted, and whence."""

    choice: Choice
    path: FittedPath | None = None
    source: str = ""


def decide(task: Task, features: Features, labels: pd.DataFrame, split: Split, memo: Path) -> Decision:
    """Return what is decided on the validation part, once: see :mod:`paco_eval.probes.choice_cache` for the file ``memo``."""
    return Decision(chosen_once(memo, lambda: _chosen(task, features, labels, split)))


def _chosen(task: Task, features: Features, labels: pd.DataFrame, split: Split) -> Choice:
    """Return what validation chooses; features of all other units are blank here."""
    seen, hidden = choosing_units(split), {}
    for layer, table in features.layers.items():
        hidden[layer] = np.full_like(table, np.nan)
        hidden[layer][seen] = table[seen]
    return choose(task, hidden, labels, split.select)


def choosing_units(split: Split) -> npt.NDArray[np.intp]:
    """Return the units that a choice is made on: those fitted on and those looked at."""
    parts = [part.indices for fold in split.select for part in (fold.fit, fold.held)]
    return np.unique(np.concatenate(parts))


def held_of(split: Split | ScoredOnly) -> npt.NDArray[np.intp]:
    """Return the units that are scored, in the order of their items."""
    if isinstance(split, ScoredOnly):
        return split.test.indices
    return np.concatenate([fold.held.indices for fold in split.score])


@dataclass(frozen=True)
class Scorer:
    """A task with everything decided and fitted.

    Attributes:
        task: the declaration.
        split: who plays which part.
        decision: what was decided before.
        heads: one for each scoring fold; none for a set that is scored as a whole.

    """

    task: Task
    split: Split | ScoredOnly
    decision: Decision
    heads: Sequence[FittedPath] = ()

    @classmethod
    def fitted(
        cls, task: Task, split: Split | ScoredOnly, decision: Decision, tables: Tables, labels: pd.DataFrame
    ) -> Scorer:
        """Fit the heads of the scoring folds on ``tables`` (n, D), where there are any to fit."""
        if isinstance(split, ScoredOnly):
            return cls(task, split, decision)
        return cls(task, split, decision, fit(task, tables, labels, split.score, decision.choice))

    def items(self, table: npt.NDArray[np.float32], labels: pd.DataFrame) -> pd.DataFrame:
        """Return the items of the test part for features (n, D) of all units in the chosen layer."""
        if isinstance(self.split, ScoredOnly):
            return self._as_a_whole(table, labels, self.split.test)
        return score_fitted(self.task, self.heads, table, labels, self.split.score, self.decision.choice)

    def outputs(
        self, table: npt.NDArray[np.float32], units: npt.NDArray[np.intp]
    ) -> npt.NDArray[np.floating]:
        """Return what the heads say of units (U,) of the test part, of features (n, D) of all units."""
        if isinstance(self.split, ScoredOnly):
            return table[units]
        found: npt.NDArray[np.floating] | None = None
        for head, fold in zip(self.heads, self.split.score, strict=True):
            own = np.isin(units, fold.held.indices)
            said = outputs_of(head, table[units[own]], self.decision.choice.strength)
            if found is None:
                found = np.full((len(units), *said.shape[1:]), np.nan)
            found[own] = said
        assert found is not None
        return found

    def items_apart(self, table: npt.NDArray[np.float32], labels: pd.DataFrame) -> pd.DataFrame:
        """Return the items of units (n, D) that stand for the test part and are all held."""
        held = Test(np.arange(len(labels)))
        if isinstance(self.split, ScoredOnly):
            return self._as_a_whole(table, labels, held)
        if len(self.heads) != 1:
            raise PacoError(
                f"{self.task.name}: units from elsewhere can be scored only by a task with one scoring fold."
            )
        # What the head was fitted on is not among these units; an index past them stands for it.
        fold = Fold(Train(np.array([len(labels)])), held)
        return score_fitted(self.task, self.heads, table, labels, [fold], self.decision.choice)

    def _as_a_whole(self, table: npt.NDArray[np.float32], labels: pd.DataFrame, test: Test) -> pd.DataFrame:
        choice, path = self.decision.choice, self.decision.path
        return score_elsewhere(self.task, table, labels, test, choice, path)
