"""Derived tasks: one encoder on a task's test part, clean and under every kind and level of a sweep.

Heads are chosen and fitted once, on clean pictures; clean features are those of the task itself. Rows carry
the kind in ``subset`` and its severity in ``level``; the clean row of the sweep is subset ``clean``, level 0,
on the pictures that the sweep shows, so that every curve is paired and complete within its task.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from accelerate import PartialState

from paco_eval.extraction import Features, Layer, extract
from paco_eval.inputs import Data
from paco_eval.memo import choice_path, remembered
from paco_eval.perturbed import Condition, extract_perturbed
from paco_eval.protocol import Choice
from paco_eval.recording import Say, identity_of, row_of, wanted_of
from paco_eval.rows import Row, write_row
from paco_eval.scoring import Scorer, decide, decide_elsewhere, held_of
from paco_fr.contracts import content_hash
from paco_fr.encoder import Encoder
from paco_fr.errors import PacoError
from tasks.perturbations.catalogue import perturbation
from tasks.readers.rendered import cell_spec, read_cell
from tasks.splits import ScoredOnly
from tasks.task import Sweep, Task
from tasks.units import Units, units_of

Cell = tuple[str, int]
"""(kind, level); the clean one is ("clean", 0)."""

CLEAN: Cell = ("clean", 0)


@dataclass(frozen=True)
class Scored:
    """What a cell came to: items, units expected and failed, mean of what was achieved, seconds."""

    items: pd.DataFrame
    expected: int
    failed: int
    achieved: float | None
    seconds: float


def evaluate_sweep(
    encoder: Encoder, data: Data, *, out: Path, overwrite: str = "missing", say: Say = print
) -> list[Row]:
    """Measure one encoder on one derived task and write a row for each cell; return the new rows.

    Kinds that need landmarks are left out, and said to be, where the records have none.

    Raises:
        PacoError: as :func:`paco_eval.runner.evaluate_cell`, or no kind can be applied.

    """
    task, (units, split) = data.task, data.views["all"]
    sweep, identities = sweep_of(task), cell_identities(encoder, data, say)
    wanted = wanted_of(encoder, data, identities, out, overwrite, say)
    if not wanted:
        return []
    started = time.monotonic()
    if isinstance(split, ScoredOnly):
        decision = decide_elsewhere(encoder, data)
        features = _clean(encoder, units, task, decision.choice)
    else:
        memo = choice_path(encoder, task, data.fingerprint, split.select)
        features = _clean(encoder, units, task, remembered(memo))
        decision = decide(task, features, units.labels, split, memo)
    run = _Run(encoder, units, features, Scorer.fitted(task, split, decision, features.layers, units.labels))
    chose = time.monotonic() - started
    scored = run.rendered(wanted) if sweep.source == "rendered" else run.perturbed(wanted)
    rows = []
    for cell, result in scored.items():
        if not PartialState().is_main_process:
            continue
        row = row_of(
            encoder, data, identities[cell], decision, result.items, split, result.expected, result.failed,
            {"extract": result.seconds, "choose": chose}, source=sweep.source,
            achieved=result.achieved,
            perturbation=None if cell == CLEAN or sweep.source == "rendered" else Condition(*cell).tag,
        )  # fmt: skip
        path = write_row(out / "rows", row, result.items)
        rows.append(row.model_copy(update={"key": path.stem}))
    return rows


def _clean(encoder: Encoder, units: Units, task: Task, choice: Choice | None) -> Features:
    """Return clean features, of the chosen layer alone where that is known."""
    only = None if choice is None else choice.layer
    return extract(encoder, units, task.reductions, flip=task.flip, progress=True, only=only)


def sweep_of(task: Task) -> Sweep:
    """Return the sweep of a derived task."""
    if task.sweep is None:
        raise PacoError(f"{task.name} is not a derived task.")
    return task.sweep


def _possible_kinds(task: Task, units: Units, say: Say) -> tuple[str, ...]:
    """Return the kinds that the records allow."""
    sweep = sweep_of(task)
    if sweep.source == "rendered" or {"landmarks", "scheme"} <= set(units.labels):
        return sweep.kinds
    kinds = tuple(kind for kind in sweep.kinds if not perturbation(kind).needs_face)
    left = ", ".join(kind for kind in sweep.kinds if kind not in kinds)
    if not kinds:
        raise PacoError(f"{left} are anchored to landmarks, which {sweep.base} does not give.")
    if left:
        say(f"{task.name}: without {left}: anchored to landmarks, which {sweep.base} does not give.")
    return kinds


def cell_identities(encoder: Encoder, data: Data, say: Say) -> dict[Cell, dict[str, Any]]:
    """Return the identifying fields of every cell that the records allow, the clean one first."""
    kinds, levels = _possible_kinds(data.task, data.views["all"][0], say), sweep_of(data.task).levels
    cells: list[Cell] = [CLEAN, *((kind, level) for kind in kinds for level in levels)]
    return {cell: _identity(encoder, data, cell) for cell in cells}


def _identity(encoder: Encoder, data: Data, cell: Cell) -> dict[str, Any]:
    """Return the identifying fields of a cell's row; rendered pictures are named by their spec."""
    kind, level = cell
    found = {**identity_of(encoder, data, kind), "level": level}
    if sweep_of(data.task).source == "rendered":
        spec = None if cell == CLEAN else cell_spec(data.task, kind, level).fingerprint()
        found["data_fingerprint"] = content_hash([data.fingerprint, spec])
    return found


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

    def perturbed(self, cells: list[Cell]) -> dict[Cell, Scored]:
        """Score perturbed pictures of the test units; the others keep their clean features."""
        task, labels = self.scorer.task, self.units.labels
        held = held_of(self.scorer.split)
        changed = held[_probes(task, labels.iloc[held])]
        started = time.monotonic()
        conditions = {cell: Condition(*cell) for cell in cells if cell != CLEAN}
        outcomes = extract_perturbed(
            self.encoder, self.units.only(changed), self.layer, list(conditions.values()), flip=task.flip, progress=True
        )  # fmt: skip
        seconds = (time.monotonic() - started) / max(1, len(conditions))
        clean_failures = set(self.clean.failures) & set(held.tolist())
        scored = {}
        for cell in cells:
            table, achieved, failed = (
                self.clean.layers[self.layer],
                np.full(len(labels), np.nan),
                clean_failures,
            )
            if cell != CLEAN:
                outcome = outcomes[conditions[cell]]
                table = table.copy()
                table[changed], achieved[changed] = outcome.features, outcome.achieved
                failed = failed | {int(changed[unit]) for unit in outcome.failures}
            items = _with_achieved(self.scorer.items(table, labels), labels, achieved)
            taken = 0.0 if cell == CLEAN else seconds
            scored[cell] = Scored(items, len(held), len(failed), mean_achieved(achieved), taken)
        return scored

    def rendered(self, cells: list[Cell]) -> dict[Cell, Scored]:
        """Score pictures that were drawn again, and the clean ones of the same faces."""
        task, held = self.scorer.task, held_of(self.scorer.split)
        shown = set(self.units.labels["unit_id"].iloc[held])
        first = next((cell for cell in cells if cell != CLEAN), (sweep_of(task).kinds[0], 1))
        again = set(units_of(read_cell(task, *first), task.crop).labels["unit_id"]) & shown
        scored = {}
        for cell in cells:
            source = self.units if cell == CLEAN else units_of(read_cell(task, *cell), task.crop)
            units = source.only(np.flatnonzero(source.labels["unit_id"].isin(again).to_numpy()))
            found = extract(
                self.encoder, units, task.reductions, flip=task.flip, progress=True, only=self.layer
            )
            items = self.scorer.items_apart(found.layers[self.layer], units.labels)
            achieved = np.full(len(units), np.nan)
            if cell != CLEAN and sweep_of(task).factor == "occlusion":
                achieved = _coverage(units.labels)
            items = _with_achieved(items, units.labels, achieved)
            scored[cell] = Scored(
                items, len(units), len(found.failures), mean_achieved(achieved), found.seconds
            )
        return scored


