"""Frozen features: a head is fitted on train and chosen on validation, the test part is scored once.

Which units heads are fitted on, and which heads, is what the protocols ``knn``, ``heatmap`` and ``few-shot`` change:
they turn the data of a task into the data that are measured, one for each of its rows. The solvers and the scoring
know nothing of it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from accelerate import PartialState

from paco_eval.evaluation.data import Data
from paco_eval.evaluation.protocols import SHOTS, NotApplicableError, Shots
from paco_eval.evaluation.record import Measured
from paco_eval.features.extract import extract
from paco_eval.features.layers import layers_of
from paco_eval.probes import borrowed
from paco_eval.probes.choice_cache import choice_path, chosen_once, remembered
from paco_eval.probes.scorer import Decision, Scorer, decide, held_of
from paco_fr.contracts import Encoder
from paco_fr.utils.errors import PacoError
from paco_fr.utils.random import generator
from tasks import splits
from tasks.kinds import load_kind
from tasks.splits import Fold, ScoredOnly, Split, Train, Validation
from tasks.task import Task
from tasks.units import Units

NEIGHBOURS = ("logistic", "ridge")
"""Heads that nearest neighbours can stand for; an embedding is not predicted from neighbours."""


def measure_frozen(encoder: Encoder, data: Data, wanted: Sequence[str]) -> Iterator[Measured]:
    """Measure one encoder on one task: every view, and every subset of the main one.

    Raises:
        PacoError: whatever extraction and fitting meet.

    """
    task = data.task
    decision: Decision | None = None
    if isinstance(data.views["all"][1], ScoredOnly):
        decision = decide_elsewhere(encoder, data)  # it extracts too, so every process takes part
    # All of it before anything is scored: an error there is one process's own, and no other may wait for it.
    extracted = {
        view: extract(encoder, units, task.reductions, flip=task.flip, progress=True)
        for view, (units, _) in data.views.items()
    }
    if not PartialState().is_main_process:
        return
    for view, (units, split) in data.views.items():
        features, started = extracted[view], time.monotonic()
        if decision is None:  # the main view comes first
            assert isinstance(split, Split)
            memo = choice_path(encoder, task, data.fingerprint, split.select)
            decision = decide(task, features, units.labels, split, memo)
        chose = time.monotonic()
        scorer = Scorer.fitted(task, split, decision, features.layers, units.labels)
        table = features.layers[decision.choice.layer]
        items = scorer.items(table, units.labels)
        timings = {"extract": features.seconds, "choose": chose - started, "score": time.monotonic() - chose}
        for part, held, members in shares_of(data, view, items):
            failed = sum(unit in features.failures for unit in held.tolist())
            yield Measured(
                part, members, len(held), failed, decision, timings, {"labelled": _labelled(split)},
                images_per_s=features.images_per_s, shown=units if part == view else None,
                outputs=partial(scorer.outputs, table),
            )  # fmt: skip


def shares_of(
    data: Data, view: str, items: pd.DataFrame
) -> Iterator[tuple[str, npt.NDArray[np.intp], pd.DataFrame]]:
    """Yield the parts of a view with their held units and items: the whole, and the subsets of the main one.

    An item need not be a unit (searches have a gallery), so either is asked for its own subsets.
    """
    units, split = data.views[view]
    held = held_of(split)
    yield view, held, items
    for subset in subsets_of(data) if view == "all" else ():
        inside = np.array([subset in cell for cell in units.labels["subsets"].iloc[held]])
        flags = items[f"subset:{subset}"].eq(True).to_numpy()  # a fold without the subset has no value
        yield subset, held[inside], items[flags].reset_index(drop=True)


def subsets_of(data: Data) -> tuple[str, ...]:
    """Return the task's subsets that any scored unit belongs to."""
    units, split = data.views["all"]
    if not data.task.subsets:
        return ()
    found = {name for cell in units.labels["subsets"].iloc[held_of(split)] for name in cell}
    return tuple(name for name in data.task.subsets if name in found)


def _labelled(split: Split | ScoredOnly) -> float | None:
    """Return how many units a head is fitted on, on average over the scoring folds."""
    if isinstance(split, ScoredOnly):
        return None
    return float(np.mean([len(fold.fit) for fold in split.score]))


def decide_elsewhere(encoder: Encoder, data: Data) -> Decision:
    """Return what is decided for a set that is scored as a whole, on other pictures than its own."""
    if data.people is not None:
        choice, path = borrowed.fitted_choice(encoder, data.task, data.people.units)
        return Decision(choice, path, f"chosen and fitted on {data.people.name}")
    layers = layers_of(encoder, data.task.reductions)
    if len(layers) == 1:
        return Decision(
            borrowed.only_choice(layers[0]), source="block and pooling: the encoder has no others"
        )
    if data.task.choice_from:
        lender, units, split, memo = lent(encoder, data)
        choice = chosen_once(memo, lambda: borrowed.borrowed_choice(encoder, lender, units, split))
        return Decision(choice, source=f"block and pooling by validation of {lender.name}")
    choice = borrowed.default_choice(encoder, data.task)
    return Decision(choice, source="block and pooling: the encoder's default")


