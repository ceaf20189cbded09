"""Tasks without a head: the encoder's own diagnostics of each picture become the items of a row.

Of a derived task, what tokens and belief make of changed pictures is held against the clean ones. A face that is
drawn again is the same to the pixel but for its occluder or its light, so that rendered and painted trouble are
compared alike; what an occluder covers is where a pixel has changed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from accelerate import PartialState
from torch import Tensor

from paco_eval.evaluation.cells import drawn_coverage, shown_units, sweep_of, told_of
from paco_eval.evaluation.data import Data
from paco_eval.evaluation.record import Measured
from paco_eval.features.batches import batches_of, prepared_batches, prepared_under
from paco_eval.features.perturbed import CLEAN_PICTURE, Condition
from paco_eval.features.processes import together
from paco_eval.probes.probe import Choice
from paco_eval.probes.scorer import Decision, held_of
from paco_eval.rows.compact import compact
from paco_fr.contracts import Diagnostics, Encoder, PixelContract
from paco_fr.utils.progress import Bar, stage
from paco_fr.utils.types import Array
from tasks.derived import CLEAN, Cell
from tasks.kinds import load_kind
from tasks.kinds.stability import PLACES
from tasks.kinds.stability import items as kind_items
from tasks.readers.synthetic.rendered import read_cell
from tasks.splits import Split
from tasks.task import Task
from tasks.units import Units, units_of

NOTHING_DECIDED = Decision(
    Choice(("all", "codebook"), "none", float("nan")), source="nothing is fitted or chosen"
)


def diagnostics_of(encoder: Encoder) -> Diagnostics | None:
    """Return what tells the diagnostics of an encoder, None where it has no codebook."""
    found: Diagnostics | None = getattr(encoder, "diagnostics", None)
    return found


def measure_codebook(encoder: Encoder, data: Data, wanted: Sequence[str]) -> Iterator[Measured]:
    """Measure one encoder's diagnostics of clean pictures."""
    task, started, diagnose = data.task, time.monotonic(), diagnostics_of(encoder)
    units, split = data.views["all"]
    assert diagnose is not None and isinstance(split, Split)
    held = held_of(split)
    fitted = np.unique(np.concatenate([fold.fit.indices for fold in split.score]))
    state = PartialState()
    mean = _mean_matter(encoder, diagnose, units, fitted, state)
    outputs = _outputs(encoder, diagnose, units, held, mean, state)
    if not state.is_main_process:
        return
    items = load_kind(task.kind).items(outputs, units.labels.iloc[held].reset_index(drop=True), task)
    failed = int((items["failure"] != "").sum())
    yield Measured("all", items, len(held), failed, NOTHING_DECIDED, {"extract": time.monotonic() - started})


def _mean_matter(
    encoder: Encoder, diagnose: Diagnostics, units: Units, fitted: npt.NDArray[np.intp], state: PartialState
) -> Array:
    """Return the mean patch (N, T) of each place over the train part, as the encoder's tokens see patches."""

    def summed(own: list[int]) -> tuple[Array | float, int]:
        total: Array | float = 0.0
        count = 0
        for members, pictures, _ in prepared_batches(units, batches_of(own), encoder.pixels):
            if members:
                total = total + diagnose(pictures)["matter"].double().sum(0).cpu().numpy()
                count += len(members)
        return total, count

    with state.split_between_processes(fitted.tolist()) as own:
        parts = together(lambda: summed(own), state)
    return np.asarray(sum(part for part, _ in parts) / max(1, sum(number for _, number in parts)))


def _outputs(
    encoder: Encoder,
    diagnose: Diagnostics,
    units: Units,
    held: npt.NDArray[np.intp],
    mean: Array,
    state: PartialState,
) -> Array:
    """Return the outputs that the kind reads (n, 2 + 3N) of the held units; NaN rows where unreadable."""

    def told(own: list[int]) -> dict[int, Array]:
        found: dict[int, Array] = {}
        for members, pictures, _ in prepared_batches(units, batches_of(own), encoder.pixels):
            if members:
                said = {name: value.double().cpu().numpy() for name, value in diagnose(pictures).items()}
                found |= dict(zip(members, _rows(said, mean), strict=True))
        return found

    with state.split_between_processes(held.tolist()) as own:
        parts = together(lambda: told(own), state)
    whole = {unit: row for part in parts for unit, row in part.items()}
    blank = np.full(2 + 3 * len(mean), np.nan)
    return np.stack([whole.get(unit, blank) for unit in held.tolist()])


def _rows(said: dict[str, Array], mean: Array) -> Array:
    hidden = said["hidden"].astype(np.int64)  # (B, M)
    truth = np.take_along_axis(said["matter"], hidden[..., None], axis=1)  # (B, M, T)
    nearer = ((said["tokens"] - truth) ** 2).sum(-1) < ((mean[hidden] - truth) ** 2).sum(-1)
    believed, beats = np.full(said["nearest"].shape, -1.0), np.full(said["nearest"].shape, -1.0)
    np.put_along_axis(believed, hidden, said["believed"], axis=1)
    np.put_along_axis(beats, hidden, nearer.astype(np.float64), axis=1)
    sizes = np.tile(said["sizes"], (len(hidden), 1))
    return np.hstack([sizes, believed, said["nearest"], beats])


Found = dict[tuple[Cell, int], tuple[Array, float]]
"""For a cell and unit the outputs (3N,) that the kind reads, and what the change achieved."""


class Shown(NamedTuple):
    """A batch of prepared pictures (B, 3, S, S) in a cell, what was achieved on each, and how many are broken."""

    cell: Cell
    members: list[int]
    pictures: Tensor
    achieved: npt.NDArray[np.floating]
    broken: int


