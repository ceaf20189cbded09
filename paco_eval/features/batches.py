"""Pictures on their way to an encoder: decoded, cut and prepared in batches, ahead of the model and beside it."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from accelerate import PartialState
from PIL import Image
from torch import Tensor

from paco_fr.contracts import PixelContract
from paco_fr.faces.crop import crop_image
from paco_fr.faces.decode import Pixels, read_image
from paco_fr.faces.pixels import prepare
from paco_fr.utils.errors import PacoError
from tasks.units import Units

BATCH = 64
"""Pictures that are decoded and encoded together."""
Prepared = tuple[list[int], Tensor, dict[int, str]]


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
) -> Iterator[Prepared]:
    """Yield (readable units, prepared pictures, failures) of each batch in order, decoded a few batches ahead."""
    cells = units.records.select_columns(["image"])
    threads = decoding_threads()
    with ThreadPoolExecutor(threads) as pool:
        ahead: deque[Future[Prepared]] = deque()
        for batch in batches:
            sources = cells[units.rows[batch].tolist()]["image"]
            ahead.append(pool.submit(_prepare_batch, batch, sources, units, contract))
            if len(ahead) > threads + 1:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def cut_batch(batch: list[int], sources: list[dict[str, Any]], units: Units) -> dict[int, Pixels | str]:
    """Return the canvas of each unit, or why there is none: an unreadable picture, or a box that cannot be cut."""
    canvases: dict[int, Pixels | str] = {}
    for unit, source in zip(batch, sources, strict=True):
        try:
            canvases[unit] = crop_image(read_image(source), units.transforms[unit], units.canvas)
        except PacoError as error:
            canvases[unit] = str(error)
    return canvases


def _prepare_batch(
    batch: list[int], sources: list[dict[str, Any]], units: Units, contract: PixelContract
) -> Prepared:
    canvases = cut_batch(batch, sources, units)
    broken = {unit: canvas for unit, canvas in canvases.items() if isinstance(canvas, str)}
    pictures = [resize(canvas, contract) for canvas in canvases.values() if not isinstance(canvas, str)]
    return [unit for unit in batch if unit not in broken], batch_of(pictures, contract), broken


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
