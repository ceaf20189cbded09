"""Which box a face of a landmark set is cut by: the supplied one or that of its points, as published code takes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from paco_fr.faces.decode import ImageError, image_size
from paco_fr.faces.landmarks import box_of, whole_box_of
from paco_fr.utils.errors import unknown_name
from paco_fr.utils.types import Array


def clipped(box: npt.ArrayLike, image: Any) -> Array:
    """Return a box that does not reach beyond its picture; as it is where the picture cannot be read."""
    found = np.asarray(box, np.float64)
    cell = image if isinstance(image, dict) else {"bytes": None, "path": str(image)}
    try:
        height, width = image_size(cell)
    except ImageError:  # reading it fails later and is counted
        return found
    return np.clip(found, 0, [width - 1, height - 1] * 2)


def _whole(box: Array) -> Array:
    """Return what code that cuts at truncated numbers sees, as a box in the convention of records."""
    return np.asarray(np.trunc(box) - 0.5)


def _grown(box: Array, scale: float) -> Array:
    aside, above = (scale - 1) / 2 * (box[2:] - box[:2])
    return np.asarray(box + np.array([-aside, -above, aside, above]))


def _pipnet_300w(points: Array, box: Array, image: Any) -> Array:
    return _whole(clipped(_grown(np.trunc(box_of(points)), 1.1), image))


def _pipnet_wflw(points: Array, box: Array, image: Any) -> Array:
    return _whole(clipped(_grown(box, 1.2), image))


def _pipnet(points: Array, box: Array, image: Any) -> Array:
    return _whole(clipped(box, image))


BOXES: dict[str, Callable[[Array, Array, Any], Array]] = {
    "points": lambda points, box, image: box_of(points),
    "whole points": lambda points, box, image: whole_box_of(points),
    "supplied": lambda points, box, image: box,
    "pipnet 300w": _pipnet_300w,
    "pipnet wflw": _pipnet_wflw,
    "pipnet": _pipnet,
}
"""Name -> the box to cut by, of points (K, 2), the supplied box, and the picture: the tight box of the points; that drawn
out to whole pixels, which HRNet and FaRL take; the supplied one; and PIPNet's, cut at the picture's border: of 300W the
points' box 1.1 times as large, of WFLW the supplied one 1.2 times, of COFW and AFLW the supplied one."""


def box_to_cut(name: str, points: npt.ArrayLike, box: npt.ArrayLike, image: Any) -> list[float]:
    """Return the box of a record by one of :data:`BOXES`."""
    if name not in BOXES:
        raise unknown_name("box", name, BOXES)
    found = BOXES[name](np.asarray(points, np.float64), np.asarray(box, np.float64), image)
    return [float(value) for value in found]
