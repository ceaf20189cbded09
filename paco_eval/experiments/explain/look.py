"""One measurement of an encoder on a part of a task, and all that is needed to score it against other labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module

import pandas as pd

from paco_eval.evaluation.data import Data
from paco_eval.evaluation.frozen import decide_elsewhere
from paco_eval.features.extract import Features, extract
from paco_eval.probes.probe import choose
from paco_eval.probes.scorer import Decision, Scorer
from paco_eval.probes.solvers import load_solver
from paco_fr.contracts import Encoder
from tasks.kinds import load_kind, main_metric
from tasks.metrics.metric import Metric
from tasks.splits import Split
from tasks.task import Task


@dataclass(frozen=True)
class Look:
    """One measurement: what was scored, and all that is needed to score it against other labels."""

    data: Data
    features: Features
    scorer: Scorer
    items: pd.DataFrame
    metric: Metric = field(repr=False)

    @property
    def value(self) -> float:
        """The main metric."""
        return self.metric.value(self.items)

    def against(self, labels: pd.DataFrame) -> pd.DataFrame:
        """Return the items of the same outputs against other labels."""
        return self.scorer.items(self.features.layers[self.scorer.decision.choice.layer], labels)


def look_at(encoder: Encoder, data: Data) -> Look:
    """Extract features, choose and fit the head as the task declares it, and score."""
    task, (units, split) = data.task, data.views["all"]
    features = extract(encoder, units, task.reductions, flip=task.flip, progress=True)
    if isinstance(split, Split):
        decision = Decision(choose(task, features.layers, units.labels, split.select, coarse(task)))
    else:
        decision = decide_elsewhere(encoder, data)
    scorer = Scorer.fitted(task, split, decision, features.layers, units.labels)
    items = scorer.items(features.layers[decision.choice.layer], units.labels)
    return Look(data, features, scorer, items, main_metric(task))


def coarse(task: Task) -> list[float] | None:
    """Return every fourth strength of a long path, which is enough to compare by; None for all of a short one."""
    solver = load_solver(task.head or load_kind(task.kind).HEAD)
    path = getattr(import_module(solver.__module__), "STRENGTHS", ())
    return [float(strength) for strength in path[::4]] if len(path) > 20 else None