def mean_achieved(achieved: npt.NDArray[np.floating]) -> float | None:
    """Return the mean over pictures, as rows tell it; None where nothing is known."""
    known = achieved[np.isfinite(achieved)]
    return round(float(known.mean()), 6) if len(known) else None


def _probes(task: Task, labels: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Return which units are changed: probes where there is a gallery, else all."""
    if task.options.get("pairs") == "gallery_probe":
        return np.asarray(labels["media"] == task.options["probe"])
    return np.ones(len(labels), dtype=bool)


def _with_achieved(
    items: pd.DataFrame, labels: pd.DataFrame, achieved: npt.NDArray[np.floating]
) -> pd.DataFrame:
    """Return items with what the perturbation achieved on their picture, or on both of a pair."""
    if not np.isfinite(achieved).any():
        return items
    by_id = dict(zip(labels["unit_id"], achieved.astype(np.float64), strict=True))
    columns = {"achieved": "id"} if "id_a" not in items else {"achieved_a": "id_a", "achieved_b": "id_b"}
    return items.assign(**{name: items[source].map(by_id) for name, source in columns.items()})


def _coverage(labels: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Return the share of the face that the renderer hid, from the record's parameters."""
    return np.array([json.loads(text)["coverage"] for text in labels["parameters"]], dtype=np.float64)
