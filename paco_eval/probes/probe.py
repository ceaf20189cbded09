"""The frozen protocol: fit on train, choose on validation, score the test part once.

Choosing is given the selection folds and features of their units alone; scoring takes a
:class:`Choice` and cannot be called without one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from paco_eval.features.layers import Layer
from paco_eval.probes.solvers import FittedPath, Strength, load_solver
from paco_fr.utils.progress import tracked
from tasks.kinds import Kind, load_kind, main_metric
from tasks.kinds.shared.labels import finite_rows
from tasks.metrics.metric import Metric
from tasks.splits import Fold, Test, Validation
from tasks.task import Task

Table = Mapping[Layer, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Choice:
    """What validation decided, and how well it did there."""

    layer: Layer
    strength: Strength
    score: float


def choose(
    task: Task,
    features: Table,
    labels: pd.DataFrame,
    folds: Sequence[Fold[Validation]],
    strengths: Collection[Strength] | None = None,
) -> Choice:
    """Return the best block, pooling and strength by the main metric over the validation parts.

    ``strengths`` limits what may be chosen, where an estimate is enough.
    Of equal scores the first stands: earlier layers in the table's order, stronger regularisation.
    """
    kind = load_kind(task.kind)
    metric = main_metric(task)
    best: Choice | None = None
    held = [fold.held.indices for fold in folds]
    parts = [labels.iloc[units] for units in held]  # taking rows of nested columns is slow
    for layer, table in tracked(features.items(), "choosing", len(features), "layers"):
        paths = [_fit(kind, task, table, labels, fold, layer) for fold in folds]
        outputs = [_path_outputs(path, table[units]) for path, units in zip(paths, held, strict=True)]
        for at, strength in enumerate(paths[0].strengths):
            if strengths is not None and strength not in strengths:
                continue
            items = pd.concat(
                [kind.items(output[at], part, task) for output, part in zip(outputs, parts, strict=True)],
                ignore_index=True,
            )
            score = metric.value(items)
            if best is None or _better(score, best.score, metric):
                best = Choice(layer, strength, score)
    assert best is not None
    return best


def fit(
    task: Task, features: Table, labels: pd.DataFrame, folds: Sequence[Fold[Test]], choice: Choice
) -> list[FittedPath]:
    """Return the heads of the test folds, fitted at what was chosen."""
    kind, table = load_kind(task.kind), features[choice.layer]
    return [
        _fit(kind, task, table, labels, fold, choice.layer, strengths=(choice.strength,)) for fold in folds
    ]


def score_fitted(
    task: Task,
    heads: Sequence[FittedPath],
    table: npt.NDArray[np.float32],
    labels: pd.DataFrame,
    folds: Sequence[Fold[Test]],
    choice: Choice,
) -> pd.DataFrame:
    """Return the items of the test parts for features (n, D) that the heads need not have been fitted on."""
    kind, parts = load_kind(task.kind), []
    for head, fold in zip(heads, folds, strict=True):
        outputs = outputs_of(head, table[fold.held.indices], choice.strength)
        parts.append(kind.items(outputs, labels.iloc[fold.held.indices], task))
    return pd.concat(parts, ignore_index=True)


def _fit(
    kind: Kind,
    task: Task,
    table: npt.NDArray[np.float32],
    labels: pd.DataFrame,
    fold: Fold,
    layer: Layer,
    **path: Any,
) -> FittedPath:
    units = fold.fit.indices[finite_rows(table[fold.fit.indices])]
    targets = kind.targets(labels.iloc[units], task)
    return load_solver(task.head or kind.HEAD)(
        table[units], targets, layer=f"{layer[0]} ({layer[1]})", **path
    )


def _path_outputs(path: FittedPath, table: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float64]]:
    finite = finite_rows(table)
    return [_spread(output, finite) for output in path.all_outputs(table[finite])]


def outputs_of(
    path: FittedPath, table: npt.NDArray[np.float32], strength: Strength
) -> npt.NDArray[np.float64]:
    """Return the outputs of a head for features (n, D), NaN for units without them."""
    finite = finite_rows(table)
    return _spread(path.outputs(table[finite], strength), finite)


def _spread(outputs: npt.NDArray[np.float64], finite: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Return outputs for all units, NaN for those without features."""
    if finite.all():
        return outputs
    spread = np.full((len(finite), *outputs.shape[1:]), np.nan)
    spread[finite] = outputs
    return spread


def _better(score: float, best: float, metric: Metric) -> bool:
    if np.isnan(score):
        return False
    return np.isnan(best) or (score > best if metric.higher_is_better else score < best)
