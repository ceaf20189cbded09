"""Derived tasks: one encoder on a task's test part, clean and under every kind and level of a sweep.

Heads are chosen and fitted once, on clean pictures; clean features are those of the task itself. A picture that
is changed is decoded once, looked at clean and under every condition; only where folds fit on what others score
are choosing and changing two decodes. Rows carry the kind in ``subset`` and its severity in ``level``; the clean
row of the sweep is subset ``clean``, level 0, on the pictures that the sweep shows, so that every curve is paired
and complete within its task.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from accelerate import PartialState

from paco_eval.evaluation.cells import changed_units, drawn_coverage, shown_units, sweep_of, told_of
from paco_eval.evaluation.data import Data
from paco_eval.evaluation.frozen import decide_elsewhere
from paco_eval.evaluation.record import Measured
from paco_eval.features.extract import Features, Outcome, extract, extract_perturbed
from paco_eval.features.fill import Reader, fill_cache
from paco_eval.features.layers import Layer
from paco_eval.features.perturbed import CLEAN_PICTURE, Condition
from paco_eval.probes.choice_cache import choice_path, remembered
from paco_eval.probes.scorer import Decision, Scorer, choosing_units, decide, held_of
from paco_eval.rows.compact import compact
from paco_fr.contracts import Encoder
from tasks.derived import CLEAN, Cell
from tasks.readers.synthetic.rendered import read_cell
from tasks.splits import ScoredOnly
from tasks.units import Units, units_of


@dataclass(frozen=True)
class Scored:
    """What a cell came to: items, units expected and failed, what was achieved by id of a picture, seconds."""

    items: pd.DataFrame
    expected: int
    failed: int
    achieved: pd.Series
    seconds: float


def measure_derived(encoder: Encoder, data: Data, wanted: Sequence[Cell]) -> Iterator[Measured]:
    """Measure one encoder in the wanted cells of one derived task.

    Raises:
        PacoError: as :func:`paco_eval.evaluation.frozen.measure_frozen`.

    """
    task, (units, split) = data.task, data.views["all"]
    started, sweep = time.monotonic(), sweep_of(task)
    decision = _decided(encoder, data)
    decided = time.monotonic()
    layer, outcomes = decision.choice.layer, dict[Cell, Outcome]()
    if sweep.source == "perturbed":
        outcomes = _looked_at(encoder, data, layer, wanted)
    looked = time.monotonic()
    clean = extract(encoder, units, task.reductions, flip=task.flip, progress=True, only=layer)
    run = _Run(encoder, units, clean, Scorer.fitted(task, split, decision, clean.layers, units.labels))
    chose = time.monotonic() - looked + decided - started
    if sweep.source == "rendered":
        scored = run.rendered(wanted)
    else:
        scored = run.perturbed(wanted, outcomes, (looked - decided) / max(1, len(outcomes)))
    if not PartialState().is_main_process:
        return
    for cell, found in scored.items():
        items = compact(_with_achieved(found.items, found.achieved))
        apart = "achieved" not in items and bool(found.achieved.notna().any())
        yield Measured(
            cell, items, found.expected, found.failed, decision, {"extract": found.seconds, "choose": chose},
            told_of(sweep, cell, found.achieved.to_numpy()), achieved=found.achieved if apart else None,
        )  # fmt: skip


def share_pictures(asked: Sequence[tuple[Encoder, Sequence[Cell]]], data: Data) -> None:
    """Show changed pictures to all encoders that lack them, so that each is made once, not once an encoder.

    An encoder that cannot be measured is passed over here; :func:`measure_derived` says why.

    Args:
        asked: encoders with the cells that are wanted of each.
        data: of the derived task.

    """
    task, (units, split) = data.task, data.views["all"]
    if sweep_of(task).source == "rendered" or len(asked) < 2:
        return
    readers, cells = [], dict[Cell, None]()
    for encoder, wanted in asked:
        with suppress(Exception):
            layer = _decided(encoder, data).choice.layer
            readers.append(Reader(encoder, (layer,), task.flip == "sum"))
            cells |= dict.fromkeys(wanted)
    if not readers:
        return
    changed = units.only(changed_units(task, units.labels, split))
    with suppress(Exception):  # of one encoder; the others are then measured one by one
        fill_cache(readers, changed, [CLEAN_PICTURE, *_conditions(cells).values()], progress=True)


def _decided(encoder: Encoder, data: Data) -> Decision:
    """Return what is decided, looking at no picture that nothing is chosen on."""
    task, (units, split) = data.task, data.views["all"]
    if isinstance(split, ScoredOnly):
        return decide_elsewhere(encoder, data)
    memo = choice_path(encoder, task, data.fingerprint, split.select)
    known = remembered(memo)
    if known is not None:
        return Decision(known)
    seen = choosing_units(split)
    features = extract(encoder, units.only(seen), task.reductions, flip=task.flip, progress=True)
    return decide(task, features.spread(seen, len(units)), units.labels, split, memo)


def _looked_at(encoder: Encoder, data: Data, layer: Layer, cells: Sequence[Cell]) -> dict[Cell, Outcome]:
    """Return what the changed units come to under each condition; clean they are kept where extraction looks."""
    task, (units, split) = data.task, data.views["all"]
    changed, conditions = units.only(changed_units(task, units.labels, split)), _conditions(cells)
    found = extract_perturbed(
        encoder, changed, layer, [CLEAN_PICTURE, *conditions.values()], flip=task.flip, progress=True
    )
    return {cell: found[condition] for cell, condition in conditions.items()}


def _conditions(cells: Iterable[Cell]) -> dict[Cell, Condition]:
    return {cell: Condition(*cell) for cell in cells if cell != CLEAN}


@dataclass(frozen=True)
class _Run:
    """Everything chosen and fitted, ready to score cells."""

    encoder: Encoder
    units: Units
    clean: Features
    scorer: Scorer

    @property
    def layer(self) -> Layer:
        """Block and pooling that were chosen."""
        return self.scorer.decision.choice.layer

    def perturbed(
        self, cells: Sequence[Cell], outcomes: Mapping[Cell, Outcome], seconds: float
    ) -> dict[Cell, Scored]:
        """Score perturbed pictures of the test units; the others keep their clean features."""
        task, scorer = self.scorer.task, self.scorer
        shown = shown_units(task, self.units.labels, scorer.split)
        changed = changed_units(task, self.units.labels, scorer.split)
        clean, labels = self.clean.layers[self.layer], self.units.labels.iloc[shown].reset_index(drop=True)
        apart = len(scorer.heads) < 2 or sweep_of(task).identities is not None
        clean_failures = set(self.clean.failures) & set(shown.tolist())
        scored = {}
        for cell in cells:
            table, achieved, failed = clean, np.full(len(clean), np.nan), clean_failures
            if cell != CLEAN:
                outcome = outcomes[cell]
                table = clean.copy()
                table[changed], achieved[changed] = outcome.features, outcome.achieved
                failed = failed | {int(changed[unit]) for unit in outcome.failures}
            items = (
                scorer.items_apart(table[shown], labels) if apart else scorer.items(table, self.units.labels)
            )
            taken = 0.0 if cell == CLEAN else seconds
            scored[cell] = Scored(items, len(shown), len(failed), _by_id(achieved[shown], labels), taken)
        return scored

    def rendered(self, cells: Sequence[Cell]) -> dict[Cell, Scored]:
        """Score pictures that were drawn again, and the clean ones of the same faces."""
        task, held = self.scorer.task, held_of(self.scorer.split)
        shown = set(self.units.labels["unit_id"].iloc[held])
        first = next((cell for cell in cells if cell != CLEAN), (sweep_of(task).kinds[0], 1))
        people = (
            self.units.labels["group"].iloc[held].nunique()
        )  # the first ones of the part, under --limit too
        again = set(units_of(read_cell(task, *first, people), task.crop).labels["unit_id"]) & shown
        scored = {}
        for cell in cells:
            source = self.units if cell == CLEAN else units_of(read_cell(task, *cell, people), task.crop)
            units = source.only(np.flatnonzero(source.labels["unit_id"].isin(again).to_numpy()))
            found = extract(
                self.encoder, units, task.reductions, flip=task.flip, progress=True, only=self.layer
            )
            items = self.scorer.items_apart(found.layers[self.layer], units.labels)
            achieved = np.full(len(units), np.nan) if cell == CLEAN else drawn_coverage(task, units.labels)
            known = _by_id(achieved, units.labels)
            scored[cell] = Scored(items, len(units), len(found.failures), known, found.seconds)
        return scored


def _by_id(achieved: npt.NDArray[np.floating], labels: pd.DataFrame) -> pd.Series:
    return pd.Series(achieved.astype(np.float32), index=labels["unit_id"], name="achieved")


def _with_achieved(items: pd.DataFrame, achieved: pd.Series) -> pd.DataFrame:
    """Return items with what was achieved on their picture; those of pairs or templates as they are."""
    known = items["id"].map(achieved)
    return items.assign(achieved=known) if known.notna().any() else items
