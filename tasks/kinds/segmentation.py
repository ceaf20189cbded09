"""Segmentation: the class of every pixel of a face, from scores of a square grid of tokens.

``task.options["classes"]`` names the classes, the background first. Scores are drawn out bilinearly to the pixels of
the mask, through the crop, and the highest wins; the confusion matrix is counted there. Pixels outside the crop are
predicted as background; a unit without finite scores is scored by :mod:`tasks.metrics.failures`. A pixel
whose number is ``task.options["ignore"]`` counts for nobody. ``task.options["mask"]`` says what a mask lies on:
``photograph`` (default, of its size) or ``canvas`` (all of the crop, whatever the size).

In training the class of a point outside the mask, or of a pixel to be ignored, is background.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
import torch.nn.functional as F

from paco_fr.faces.crop import ALIGNED, compose, off_canvas, onto_canvas
from paco_fr.faces.decode import read_labels
from paco_fr.utils.errors import PacoError
from paco_fr.utils.types import Array
from tasks.kinds import HeadName
from tasks.kinds.shared.class_maps import resized
from tasks.kinds.shared.labels import start_items
from tasks.kinds.shared.shown import faces_shown
from tasks.metrics import segmentation as scores
from tasks.metrics.metric import Metric
from tasks.task import Task
from tasks.units import PHOTO_SIZE

HEAD: HeadName = "token_ridge"
shown = faces_shown

GRID = 112
"""Cells of a side of the class maps that heads are fitted to."""
IGNORED = 255
"""What stands in a mask for a pixel that counts for nobody, whatever its number in the file."""
Classes = npt.NDArray[np.uint8]


def masks(labels: pd.DataFrame, task: Task) -> list[Classes]:
    """Return the mask (H, W) of every unit, as class numbers and :data:`IGNORED`.

    Raises:
        PacoError: no masks, one that does not decode or is not of the photograph's size, or a class that the task does
            not have; names the file.

    """
    if "mask" not in labels:
        raise PacoError(f"The labels have no column 'mask', which {task.name} needs.")
    lies_on_photo = task.options.get("mask", "photograph") == "photograph" and PHOTO_SIZE in labels
    sizes = labels[PHOTO_SIZE] if lies_on_photo else [None] * len(labels)
    return [_mask(cell, task, size) for cell, size in zip(labels["mask"], sizes, strict=True)]


def _mask(cell: Mapping[str, Any], task: Task, size: tuple[int, int] | None) -> Classes:
    """Return one mask; ``size`` is the height and width of the photograph that it must have, None for any."""
    found, classes, ignore = read_labels(cell), len(task.options["classes"]), task.options.get("ignore")
    name = Path(cell["path"]) if cell["path"] else "a mask"
    if size is not None and found.shape != tuple(size):
        (height, width), (high, wide) = found.shape, size
        raise PacoError(
            f"{name}: is {width} x {height}, its photograph {wide} x {high} pixels. Restore the mask of this photograph."
        )
    ignored = np.zeros(found.shape, dtype=bool) if ignore is None else found == ignore
    known = found[~ignored]
    if known.size and known.max() >= classes:
        raise PacoError(f"{name}: class {known.max()} is not 0 to {classes - 1}. Restore the original mask.")
    return np.where(ignored, IGNORED, found).astype(np.uint8)


def _rows(labels: pd.DataFrame) -> Iterator[Any]:
    """Return the lines of the labels, of which ``transform``, ``canvas`` and ``warp`` are asked for."""
    return iter(labels[["transform", "canvas"]].assign(warp=labels.get("warp", 0.0)).itertuples())


def _to_canvas(row: Any, shape: tuple[int, ...], task: Task) -> Array:
    """Return the transform (2, 3) from pixels of a mask to the canvas."""
    if task.options.get("mask", "photograph") == "photograph":
        return np.asarray(row.transform, np.float64)
    scale = row.canvas / np.array(shape[1::-1])
    return np.array([[scale[0], 0.0, (scale[0] - 1) / 2], [0.0, scale[1], (scale[1] - 1) / 2]])


def targets(labels: pd.DataFrame, task: Task) -> Classes:
    """Return (n, GRID, GRID) classes at the centres of the cells of the canvas."""
    return class_maps(labels, task, np.broadcast_to(ALIGNED, (len(labels), 2, 3)))


def class_maps(labels: pd.DataFrame, task: Task, moves: Array) -> Classes:
    """Return (n, GRID, GRID) classes at the centres of the cells of canvases that are moved by ``moves`` (n, 2, 3)."""
    found = np.zeros((len(labels), GRID, GRID), dtype=np.uint8)
    for at, (row, mask, move) in enumerate(zip(_rows(labels), masks(labels, task), moves, strict=True)):
        centres = (np.arange(GRID) + 0.5) * row.canvas / GRID - 0.5
        points = np.stack(np.meshgrid(centres, centres), axis=-1).reshape(-1, 2)
        there = off_canvas(points, compose(move, _to_canvas(row, mask.shape, task)), row.canvas, row.warp)
        x, y = np.clip(there, -1.0, max(mask.shape)).round().astype(int).T
        inside = (x >= 0) & (y >= 0) & (x < mask.shape[1]) & (y < mask.shape[0])
        seen = mask[y[inside], x[inside]]
        found[at].ravel()[inside] = np.where(seen == IGNORED, scores.BACKGROUND, seen)
    return found


def items(outputs: npt.ArrayLike, labels: pd.DataFrame, task: Task) -> pd.DataFrame:
    """Return a line per unit: its ``confusion`` matrix as a flat list, ``error`` the share of wrong pixels.

    Args:
        outputs: (n, N, C) scores of tokens; or (n,) class maps of any size, for what paints whole masks.
        labels: one row per unit.
        task: the declaration.

    """
    rows, classes = np.asarray(outputs), len(task.options["classes"])
    confusions, finite = [], []
    for output, row, mask in zip(rows, _rows(labels), masks(labels, task), strict=True):
        painted = _painted(output, row, mask, task)
        finite.append(painted is not None)
        told = mask != IGNORED
        wrong = np.where(mask == scores.BACKGROUND, 1, scores.BACKGROUND)  # stands for the truth alone
        said = wrong if painted is None else painted
        confusions.append(scores.confusion(mask[told], said[told], classes))
    table = start_items(labels, np.array(finite, dtype=bool))
    table["confusion"] = [counts.ravel().tolist() for counts in confusions]
    table["error"] = [1.0 - np.trace(counts) / max(counts.sum(), 1) for counts in confusions]
    return pd.DataFrame(table)


def _painted(output: Any, row: Any, mask: Classes, task: Task) -> npt.NDArray[np.integer] | None:
    """Return the class (H, W) of every pixel of a mask, or None without finite scores."""
    output = np.asarray(output)
    if output.dtype.kind in "iu":  # a class map
        return resized(output, mask.shape)
    if not np.isfinite(output).all():
        return None
    side = round(len(output) ** 0.5)
    height, width = mask.shape
    points = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1)
    there = onto_canvas(points, _to_canvas(row, mask.shape, task), row.canvas, row.warp)
    place = (there + 0.5) * 2 / row.canvas - 1
    grid = torch.from_numpy(output.T.reshape(1, -1, side, side)).float()
    at = torch.from_numpy(place).float()[None]
    drawn = F.grid_sample(grid, at, mode="bilinear", padding_mode="border", align_corners=False)
    found = drawn[0].numpy().argmax(axis=0)
    return np.where((np.abs(place) <= 1).all(axis=-1), found, scores.BACKGROUND)


def metrics(task: Task) -> tuple[Metric, ...]:
    """Return mean F1 over the foreground (main), pixel accuracy and the F1 of every foreground class, in percent."""
    return scores.metrics_for(task.options["classes"])


def perfect(labels: pd.DataFrame, task: Task) -> npt.NDArray[np.object_]:
    """Return the masks themselves."""
    found = np.empty(len(labels), dtype=object)
    found[:] = masks(labels, task)
    return found


def painted(outputs: npt.ArrayLike, labels: pd.DataFrame, task: Task) -> Classes:
    """Return (n, 2, GRID, GRID) classes on the canvas for people to look at: the truth, and scores (n, N, C) of tokens.

    Units without finite scores are background.
    """
    scored = torch.from_numpy(np.nan_to_num(np.asarray(outputs, dtype=np.float32)))
    count, tokens, classes = scored.shape
    side = round(tokens**0.5)
    grid = scored.transpose(1, 2).reshape(count, classes, side, side)
    drawn = F.interpolate(grid, size=(GRID, GRID), mode="bilinear", align_corners=False)
    said = drawn.argmax(dim=1).numpy().astype(np.uint8)
    return np.stack([targets(labels, task), said], axis=1)