def lent(encoder: Encoder, data: Data) -> tuple[Task, Units, Split, Path]:
    """Return the task whose validation decides for a set scored as a whole, its units and parts, and where that is kept.

    The lender takes the reductions, and the flip, of the task that borrows.
    """
    lender = data.lender.seen_by(encoder)
    units, split = lender.views["all"]
    if not isinstance(split, Split):
        raise PacoError(f"{lender.task.name} has no validation part to choose on; see {data.task.name}.")
    task = replace(lender.task, reductions=data.task.reductions, flip=data.task.flip)
    memo = choice_path(encoder, task, data.lender.fingerprint, split.select, rule=borrowed.LENT)
    return task, units, split, memo


def looked_at_elsewhere(encoder: Encoder, data: Data) -> Units | None:
    """Return the pictures of others that :func:`decide_elsewhere` would show to an encoder now; None of none."""
    if data.people is not None:
        return data.people.units
    if len(layers_of(encoder, data.task.reductions)) == 1 or not data.task.choice_from:
        return None
    _, units, _, memo = lent(encoder, data)
    return None if remembered(memo) is not None else units


def frozen_variants(data: Data) -> list[Data]:
    """Return what a protocol of frozen features measures of a task's data.

    Raises:
        NotApplicableError: the task has nothing that the protocol could change.

    """
    task, protocol = data.task, data.protocol
    if protocol.name == "frozen":
        return [data]
    if not isinstance(data.views["all"][1], Split):
        raise NotApplicableError(
            f"{task.name}: it fits no head; the protocol {protocol.name} does not apply."
        )
    if protocol.name == "few-shot":
        several = protocol.shots or tuple(Shots.parse(text) for text in SHOTS)
        return [few_shot(data, shots, seed) for shots in several for seed in range(protocol.seeds)]
    if protocol.name == "knn":
        if load_kind(task.kind).HEAD not in NEIGHBOURS:
            raise NotApplicableError(f"{task.name}: it compares embeddings; nearest neighbours do not apply.")
        return [replace(data, task=replace(task, head="knn"))]
    if task.kind != "landmarks":
        raise NotApplicableError(f"{task.name}: it has no points; heat maps do not apply.")
    return [replace(data, task=replace(task, head="heatmap", reductions=("tokens",)))]


def few_shot(data: Data, shots: Shots, seed: int) -> Data:
    """Return the data with less to fit and to choose on; what is scored stays as it is.

    The validation part is thinned by the same rule as what is fitted: a choice made on many labels would not
    be few-shot (Oliver et al. 2018). Groups are drawn in an order that (seed, task) fixes, so that draws of
    more units contain those of fewer.
    """
    views = {
        view: (
            units,
            _thinned(split, units.labels, data.task, shots, seed) if isinstance(split, Split) else split,
        )
        for view, (units, split) in data.views.items()
    }
    protocol = replace(data.protocol, name="few-shot", shots=(shots,))
    return replace(data, views=views, protocol=protocol, probe_seed=seed)


def _thinned(split: Split, labels: pd.DataFrame, task: Task, shots: Shots, seed: int) -> Split:
    groups = labels["group"].astype(str).to_numpy(dtype=object)
    codes = _codes(labels, task) if shots.per_class is not None else None

    def few(units: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        return _drawn(units, groups, codes, shots, generator(f"few-shot {task.name}", seed))

    select = [Fold(Train(few(fold.fit.indices)), Validation(few(fold.held.indices))) for fold in split.select]
    score = [Fold(Train(few(fold.fit.indices)), fold.held) for fold in split.score]
    return splits.check(select, score, groups.tolist(), f"{split.note}; {shots} of it, draw {seed}")


def _codes(labels: pd.DataFrame, task: Task) -> npt.NDArray[np.int64]:
    """Return the class (n, 1) of every unit, or the presence (n, K) of every attribute."""
    if load_kind(task.kind).HEAD != "logistic" and task.kind != "multilabel":
        raise NotApplicableError(
            f"{task.name}: it has no classes to take units of; give --shots as a percentage."
        )
    return np.asarray(load_kind(task.kind).targets(labels, task), dtype=np.int64).reshape(len(labels), -1)


def _drawn(
    units: npt.NDArray[np.intp],
    groups: npt.NDArray[np.object_],
    codes: npt.NDArray[np.int64] | None,
    shots: Shots,
    rng: np.random.Generator,
) -> npt.NDArray[np.intp]:
    """Return the drawn units, sorted: whole groups up to the share, or the first units of each class.

    With several attributes, ``codes`` (n, K), a unit is drawn if it is among the first with its value of any: each
    attribute then has that many with and without it, where there are so many, and mostly more.
    """
    order = {group: place for place, group in enumerate(rng.permutation(np.unique(groups)).tolist())}
    places = np.array([order[group] for group in groups[units]])
    ranked = units[np.argsort(places, kind="stable")]
    if codes is None:
        assert shots.share is not None
        sizes = np.unique(np.sort(places), return_counts=True)[1].cumsum()
        enough = int(np.searchsorted(sizes, shots.share * len(units)))
        return np.sort(ranked[: sizes[min(enough, len(sizes) - 1)]])
    assert shots.per_class is not None
    nth = [pd.Series(column).groupby(column).cumcount() for column in codes[ranked].T]
    return np.sort(ranked[(np.array(nth) < shots.per_class).any(axis=0)])
