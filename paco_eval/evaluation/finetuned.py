"""Fine-tuning: trainings of one encoder on one task, one a scoring fold, and what they score."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
from accelerate import PartialState

from paco_eval.evaluation.data import Data
from paco_eval.evaluation.frozen import shares_of
from paco_eval.evaluation.protocols import NotApplicableError
from paco_eval.evaluation.record import Measured, identity_of
from paco_eval.finetune.data import Part, Parts
from paco_eval.finetune.model import EPOCHS, Settings, recipe
from paco_eval.finetune.train import Training, trainable
from paco_eval.probes.probe import Choice
from paco_eval.probes.scorer import Decision, held_of
from paco_eval.rows.schema import row_key
from paco_fr.contracts import Encoder, content_hash
from paco_fr.utils.types import Array, Say
from tasks import splits
from tasks.kinds import load_kind
from tasks.kinds.shared.labels import finite_rows
from tasks.splits import Split

TRAINED = ("logistic", "ridge", "token_ridge", "whitening")
"""Kinds of heads that a training stands for: classes, numbers, masks, and embeddings of people."""


def measure_finetuned(
    encoder: Encoder,
    data: Data,
    wanted: Sequence[str],
    *,
    states: Path,
    say: Say,
    settings: Settings | None = None,
) -> Iterator[Measured]:
    """Fine-tune one encoder on one task, once a scoring fold of every view.

    As with frozen features there is a part for each view and for each subset of the main one. What the best epochs
    would give is told of views; with several folds it is the mean over them, as is the validation score.

    Args:
        encoder: in timm's form.
        data: of one training, see :func:`finetuned_variants`.
        wanted: parts of the task.
        states: folder in which the state of every epoch is kept until all parts are recorded.
        say: takes lines for the user.
        settings: of the training, by default those of the protocol.

    Raises:
        NotApplicableError: the task is not fitted at all, or has a head that is not trained here.
        PacoError: the encoder cannot be trained, or the loss is not finite.

    """
    task, settings = data.task, settings or settings_of(data)
    kind, parts = load_kind(task.kind), {view: parts_of(data, view) for view in data.views}
    encoder = trainable(encoder)
    folder = states / content_hash([row_key(identity_of(encoder, data, "all")), asdict(settings)])
    reduction = "maps" if settings.head == "farl" else "grid4" if kind.HEAD == "ridge" else "mean"
    for view, folds in parts.items():
        started = time.monotonic()
        runs = [Training(encoder, fold, settings, data.probe_seed or 0, reduction) for fold in folds]
        trained = [run.train(folder / f"{view}-{number}", say) for number, run in enumerate(runs)]
        if not PartialState().is_main_process:
            continue
        seconds = time.monotonic() - started
        items = pd.concat(
            [fold.test.items(outputs) for fold, (_, outputs) in zip(folds, trained, strict=True)],
            ignore_index=True,
        )
        blank = [~finite_rows(outputs) for _, outputs in trained]
        failures = held_of(data.views[view][1])[np.concatenate(blank)]
        history = np.mean([scores for scores, _ in trained], axis=0)
        choice = Choice(
            (encoder.default_block, reduction), f"last of {settings.epochs} epochs", history[-1, 0]
        )
        for part, held, members in shares_of(data, view, items):
            best = best_epochs(history, folds[0]) if part == view else {}
            yield Measured(
                part, members, len(held), int(np.isin(held, failures).sum()),
                Decision(choice, source=folds[0].source), {"train": seconds},
                {"settings": json.dumps(asdict(settings)), **best},
            )  # fmt: skip
    if PartialState().is_main_process:
        shutil.rmtree(folder, ignore_errors=True)


def settings_of(data: Data) -> Settings:
    """Return how the protocol of the data trains."""
    protocol = data.protocol
    return replace(
        recipe(protocol.head, data.task.kind),
        epochs=protocol.epochs or EPOCHS,
        margin=protocol.margin or "cosface",
    )


def finetuned_variants(data: Data) -> list[Data]:
    """Return the data of each training.

    Raises:
        NotApplicableError: there is nobody to train on, or the head is not for this task.

    """
    task, head = data.task, data.protocol.head
    if not isinstance(data.views["all"][1], Split) and data.people is None:
        raise NotApplicableError(
            f"{task.name}: it is scored as a whole; name other people with --train-identities."
        )
    if head == "farl" and task.kind not in ("landmarks", "segmentation"):
        raise NotApplicableError(f"{task.name}: it has neither points nor masks; FaRL's head does not apply.")
    if head == "linear" and task.kind == "segmentation":
        raise NotApplicableError(f"{task.name}: masks are fine-tuned with FaRL's head; give --head farl.")
    protocol = replace(data.protocol, epochs=data.protocol.epochs or EPOCHS)
    return [replace(data, protocol=protocol, probe_seed=seed) for seed in range(protocol.seeds)]


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
