"""Whose pictures fine-tuning trains on, watches, and scores."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from paco_eval.evaluation.data import Data
from paco_eval.evaluation.protocols import NotApplicableError
from paco_eval.finetune.farl import Masks, Points
from paco_eval.finetune.model import Identities, Settings, Targets
from paco_fr.utils.types import Array
from tasks import splits
from tasks.kinds import load_kind, main_metric
from tasks.metrics.metric import Metric
from tasks.splits import Split
from tasks.task import Task
from tasks.units import Units

TRAINED = ("logistic", "ridge", "token_ridge", "whitening")
"""Kinds of heads that a training stands for: classes, numbers, masks, and embeddings of people."""


@dataclass(frozen=True)
class Part:
    """Units that are trained on, or held and scored as a task says."""

    task: Task
    units: Units
    indices: npt.NDArray[np.intp]

    @property
    def metric(self) -> Metric:
        """The main metric."""
        return main_metric(self.task)

    def items(self, outputs: Array) -> pd.DataFrame:
        """Return the items of outputs (n, T) of these units."""
        labels = self.units.labels.iloc[self.indices].reset_index(drop=True)
        return load_kind(self.task.kind).items(outputs, labels, self.task)

    def score(self, outputs: Array) -> float:
        """Return the main metric of outputs (n, T) of these units."""
        return float(self.metric.value(self.items(outputs)))


@dataclass(frozen=True)
class Parts:
    """What is trained on, what is watched and what is scored; no person is in two of them.

    Attributes:
        fit: trained on; its units hold the targets.
        validation: watched, decides nothing.
        test: scored.
        source: whence people from elsewhere are, or of how many trainings this is one, for the row.

    """

    fit: Part
    validation: Part
    test: Part
    source: str = ""

    def targets(self, settings: Settings) -> Targets | Identities | Points | Masks:
        """Return what the head is trained to."""
        task, units, fit = self.fit.task, self.fit.units, self.fit.indices
        if settings.head == "farl":
            return (Masks if task.kind == "segmentation" else Points).of(task, units)
        if load_kind(task.kind).HEAD == "whitening":
            return Identities.of(task, units, fit, settings.margin)
        return Targets.of(task, units, fit)


def parts_of(data: Data, view: str = "all") -> list[Parts]:
    """Return what each training of a view has: one training a scoring fold; a set scored as a whole has one, on others.

    Whoever validation watches is not trained on. Of known people from elsewhere about a tenth are set aside for it,
    where all their pairs are told apart.

    Raises:
        NotApplicableError: the task has nothing to train on, or a head that is not trained here.

    """
    task, (units, split) = data.task, data.views[view]
    if task.sweep is not None:
        raise NotApplicableError(
            f"{task.name}: its pictures are changed test pictures; fine-tune on {task.sweep.base}, or measure it frozen."
        )
    if load_kind(task.kind).HEAD not in TRAINED:
        raise NotApplicableError(f"{task.name}: fine-tuning has no head for {task.kind}; measure it frozen.")
    if isinstance(split, Split):
        watched = split.select[0].held.indices
        return [
            Parts(
                Part(task, units, np.setdiff1d(fold.fit.indices, watched)),
                Part(task, units, watched),
                Part(task, units, fold.held.indices),
                f"{len(split.score)} trainings, one a fold" if len(split.score) > 1 else "",
            )
            for fold in split.score
        ]
    if data.people is None:
        raise NotApplicableError(
            f"{task.name}: it is scored as a whole; name other people with --train-identities."
        )
    people = data.people.units
    groups = people.labels["group"].tolist()
    (fold, *_) = splits.choosing_folds(groups, max(2, min(10, len(set(groups)) // 2)))
    pairs = replace(task, kind="verification", main_metric="auc", options={"pairs": "sampled"})
    fit, validation = (Part(pairs, people, chosen) for chosen in (fold.fit.indices, fold.held.indices))
    known = set(people.labels["group"].iloc[fold.held.indices])
    source = f"trained on {data.people.name}, {len(known)} of {len(set(groups))} people set aside"
    return [Parts(fit, validation, Part(task, units, split.test.indices), source)]


def best_epochs(history: Array, parts: Parts) -> dict[str, float | None]:
    """Return what the epoch best on validation, and the one best on test, give on test; the first of equals.

    None where a score was undefined in every epoch. ``history`` (E, 2) holds validation and test scores.
    """
    found: dict[str, float | None] = {}
    for column, (name, part) in enumerate((("validation", parts.validation), ("test", parts.test))):
        scores = history[:, column] if part.metric.higher_is_better else -history[:, column]
        known = bool(np.isfinite(scores).any())
        epoch = int(np.nanargmax(scores)) if known else -1
        found[f"best_on_{name}"] = float(history[epoch, 1]) if known else None
        found[f"best_on_{name}_epoch"] = epoch + 1 if known else None
    return found
