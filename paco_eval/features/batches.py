"""Pictures on their way to an encoder: decoded, cut, changed and prepared in batches, ahead of the model and beside it."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from accelerate import PartialState
from PIL import Image
from torch import Tensor

from paco_eval.features.perturbed import CLEAN_PICTURE, Condition, changed, faces_of
from paco_fr.contracts import PixelContract
from paco_fr.faces.decode import Pixels, read_bytes, read_image
from paco_fr.faces.pixels import prepare
from paco_fr.utils.errors import PacoError
from tasks.perturbations.apply import Face
from tasks.units import Units

BATCH = 64
"""Pictures that are decoded and encoded together."""
Canvases = dict[int, Pixels | str]
"""Of each unit, or why there is none."""


class ChangedError(PacoError):
    """A picture was replaced while it was being evaluated."""


class Prepared(NamedTuple):
    """A batch of pictures under one condition.

    Attributes:
        condition: what was done to them.
        members: the readable units.
        pictures: for each pixel contract (B, 3, S, S) of the members; an empty tensor where there are none.
        achieved: (B,) what the perturbation achieved on each, NaN of clean ones.
        broken: unit -> why there is no picture.

    """

    condition: Condition
    members: list[int]
    pictures: Mapping[PixelContract, Tensor]
    achieved: npt.NDArray[np.float32]
    broken: dict[int, str]


def batches_of(units: list[int]) -> list[list[int]]:
    """Return units in batches, in their order."""
    return [units[at : at + BATCH] for at in range(0, len(units), BATCH)]


def decoding_threads() -> int:
    """Return how many threads decode: two beside a model that computes on the same cores, else our share of them."""
    state = PartialState()
    if state.device.type == "cpu":
        return 2
    return max(2, min(16, len(os.sched_getaffinity(0)) // max(1, torch.cuda.device_count())))


def prepared_batches(
    units: Units, batches: Sequence[list[int]], contract: PixelContract
) -> Iterator[tuple[list[int], Tensor, dict[int, str]]]:
    """Yield (readable units, prepared pictures, failures) of each batch in order, decoded a few batches ahead."""
    for found in prepared_under([contract], units, [{CLEAN_PICTURE: batch} for batch in batches]):
        yield found.members, found.pictures[contract], found.broken


def prepared_under(
    contracts: Sequence[PixelContract], units: Units, batches: Sequence[Mapping[Condition, list[int]]]
) -> Iterator[Prepared]:
    """Yield the pictures of each batch under each of its conditions, in order, made a few ahead of the encoders.

    A picture is decoded and cut once for all conditions of its batch.

    Args:
        contracts: for which pictures are prepared.
        units: the crops.
        batches: which units are wanted under which conditions.

    """
    threads = decoding_threads()
    with ThreadPoolExecutor(threads) as pool:
        ahead: deque[Future[Prepared]] = deque()
        for job in _submitted(pool, contracts, units, batches):
            ahead.append(job)
            if len(ahead) > threads + 1:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def _submitted(
    pool: Executor, contracts: Sequence[PixelContract], units: Units, batches: Sequence[Mapping[Condition, list[int]]]
) -> Iterator[Future[Prepared]]:  # fmt: skip
    cuts = _cut(pool, units, batches)
    following = next(cuts, None)
    while following is not None:
        # The following batch is cut before this one is changed, so that no thread waits for it.
        (batch, canvases, faces), following = following, next(cuts, None)
        for condition, wanted in batch.items():
            yield pool.submit(_prepared, condition, wanted, canvases, faces, units, contracts)


def _cut(
    pool: Executor, units: Units, batches: Sequence[Mapping[Condition, list[int]]]
) -> Iterator[tuple[Mapping[Condition, list[int]], Callable[[], Canvases], dict[int, Face | None]]]:
    """Yield each batch with what gives its canvases, and its faces, which all conditions share, if any needs them."""
    cells = units.records.select_columns(["image"])
    for batch in batches:
        members = list(dict.fromkeys(chain.from_iterable(batch.values())))
        sources = cells[units.rows[members].tolist()]["image"]
        canvases: Callable[[], Canvases] = partial(cut_batch, members, sources, units)
        if len(batch) > 1:  # a job of its own, else part of the only one
            canvases = pool.submit(canvases).result
        anchored = any(condition.level for condition in batch)
        faces = (
            zip(members, faces_of(units.only(np.array(members, dtype=np.intp))), strict=True)
            if anchored
            else ()
        )
        yield batch, canvases, dict(faces)


def cut_batch(batch: list[int], sources: list[dict[str, Any]], units: Units) -> Canvases:
    """Return the canvas of each unit, or why there is none: an unreadable picture, or a box that cannot be cut.

    Raises:
        PacoError: a file is another than when the units were read, and would be taken for it.

    """
    canvases: Canvases = {}
    for unit, source in zip(batch, sources, strict=True):
        try:
            if units.contents and source["bytes"] is None:
                source = {**source, "bytes": read_bytes(source)}
                if hashlib.sha256(source["bytes"]).digest() != units.contents[units.rows[unit]]:
                    raise ChangedError(
                        f"{source['path']}: changed since it was looked at. Evaluate it again."
                    )
            canvases[unit] = units.cut(read_image(source), unit)
        except ChangedError:
            raise
        except PacoError as error:
            canvases[unit] = str(error)
    return canvases


def _prepared(
    condition: Condition,
    wanted: list[int],
    canvases: Callable[[], Canvases],
    faces: Mapping[int, Face | None],
    units: Units,
    contracts: Sequence[PixelContract],
) -> Prepared:
    cut = canvases()
    found, broken = changed({unit: cut[unit] for unit in wanted}, condition, faces, units)
    pictures = {
        contract: batch_of([resize(image, contract) for image, _ in found.values()], contract)
        for contract in contracts
    }
    achieved = np.array([value for _, value in found.values()], dtype=np.float32)
    return Prepared(condition, list(found), pictures, achieved, broken)


def batch_of(pictures: list[Pixels], contract: PixelContract) -> Tensor:
    """Return prepared pictures (B, 3, S, S) of canvases at the input size, where a GPU can fetch them fast."""
    if not pictures:
        return torch.empty(0)
    tensor = prepare(np.stack(pictures), contract)
    return tensor.pin_memory() if PartialState().device.type == "cuda" else tensor


def resize(canvas: Pixels, contract: PixelContract) -> Pixels:
    """Return the canvas at the input size of a pixel contract, antialiased."""
    if canvas.shape[0] == contract.size:
        return canvas
    resample = Image.Resampling.BICUBIC if contract.interpolation == "bicubic" else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(canvas).resize((contract.size, contract.size), resample))
