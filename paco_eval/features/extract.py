"""Features of pictures, clean or changed: every layer of every picture, from the cache or through the encoder."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from accelerate import PartialState

from paco_eval.features.batches import BATCH
from paco_eval.features.cache_locks import keeping
from paco_eval.features.fill import (
    Filled,
    LostError,
    Reader,
    Table,
    achieved_of,
    fill_cache,
    lacks,
    unit_keys,
)
from paco_eval.features.layers import Layer, layers_of
from paco_eval.features.perturbed import CLEAN_PICTURE, Condition
from paco_fr.contracts import Encoder
from tasks.units import Units

Read = TypeVar("Read")


@dataclass(frozen=True)
class Features:
    """Features of n units.

    Attributes:
        layers: (block, reduction) -> (n, D) float32, (n, N, D) of tokens; rows of failed units are NaN.
        failures: unit number -> why it could not be read.
        forward_passes: pictures that went through the encoder now, not found in the cache.
        seconds: time spent on them.

    """

    layers: dict[Layer, Table]
    failures: dict[int, str]
    forward_passes: int
    seconds: float

    @property
    def images_per_s(self) -> float | None:
        """Pictures encoded a second, decoding included; None where fewer than a batch had to be encoded."""
        return self.forward_passes / self.seconds if self.forward_passes >= BATCH else None

    def spread(self, places: npt.NDArray[np.intp], count: int) -> Features:
        """Return features of ``count`` units, of which these are the ones at ``places``; the others are NaN."""
        layers = {}
        for layer, own in self.layers.items():
            layers[layer] = np.full((count, *own.shape[1:]), np.nan, dtype=np.float32)
            layers[layer][places] = own
        failures = {int(places[unit]): reason for unit, reason in self.failures.items()}
        return Features(layers, failures, self.forward_passes, self.seconds)


@dataclass(frozen=True)
class Outcome:
    """Features (n, D) under one condition, NaN where there are none, what was achieved (n,), and failures."""

    features: Table
    achieved: Table
    failures: dict[int, str]


def extract(
    encoder: Encoder,
    units: Units,
    reductions: Sequence[str],
    *,
    flip: str = "none",
    progress: bool = False,
    only: Layer | None = None,
) -> Features:
    """Return the features of all units, from the cache where they are known.

    Args:
        encoder: what turns pictures into tokens.
        units: the crops.
        reductions: summaries of tokens that the task takes.
        flip: ``sum`` adds the features of each mirrored crop to those of the crop; both are cached.
        progress: whether to show a bar.
        only: the one layer that is wanted, where that is known; by default all.

    Raises:
        PacoError: a feature is not finite (the picture and the layer are named).

    """
    started = time.monotonic()
    layers = (only,) if only is not None else tuple(layers_of(encoder, reductions))
    reader = Reader(encoder, layers, flip == "sum")

    def filled_and_read() -> tuple[Filled, dict[Layer, Table]]:
        filled = fill_cache([reader], units, [CLEAN_PICTURE], progress=progress)
        return filled, reader.read(units, filled, CLEAN_PICTURE)

    with keeping():
        filled, tables = _once_more(filled_and_read)
    return Features(tables, filled.failures[CLEAN_PICTURE], filled.passes, time.monotonic() - started)


def extract_perturbed(
    encoder: Encoder,
    units: Units,
    layer: Layer,
    conditions: Sequence[Condition],
    *,
    flip: str = "none",
    progress: bool = False,
) -> dict[Condition, Outcome]:
    """Return features of all units in one layer under each condition, from the cache where they are known.

    A picture that cannot be read, or whose face lies outside the canvas, fails under that condition.
    """
    reader = Reader(encoder, (layer,), flip == "sum")

    def filled_and_read() -> dict[Condition, Outcome]:
        found = {}
        filled = fill_cache([reader], units, conditions, progress=progress)
        for condition in conditions:
            table = reader.read(units, filled, condition)[layer]
            achieved = achieved_of(units, filled, condition)
            found[condition] = Outcome(table, achieved, filled.failures[condition])
        return found

    with keeping():
        return _once_more(filled_and_read)


def _once_more(read: Callable[[], Read]) -> Read:
    """Return what is read from the cache; once more where something of it was damaged between filling and reading."""
    try:
        return read()
    except LostError:
        if PartialState().num_processes > 1:  # the others wait elsewhere
            raise
        return read()


def missing_keys(
    encoder: Encoder, units: Units, reductions: Sequence[str], *, flip: str = "none"
) -> set[tuple[object, ...]]:
    """Return what identifies each picture that :func:`extract` would send through the encoder."""
    reader = Reader(encoder, tuple(layers_of(encoder, reductions)), flip == "sum")
    keys, unreadable = unit_keys(units)
    missing = np.flatnonzero(lacks(reader, units, CLEAN_PICTURE, keys, unreadable))
    return {(units.canvas, reader.layers, flip, keys[unit].tobytes()) for unit in missing.tolist()}
