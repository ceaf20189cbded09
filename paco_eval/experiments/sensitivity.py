"""How much of a score is preprocessing: the same weights under a few named contracts.

Reported beside a score, the spread says how far it would move had the pictures been prepared as another paper
prepares them. Each variant is a row of its own, under the protocol ``sensitivity NAME``, never in one table
with scores as declared.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from accelerate import PartialState

from paco_eval.evaluation.data import Data
from paco_eval.evaluation.protocols import Protocol
from paco_eval.evaluation.record import identity_of
from paco_eval.evaluation.runner import measure
from paco_eval.rows.schema import Row, row_key
from paco_eval.rows.store import read_row
from paco_fr.contracts import CROPS, CropContract, Encoder
from paco_fr.utils.errors import PacoError, reason
from paco_fr.utils.types import Say
from tasks.task import Task

HALF = (0.5, 0.5, 0.5)
TEMPLATES = {"farl": "arcface", "arcface": "farl"}


@dataclass(frozen=True)
class Spread:
    """A score as declared and under other contracts.

    Attributes:
        declared: the row as declared.
        others: contract name -> its row.

    """

    declared: Row
    others: dict[str, Row]

    @property
    def values(self) -> dict[str, float | None]:
        """The main metric by the name of the contract."""
        rows = {"as declared": self.declared, **self.others}
        return {name: row.main.value for name, row in rows.items()}

    @property
    def spread(self) -> float:
        """Largest less smallest value, NaN where fewer than two are defined."""
        known = [value for value in self.values.values() if value is not None]
        return max(known) - min(known) if len(known) > 1 else float("nan")

    def __str__(self) -> str:
        shown = ", ".join(
            f"{name} {value:.4g}" if value is not None else f"{name} undefined"
            for name, value in self.values.items()
        )
        row = self.declared
        return f"{row.task}  {row.encoder}: {row.main_metric} moves by {self.spread:.4g} with preprocessing ({shown})"


def contracts(encoder: Encoder, task: Task) -> Iterator[tuple[str, Encoder, Task]]:
    """Yield names of other contracts with the encoder and task under them.

    - ``flip``: features of the mirrored picture added, or left out where the task adds them;
    - ``range``: mean and std 0.5 in place of those of the weights (0..1 to -1..1), or ImageNet's where the
      weights have 0.5;
    - ``crop``: the other template, or another margin of the box; not where the encoder requires its crop.
    """
    yield "flip", encoder, replace(task, flip="none" if task.flip == "sum" else "sum")
    if encoder.parameters and encoder.pixels.value_range == (0.0, 1.0):
        other = copy.copy(encoder)
        fresh = type(encoder.pixels)(encoder.pixels.size)
        mean, std = (fresh.mean, fresh.std) if encoder.pixels.std == HALF else (HALF, HALF)
        other.pixels = replace(encoder.pixels, mean=mean, std=std)
        yield "range", other, task
    crop = _other_crop(task.crop)
    if crop is not None and encoder.required_crop is None:
        yield "crop", encoder, replace(task, crop=crop)


def _other_crop(crop: CropContract) -> CropContract | None:
    if crop.rule == "template":
        return replace(crop, template=TEMPLATES.get(str(crop.template), "farl"))
    if crop.rule == "box":
        return replace(crop, margin=0.0 if crop.margin > 0 else CROPS["box"].margin)
    return None


def sensitivity(
    encoder: Encoder,
    task: Task,
    *,
    out: Path,
    data_root: Path | None = None,
    overwrite: str = "missing",
    limit: int | None = None,
    say: Say = print,
) -> Spread | None:
    """Return the spread of one encoder on one task; None in all processes but the first.

    A contract that the task's data cannot meet (a template without landmarks) is left out and said to be.

    Raises:
        PacoError: the score as declared cannot be had.

    """
    if task.sweep is not None:
        raise PacoError(f"{task.name} is a derived task; sensitivity is measured on {task.sweep.base}.")
    data = Data.load(task, data_root, Protocol(limit=limit))
    declared = _measured(encoder, data, out, overwrite)
    others = {}
    for name, other, changed in contracts(encoder, task):
        try:
            varied = data if changed == task else Data.load(changed, data_root, Protocol(limit=limit))
            varied = replace(varied, protocol=replace(varied.protocol, varied=name))
            row = _measured(other, varied, out, overwrite)
        except PacoError as error:
            say(f"{task.name}  {encoder.name}: sensitivity to {name} left out: {error}")
            continue
        if row is not None:
            others[name] = row
    return Spread(declared, others) if declared is not None else None


def _measured(encoder: Encoder, data: Data, out: Path, overwrite: str) -> Row | None:
    """Return the row of the main view, measured now or before."""
    measure(encoder, data, out=out, overwrite=overwrite, say=lambda _: None)
    if not PartialState().is_main_process:
        return None
    return read_row(out / "rows" / f"{row_key(identity_of(encoder, data.seen_by(encoder), 'all'))}.json")


def spreads(
    encoders: Sequence[Encoder],
    tasks: Sequence[Task],
    *,
    out: Path,
    data_root: Path | None = None,
    limit: int | None = None,
) -> Iterator[str]:
    """Yield a line for each encoder and task: its spread, or why there is none."""
    for task in tasks:
        for encoder in encoders:
            said: list[str] = []
            try:
                found = sensitivity(encoder, task, out=out, data_root=data_root, limit=limit, say=said.append)
                said += [str(found)] if found is not None else []
            except Exception as error:
                cell = f"{task.name}  {encoder.name}"
                said.append(f"{cell}: {reason(error, cell, out)}")
            yield from said
