"""Light changed at random: what rendered faces have too little of, and photographs of one studio none."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

TINT = 0.15
"""Largest change of one colour channel beside the others, of the largest change of light."""


def relight(image: npt.NDArray[np.uint8], stops: float, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Return a picture in other light: brighter or darker, brighter on one side, tinted.

    The light of every pixel is multiplied by 2 to the power of a plane over the picture, as a lamp moved to a
    side does. Of display values, which go with the power 1 / 2.2 of light, the same holds with smaller powers.
    Values past white are clipped, as a camera's are.

    Args:
        image: (S, S, 3) RGB.
        stops: largest change of exposure at the middle, in stops (powers of two), and from the middle to an
            edge, across and down, each drawn evenly from [-stops, stops]; channels by :data:`TINT` of it.
        rng: what the change is drawn from.

    """
    whole, across, down, *tint = stops / 2.2 * rng.uniform(-1, 1, 6)
    x = _axis(image.shape[1])
    y = _axis(image.shape[0])
    colour = np.exp2(whole + TINT * np.array(tint, dtype=np.float32))
    field = np.multiply.outer(np.exp2(down * y), np.exp2(across * x))
    lit = image * np.multiply.outer(field.astype(np.float32), colour.astype(np.float32)) + 0.5
    seen: npt.NDArray[np.uint8] = np.minimum(lit, 255.0).astype(np.uint8)
    return seen


@lru_cache
def _axis(size: int) -> npt.NDArray[np.float32]:
    """Return the centres (size,) of pixels, from -1 to 1 over the edges."""
    return ((2 * np.arange(size, dtype=np.float32) + 1) / size - 1).astype(np.float32)
