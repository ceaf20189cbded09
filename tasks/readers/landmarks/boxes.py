"""Which box a face of a landmark set is cut by: the supplied one or that of its points, as published code takes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from paco_fr.faces.landmarks import box_of, whole_box_of
from paco_fr.faces.records import picture_sizes
from paco_fr.utils.errors import unknown_name
from paco_fr.utils.types import Array

Size = tuple[int, int] | None
"""Height and width of a picture, None where it cannot be read: reading it fails later and is counted."""


def _clipped(box: Array, size: Size) -> Array:
    """Return a box that does not reach beyond its picture."""
    return box if size is None else np.clip(box, 0, [size[1] - 1, size[0] - 1] * 2)


def _whole(box: Array) -> Array:
    """Return what code that cuts at truncated numbers sees, as a box in the convention of records."""
    return np.asarray(np.trunc(box) - 0.5)


def _grown(box: Array, scale: float) -> Array:
    aside, above = (scale - 1) / 2 * (box[2:] - box[:2])
    return np.asarray(box + np.array([-aside, -above, aside, above]))


def _pipnet_300w(points: Array, box: Array, size: Size) -> Array:
    return _whole(_clipped(_grown(np.trunc(box_of(points)), 1.1), size))


def _pipnet_wflw(points: Array, box: Array, size: Size) -> Array:
    return _whole(_clipped(_grown(box, 1.2), size))


def _pipnet(points: Array, box: Array, size: Size) -> Array:
    return _whole(_clipped(box, size))


BOXES: dict[str, Callable[[Array, Array, Size], Array]] = {
    "points": lambda points, box, size: box_of(points),
    "whole points": lambda points, box, size: whole_box_of(points),
    "supplied": lambda points, box, size: box,
    "pipnet 300w": _pipnet_300w,
    "pipnet wflw": _pipnet_wflw,
    "pipnet": _pipnet,
}
"""Name -> the box to cut by, of points (K, 2), the supplied box, and the picture: the tight box of the points; that drawn
out to whole pixels, which HRNet and FaRL take; the supplied one; and PIPNet's, cut at the picture's border: of 300W the
points' box 1.1 times as large, of WFLW the supplied one 1.2 times, of COFW and AFLW the supplied one."""


def with_boxes(name: str, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows of records with the box of a name of :data:`BOXES` in place of the supplied one."""
    if name not in BOXES:
        raise unknown_name("box", name, BOXES)
    cells = [
        row["image"] if isinstance(row["image"], dict) else {"bytes": None, "path": str(row["image"])}
        for row in rows
    ]
    sizes = picture_sizes(cells) if name.startswith("pipnet") else [None] * len(rows)
    found = [
        BOXES[name](np.asarray(row["landmarks"], np.float64), np.asarray(row["box"], np.float64), size)
        for row, size in zip(rows, sizes, strict=True)
    ]
    return [row | {"box": [float(value) for value in box]} for row, box in zip(rows, found, strict=True)]
