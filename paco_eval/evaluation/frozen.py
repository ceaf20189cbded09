"""Frozen features: a head is fitted on train and chosen on validation, the test part is scored once."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from accelerate import PartialState

from paco_eval.evaluation.data import Data
from paco_eval.evaluation.record import identity_of, row_of, wanted_of
from paco_eval.features.extract import extract
from paco_eval.probes import borrowed
from paco_eval.probes.choice_cache import choice_path, chosen_once
from paco_eval.probes.scorer import Decision, Scorer, decide, held_of, members_of
from paco_eval.rows.samples import save_samples
from paco_eval.rows.schema import Row
from paco_eval.rows.store import write_row
from paco_fr.contracts import Encoder
from paco_fr.utils.errors import PacoError
from paco_fr.utils.types import Say
from tasks import splits
from tasks.splits import Split


def _labelled(split: splits.Split | splits.ScoredOnly) -> float | None:
    """Return how many units a head is fitted on, on average over the scoring folds."""
    if isinstance(split, splits.ScoredOnly):
        return None
    return float(np.mean([len(fold.fit) for fold in split.score]))


def evaluate_cell(
    encoder: Encoder, data: Data, *, out: Path, overwrite: str = "missing", say: Say = print
) -> list[Row]:
    """Measure one encoder on one task and write a row for each view and subset; return the new rows.

    Raises:
        PacoError: the task's crop is not the one the encoder requires, rows exist under ``never``, or
            whatever extraction and fitting meet.

    """
    task = data.task
    identities = {part: identity_of(encoder, data, part) for part in (*data.views, *subsets_of(data))}
    if not wanted_of(encoder, data, identities, out, overwrite, say):
        return []
    decision: Decision | None = None
    if isinstance(data.views["all"][1], splits.ScoredOnly):
        decision = decide_elsewhere(encoder, data)  # it extracts too, so every process takes part
    # All of it before anything is scored: an error there is one process's own, and no other may wait for it.
    extracted = {
        view: extract(encoder, units, task.reductions, flip=task.flip, progress=True)
        for view, (units, _) in data.views.items()
    }
    if not PartialState().is_main_process:
        return []
    rows = []
    for view, (units, split) in data.views.items():
        features, started = extracted[view], time.monotonic()
        if decision is None:  # the main view comes first
            assert isinstance(split, splits.Split)
            memo = choice_path(encoder, task, data.fingerprint, split.select)
            decision = decide(task, features, units.labels, split, memo)
        chose = time.monotonic()
        scorer = Scorer.fitted(task, split, decision, features.layers, units.labels)
        items = scorer.items(features.layers[decision.choice.layer], units.labels)
        timings = {"extract": features.seconds, "choose": chose - started, "score": time.monotonic() - chose}
        for part in (view, *(subsets_of(data) if view == "all" else ())):
            held, members = members_of(part, view, items, units.labels, split)
            failed = sum(unit in features.failures for unit in held.tolist())
            row = row_of(
                encoder, data, identities[part], decision, members, split, len(held), failed, timings,
                images_per_s=features.images_per_s, labelled=_labelled(split),
            )  # fmt: skip
            written = write_row(out / "rows", row, members)
            if part == view:
                save_samples(written.with_name(f"{written.stem}.samples.npz"), task, items, units)
            rows.append(row.model_copy(update={"key": written.stem}))
    return rows


def decide_elsewhere(encoder: Encoder, data: Data) -> Decision:
    """Return what is decided for a set that is scored as a whole, on other pictures than its own."""
    if data.people is not None:
        choice, path = borrowed.fitted_choice(encoder, data.task, data.people.units)
        return Decision(choice, path, f"chosen and fitted on {data.people.name}")
    if data.task.choice_from:
        units, split = data.lender.views["all"]
        if not isinstance(split, Split):
            raise PacoError(
                f"{data.lender.task.name} has no validation part to choose on; see {data.task.name}."
            )
        lender = replace(data.lender.task, reductions=data.task.reductions, flip=data.task.flip)
        memo = choice_path(encoder, lender, data.lender.fingerprint, split.select, rule=borrowed.RAW)
        choice = chosen_once(memo, lambda: borrowed.borrowed_choice(encoder, lender, units, split))
        return Decision(choice, source=f"block and pooling by validation of {data.lender.task.name}")
    choice = borrowed.default_choice(encoder, data.task)
    return Decision(choice, source="block and pooling: the encoder's default")


def subsets_of(data: Data) -> tuple[str, ...]:
    """Return the task's subsets that any scored unit belongs to."""
    units, split = data.views["all"]
    if not data.task.subsets:
        return ()
    found = {name for cell in units.labels["subsets"].iloc[held_of(split)] for name in cell}
    return tuple(name for name in data.task.subsets if name in found)
