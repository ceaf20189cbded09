"""Whose pictures fine-tuning trains on, watches, and scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from paco_eval.finetune.farl import Masks, Points
from paco_eval.finetune.model import Identities, Settings, Targets
from paco_fr.utils.types import Array
from tasks.kinds import load_kind, main_metric
from tasks.metrics.metric import Metric
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
