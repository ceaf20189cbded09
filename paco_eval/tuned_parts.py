"""Whose pictures fine-tuning trains on, watches, and scores."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from paco_eval.inputs import Data
from paco_eval.protocol import main_metric
from paco_eval.protocols import NotApplicableError
from paco_eval.tuned import Array, Identities, Settings, Targets
from paco_eval.tuned_points import Points
from tasks import splits
from tasks.kinds import load_kind
from tasks.metrics.metric import Metric
from tasks.splits import Split
from tasks.task import Task
from tasks.units import Units


@dataclass(frozen=True)
class Part:
    """Units that are trained on, or held and scored as a task says."""

    task: Task
    units: Units
    indices: npt.NDArray[np.intp]

    @property
    def metric(self) -> Metric:
        """The main metric."""
        return main_metric(load_kind(self.task.kind), self.task)

    def score(self, outputs: Array) -> float:
        """Return the main metric of outputs (n, T) of these units."""
        labels = self.units.labels.iloc[self.indices].reset_index(drop=True)
        return float(self.metric.value(load_kind(self.task.kind).items(outputs, labels, self.task)))


@dataclass(frozen=True)
class Parts:
    """What is trained on, what is watched and what is scored; no person is in two of them.

    Attributes:
        fit: trained on; its units hold the targets.
        validation: watched, decides nothing.
        test: scored.
        source: of people from elsewhere, for the row.

    """

    fit: Part
    validation: Part
    test: Part
    source: str = ""

    def targets(self, settings: Settings) -> Targets | Identities | Points:
        """Return what the head is trained to."""
        task, units, fit = self.fit.task, self.fit.units, self.fit.indices
        if settings.head == "farl":
            return Points.of(task, units)
        if load_kind(task.kind).HEAD == "whitening":
            return Identities.of(task, units, fit, settings.margin)
        return Targets.of(task, units, fit)


def parts_of(data: Data) -> Parts:
    """Return the parts of a task with one fold to score, or of one that is scored as a whole beside known people.

    Of known people about a tenth are set aside for validation, where all their pairs are told apart.

    Raises:
        NotApplicableError: the task has several scoring folds, or nothing to train on.

    """
    task, (units, split) = data.task, data.views["all"]
    if task.sweep is None and not isinstance(split, Split) and data.people is not None:
        people = data.people.units
        groups = people.labels["group"].tolist()
        (fold, *_) = splits.choosing_folds(groups, max(2, min(10, len(set(groups)) // 2)))
        pairs = replace(task, kind="verification", main_metric="auc", options={"pairs": "sampled"})
        trained, watched = (Part(pairs, people, chosen) for chosen in (fold.fit.indices, fold.held.indices))
        known = set(people.labels["group"].iloc[fold.held.indices])
        source = f"trained on {data.people.name}, {len(known)} of {len(set(groups))} people set aside"
        return Parts(trained, watched, Part(task, units, split.test.indices), source)
    if (
        task.sweep is not None
        or not isinstance(split, Split)
        or len(split.score) != 1
        or load_kind(task.kind).HEAD not in ("logistic", "ridge")
    ):
        raise NotApplicableError(f"{task.name}: fine-tuning needs one part to fit on and one to score.")
    select, (score,) = split.select[0], split.score
    fit, validation, test = (Part(task, units, part.indices) for part in (score.fit, select.held, score.held))
    return Parts(fit, validation, test)
