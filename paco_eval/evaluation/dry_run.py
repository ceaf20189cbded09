"""What an evaluation would do: cells, forward passes that the cache does not spare, and how long they would take."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np

from paco_eval.encoders._identity import looked_at
from paco_eval.evaluation.cells import cells_of, changed_units
from paco_eval.evaluation.data import Data
from paco_eval.evaluation.frozen import looked_at_elsewhere
from paco_eval.evaluation.protocols import FROZEN, Protocol
from paco_eval.evaluation.record import crop_clashes
from paco_eval.evaluation.runner import measured_on
from paco_eval.features.extract import missing_keys
from paco_eval.features.forward import Forward, reference_pictures
from paco_fr.contracts import Encoder
from paco_fr.faces.pixels import prepare
from paco_fr.synthetic.dataset import UNDRAWN
from paco_fr.utils.errors import PacoError, in_a_line
from tasks.splits import ScoredOnly
from tasks.task import Task

DRAWING = 0.025
"""Seconds in which one core draws a face of a task, roughly."""
PROBE = 8
"""Pictures of the batch that is timed."""


@dataclass(frozen=True)
class Cell:
    """One encoder on one task.

    Attributes:
        encoder: its name.
        task: name and version.
        protocol: with what departs from the task's own, and which draw or training this is.
        pictures: units that the task scores or fits on.
        passes: pictures that have to go through the encoder; mirrored ones count again, a step of training as three
            passes. None for a task that cannot be read, with the reason in ``problem``.
        seconds: estimate for them, decoding and heads left out.
        problem: why the cell would fail.
        undrawn: faces that are not drawn yet, those of earlier cells not counted again.

    """

    encoder: str
    task: str
    protocol: str
    pictures: int = 0
    passes: int | None = None
    seconds: float = 0.0
    problem: str = ""
    undrawn: int = 0


def plan(
    encoders: Sequence[Encoder],
    tasks: Sequence[Task],
    protocol: Protocol = FROZEN,
    *,
    data_root: Path | None = None,
    train_identities: Path | None = None,
) -> list[Cell]:
    """Return the cells in the order in which they would run; writes nothing.

    Pictures that an earlier cell of the same encoder passes are not counted again. Changed pictures of derived
    tasks are counted without regard to the cache.

    Args:
        encoders: loaded.
        tasks: that have data.
        protocol: how they would be measured.
        data_root: folder of the data sets.
        train_identities: folder of other people to fit on.

    """
    encoders = [looked_at(encoder) for encoder in encoders]
    speeds: dict[int, float] = {}  # timed once an encoder, where a first cell asks for it
    seen: list[set[tuple[object, ...]]] = [set() for _ in encoders]
    cells, drawn = [], set[bytes]()
    for task, places, found in measured_on(
        encoders, tasks, protocol, data_root, train_identities, planned=True
    ):
        label = f"{task.name} v{task.version}"
        if isinstance(found, Exception):
            cells += [Cell(encoders[place].name, label, "", problem=in_a_line(found)) for place in places]
            continue
        made = {name for data in found[:1] for name in _undrawn(data)} - drawn
        drawn |= made
        for place, data in product(places, found):
            encoder = encoders[place]
            pictures = sum(len(units) for units, _ in data.views.values())
            draw = "" if data.probe_seed is None else f", draw {data.probe_seed}"
            cell = Cell(encoder.name, label, f"{data.protocol}{draw}", pictures, undrawn=len(made))
            made = set()
            try:
                passes = passes_of(encoder, data, seen[place])
                if place not in speeds:
                    speeds[place] = seconds_per_picture(encoder)
            except Exception as error:
                cells.append(replace(cell, problem=in_a_line(error)))
                continue
            cells.append(replace(cell, passes=passes, seconds=passes * speeds[place]))
    return cells


def passes_of(encoder: Encoder, data: Data, known: set[tuple[object, ...]]) -> int:
    """Return how many pictures one measurement sends through an encoder; adds them to those that are ``known``.

    Raises:
        PacoError: the measurement is impossible.

    """
    data = data.seen_by(encoder)
    task = data.task
    from paco_eval.testing import check_encoder

    check_encoder(encoder, strict=False, allow_random=True)
    if crop_clashes(encoder, data):
        raise PacoError("requires another crop: add --crop encoder")
    if data.protocol.trains:
        from paco_eval.evaluation.finetuned import parts_of
        from paco_eval.finetune.train import trainable

        trainable(encoder)
        folds = [fold for view in data.views for fold in parts_of(data, view)]
        scored = sum(len(fold.validation.indices) + len(fold.test.indices) for fold in folds)
        fitted, tested = (sum(len(getattr(fold, part).indices) for fold in folds) for part in ("fit", "test"))
        return data.protocol.epochs * (3 * fitted + scored) + tested
    seen = [units for units, _ in data.views.values()]
    if (
        isinstance(data.views["all"][1], ScoredOnly)
        and (others := looked_at_elsewhere(encoder, data)) is not None
    ):
        seen.append(others)
    wanted = {key for units in seen for key in missing_keys(encoder, units, task.reductions, flip=task.flip)}
    passes = len(wanted - known) * (2 if task.flip == "sum" else 1)
    known |= wanted
    if task.sweep is not None:
        passes += _changed(data) * (2 if task.flip == "sum" else 1)
    return passes


def _undrawn(data: Data) -> set[bytes]:
    """Return what stands in for the faces of a task that are not drawn yet."""
    cells = (cell for units, _ in data.views.values() for cell in units.records["image"])
    return {
        cell["bytes"] for cell in cells if cell["bytes"] is not None and cell["bytes"].startswith(UNDRAWN)
    }


def _changed(data: Data) -> int:
    """Return how many changed pictures a sweep shows: those of all its kinds and levels."""
    units, split = data.views["all"]
    return len(changed_units(data.task, units.labels, split)) * (len(cells_of(data)) - 1)


def seconds_per_picture(encoder: Encoder) -> float:
    """Return the time of one picture in a batch of :data:`PROBE`, the better of two runs."""
    images = prepare(reference_pictures(encoder.pixels.size, PROBE), encoder.pixels)
    forward, times = Forward(encoder, PROBE), []
    for _ in range(2):
        started = time.perf_counter()
        for tokens in forward(images, encoder.blocks).values():
            tokens.patches.sum().item()  # waits for the device
        times.append(time.perf_counter() - started)
    return float(np.min(times)) / PROBE


def lines_of(cells: Sequence[Cell]) -> list[str]:
    """Return the plan as text, a line for each cell and one for all."""
    lines = []
    for cell in cells:
        what = cell.problem
        if cell.passes is not None:
            what = f"{cell.passes:,} forward passes, about {cell.seconds:.0f} s"
        if cell.pictures:
            what = f"{cell.pictures:,} pictures, {what}"
        lines.append("  ".join(filter(None, (cell.encoder, cell.task, cell.protocol, what))))
    undrawn = sum(cell.undrawn for cell in cells)
    first = (
        [f"{undrawn:,} faces are drawn first, about {undrawn * DRAWING / (os.cpu_count() or 1):.0f} s"]
        if undrawn
        else []
    )
    passes, seconds = sum(cell.passes or 0 for cell in cells), sum(cell.seconds for cell in cells)
    return [
        *lines,
        *first,
        f"{len(cells)} cells, {passes:,} forward passes, about {seconds:.0f} s besides decoding and heads",
    ]