def measure_changed_codebook(encoder: Encoder, data: Data, wanted: Sequence[Cell]) -> Iterator[Measured]:
    """Measure what one encoder's tokens and belief make of the pictures of every wanted cell."""
    task, started, diagnose = data.task, time.monotonic(), diagnostics_of(encoder)
    (units, split), sweep = data.views["all"], sweep_of(task)
    assert diagnose is not None and isinstance(split, Split)
    held, state = shown_units(task, units.labels, split), PartialState()
    changed = [cell for cell in wanted if cell != CLEAN]
    show = _drawn_again if sweep.source == "rendered" else _painted
    with (
        state.split_between_processes(held.tolist()) as own,
        stage(
            f"encoding by {encoder.name[-40:]}", len(own) * (1 + len(changed)), "img", shown=state.is_main_process
        ) as bar,
    ):  # fmt: skip
        batches = show(encoder.pixels, task, units, own, changed)
        parts = together(lambda: _compared(diagnose, batches, sweep.factor == "occlusion", bar), state)
    found = {key: value for part in parts for key, value in part.items()}
    if not state.is_main_process:
        return
    width = next((len(row) for row, _ in found.values()), PLACES)
    nothing = np.full(width, np.nan), float("nan")
    labels = units.labels.iloc[held].reset_index(drop=True)
    for cell in wanted:
        told = [found.get((cell, unit), nothing) for unit in held.tolist()]
        achieved = np.array([value for _, value in told])
        items = kind_items(np.stack([row for row, _ in told]), labels, task)
        items = compact(items.assign(achieved=achieved))
        failed = int((items["failure"] != "").sum())
        timings = {"extract": (time.monotonic() - started) / len(wanted)}
        yield Measured(
            cell, items, len(held), failed, NOTHING_DECIDED, timings, told_of(sweep, cell, achieved)
        )


def _painted(
    contract: PixelContract, task: Task, units: Units, own: list[int], cells: list[Cell]
) -> Iterator[Shown]:
    """Yield each batch of the units in ``own``, clean and then perturbed in the way of every cell."""
    names = {CLEAN_PICTURE: CLEAN, **{Condition(*cell): cell for cell in cells}}
    batches = [dict.fromkeys(names, batch) for batch in batches_of(own)]
    for condition, members, pictures, achieved, broken in prepared_under([contract], units, batches):
        yield Shown(names[condition], members, pictures[contract], achieved, len(broken))


def _drawn_again(
    contract: PixelContract, task: Task, units: Units, own: list[int], cells: list[Cell]
) -> Iterator[Shown]:
    """Yield each batch of the units in ``own``, clean and then the same faces as drawn for every cell."""
    names = units.labels["unit_id"].tolist()
    people = units.labels["group"].nunique()
    drawn = {cell: units_of(read_cell(task, *cell, people), task.crop) for cell in cells}
    places = {
        cell: {name: place for place, name in enumerate(found.labels["unit_id"])}
        for cell, found in drawn.items()
    }
    achieved = {cell: drawn_coverage(task, found.labels) for cell, found in drawn.items()}
    for batch in batches_of(own):
        for members, pictures, broken in prepared_batches(units, [batch], contract):
            yield Shown(CLEAN, members, pictures, np.full(len(members), np.nan), len(broken))
        for cell, found in drawn.items():
            there = {places[cell][names[unit]]: unit for unit in batch}
            for seen, pictures, broken in prepared_batches(found, [list(there)], contract):
                yield Shown(
                    cell, [there[place] for place in seen], pictures, achieved[cell][seen], len(broken)
                )


def _compared(diagnose: Diagnostics, batches: Iterator[Shown], covers: bool, bar: Bar) -> Found:
    """Return outputs of all pictures shown, each batch clean first; those that cannot be had are left out."""
    clean: dict[int, tuple[Tensor, Array, Array]] = {}
    found: Found = {}
    for cell, members, pictures, achieved, broken in batches:
        bar.update(len(members) + broken)
        if not members:
            continue
        true = pictures if cell == CLEAN else torch.stack([clean[unit][0] for unit in members])
        said = diagnose(pictures, true)
        nearest, hidden, believed = (said[name].cpu().numpy() for name in ("nearest", "hidden", "believed"))
        if cell == CLEAN:  # the others of the batch are held against it
            clean = dict(zip(members, zip(pictures, nearest, believed, strict=True), strict=True))
        same = nearest == np.stack([clean[unit][1] for unit in members])
        agree = np.full(nearest.shape, -1.0)
        alike = believed == np.stack([clean[unit][2] for unit in members])
        np.put_along_axis(agree, hidden, alike.astype(np.float64), axis=1)
        covered = covered_places(true, pictures, nearest.shape[1]) if covers else np.zeros_like(same)
        rows = np.hstack([same, covered, agree])
        for unit, row, value in zip(members, rows, achieved, strict=True):
            found[cell, unit] = row, float(value)
    return found


def covered_places(clean: Tensor, changed: Tensor, places: int, share: float = 0.5) -> npt.NDArray[np.bool_]:
    """Return which of N places an occluder covers: those with more than a share of their pixels changed, (B, N).

    Args:
        clean: prepared pictures (B, 3, S, S).
        changed: the same with an occluder.
        places: N, a square number.
        share: by default half; 0 for places that are touched at all.

    """
    different = (clean != changed).any(1, keepdim=True).float()
    side = clean.shape[-1] // round(places**0.5)
    return np.asarray(torch.nn.functional.avg_pool2d(different, side).flatten(1).cpu().numpy() > share)
