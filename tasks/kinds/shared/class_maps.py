"""Class maps of one size taken to another."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

Class = TypeVar("Class", bound=np.integer)


def resized(classes: npt.NDArray[Class], size: tuple[int, ...]) -> npt.NDArray[Class]:
    """Return a class map (h, w) at ``size`` (H, W): a pixel gets the class of the cell that it begins in."""
    y, x = (np.arange(new) * old // new for new, old in zip(size, classes.shape, strict=True))
    return classes[np.ix_(y, x)]
