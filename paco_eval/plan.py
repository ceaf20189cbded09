"""What an evaluation would do: cells, forward passes that the cache does not spare, and how long they would take."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from paco_eval.extraction import missing_keys
from paco_eval.failures import in_a_line
from paco_eval.forward import Forward
from paco_eval.inputs import Data
from paco_eval.recording import crop_clashes
from paco_eval.testing import reference_pictures
from paco_fr.encoder import Encoder
from paco_fr.views import prepare
from tasks.task import Task

PROBE = 8
"""Pictures of the batch that is timed."""


@dataclass(frozen=True)
class Cell:
    """One encoder on one task.

    Attributes:
        encoder: its name.
        task: name and version.
        pictures: units that the task scores or fits on.
        passes: pictures that have to go through the encoder; mirrored ones count again. None for a task that
            cannot be read, with the reason in ``problem``.
        seconds: estimate for them, decoding and heads left out.
        problem: why the cell would fail.

    """

    encoder: str
    task: str
    pictures: int = 0
    passes: int | None = None
    seconds: float = 0.0
    problem: str = ""


def plan(
    encoders: Sequence[Encoder],
    tasks: Sequence[Task],
    data_root: Path | None,
    limit: int | None = None,
    crop: str = "",
) -> list[Cell]:
    """Return the cells in the order in which they would run; writes nothing.

    Pictures that an earlier cell of the same encoder passes are not counted again. Perturbed copies of derived
    tasks are counted without regard to the cache.
    """
    speeds: dict[int, float] = {}  # timed once an encoder, where a first cell asks for it
    seen: list[set[tuple[object, ...]]] = [set() for _ in encoders]
    cells = []
    for task in tasks:
        try:
            data = Data.load(task, data_root, limit, crop=crop)
        except Exception as error:
            cells += [
                Cell(encoder.name, f"{task.name} v{task.version}", problem=in_a_line(error))
                for encoder in encoders
            ]
            continue
        pictures = sum(len(units) for units, _ in data.views.values())
        for place, (encoder, known) in enumerate(zip(encoders, seen, strict=True)):
            label = f"{task.name} v{task.version}"
            if crop_clashes(encoder, data):
                cells.append(Cell(encoder.name, label, pictures, problem="requires another crop"))
                continue
            try:
                wanted = {
                    key
                    for units, _ in data.views.values()
                    for key in missing_keys(encoder, units, task.reductions, flip=task.flip)
                }
                if place not in speeds:
                    speeds[place] = seconds_per_picture(encoder)
            except Exception as error:
                cells.append(Cell(encoder.name, label, pictures, problem=in_a_line(error)))
                continue
            passes = len(wanted - known) * (2 if task.flip == "sum" else 1)
            known |= wanted
            if task.sweep is not None:
                passes += pictures * len(task.sweep.kinds) * len(task.sweep.levels)
            cells.append(Cell(encoder.name, label, pictures, passes, passes * speeds[place]))
    return cells


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


def lines_of(cells: Sequence[Cell], protocol: str) -> list[str]:
    """Return the plan as text, a line for each cell and one for all."""
    lines = []
    for cell in cells:
        what = (
            f"{cell.passes:,} forward passes, about {cell.seconds:.0f} s"
            if cell.passes is not None
            else cell.problem
        )
        lines.append(f"{cell.encoder}  {cell.task}  {protocol}  {cell.pictures:,} pictures, {what}")
    passes, seconds = sum(cell.passes or 0 for cell in cells), sum(cell.seconds for cell in cells)
    return [
        *lines,
        f"{len(cells)} cells, {passes:,} forward passes, about {seconds:.0f} s besides decoding and heads",
    ]
