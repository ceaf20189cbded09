"""What a codebook makes of perturbed pictures against clean ones: the diagnostic rows of derived codebook tasks."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from accelerate import PartialState
from torch import Tensor
from tqdm import tqdm

from paco_eval.cell_items import compact
from paco_eval.diagnosing import NOTHING_DECIDED, diagnostics_of
from paco_eval.extraction import together
from paco_eval.inputs import Data
from paco_eval.perturbed import CLEAN_PICTURE, Condition, prepared_under
from paco_eval.recording import Say, row_of, wanted_of
from paco_eval.rows import Row, write_row
from paco_eval.sweep import CLEAN, cell_identities, clean_row, mean_achieved, shown_units, sweep_of
from paco_fr.encoder import Diagnostics, Encoder
from tasks.kinds.stability import PLACES
from tasks.kinds.stability import items as kind_items
from tasks.splits import Split
from tasks.units import Units

Array = npt.NDArray[np.float64]
Found = dict[tuple[Condition, int], tuple[Array, float]]
"""For a condition and unit the outputs (3N,) that the kind reads, and what the perturbation achieved."""


def evaluate_stability(
    encoder: Encoder, data: Data, *, out: Path, overwrite: str = "missing", say: Say = print
) -> list[Row]:
    """Write a row for each kind and level of one encoder's tokens and belief; encoders without are passed over.

    Raises:
        PacoError: the task's crop is not the one the encoder requires, or rows exist under ``never``.

    """
    task, started = data.task, time.monotonic()
    diagnose = diagnostics_of(encoder, task, say)
    if diagnose is None:
        return []
    units, split = data.views["all"]
    assert isinstance(split, Split)
    sweep, identities = sweep_of(task), cell_identities(encoder, data, say)
    wanted = wanted_of(encoder, data, identities, out, overwrite, say)
    if not wanted:
        return []
    held, state = shown_units(task, units.labels, split), PartialState()
    conditions = {cell: CLEAN_PICTURE if cell == CLEAN else Condition(*cell) for cell in wanted}
    with state.split_between_processes(held.tolist()) as own:
        parts = together(
            lambda: _compared(
                encoder, diagnose, units, own, list(conditions.values()), sweep.factor == "occlusion",
                state.is_main_process,
            ), state,
        )  # fmt: skip
    found = {key: value for part in parts for key, value in part.items()}
    if not state.is_main_process:
        return []
    width = next((len(row) for row, _ in found.values()), PLACES)
    nothing = np.full(width, np.nan), float("nan")
    labels = units.labels.iloc[held].reset_index(drop=True)
    rows = []
    for cell, condition in conditions.items():
        told = [found.get((condition, unit), nothing) for unit in held.tolist()]
        achieved = np.array([value for _, value in told])
        items = kind_items(np.stack([row for row, _ in told]), labels, task)
        items = compact(items.assign(achieved=achieved))
        failed = int((items["failure"] != "").sum())
        row = row_of(
            encoder, data, identities[cell], NOTHING_DECIDED, items, split, len(held), failed,
            {"extract": (time.monotonic() - started) / len(wanted)}, source=sweep.source,
            achieved=mean_achieved(achieved),
            perturbation=None if cell == CLEAN else condition.tag,
        )  # fmt: skip
        written = write_row(out / "rows", row, items, clean=clean_row(out, identities, cell))
        rows.append(row.model_copy(update={"key": written.stem}))
    return rows


def _compared(
    encoder: Encoder, diagnose: Diagnostics, units: Units, own: list[int], conditions: list[Condition], covers: bool,
    progress: bool,
) -> Found:  # fmt: skip
    """Return outputs of the units in ``own`` under every condition; pictures that cannot be had are left out."""
    every = np.ones(len(units), dtype=bool)
    asked = dict.fromkeys([CLEAN_PICTURE, *conditions], every)
    clean: dict[int, tuple[Tensor, Array, Array]] = {}
    found: Found = {}
    with tqdm(total=len(own) * len(asked), desc=encoder.name[-40:], unit="img", disable=not progress) as bar:
        for condition, prepared in prepared_under([encoder.pixels], units, own, asked):
            members, shown, achieved, broken = prepared
            bar.update(len(members) + len(broken))
            if not members:
                continue
            pictures = shown[encoder.pixels]
            true = pictures
            if condition != CLEAN_PICTURE:
                true = torch.stack([clean[unit][0] for unit in members])
            said = diagnose(pictures, true)
            nearest, hidden, believed = (
                said[name].cpu().numpy() for name in ("nearest", "hidden", "believed")
            )
            if condition == CLEAN_PICTURE:  # of every batch the first: the others are held against it
                clean = dict(zip(members, zip(pictures, nearest, believed, strict=True), strict=True))
            same = nearest == np.stack([clean[unit][1] for unit in members])
            agree = np.full(nearest.shape, -1.0)
            alike = believed == np.stack([clean[unit][2] for unit in members])
            np.put_along_axis(agree, hidden, alike.astype(np.float64), axis=1)
            covered = covered_places(true, pictures, nearest.shape[1]) if covers else np.zeros_like(same)
            rows = np.hstack([same, covered, agree])
            for unit, row, value in zip(members, rows, achieved, strict=True):
                found[condition, unit] = row, float(value)
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
