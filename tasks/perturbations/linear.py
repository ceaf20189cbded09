"""sRGB to linear light and back (IEC 61966-2-1), on uint8 pictures.

Light adds up, scales and scatters in linear units, so everything here that stands for light works on linear
values 0..1. The way back rounds to the nearest of the 256 codes; the round trip of a uint8 picture is exact.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from paco_fr.faces.decode import Pixels
from paco_fr.utils.jit import compiled

F32 = npt.NDArray[np.float32]

LUMINANCE = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)
"""Of linear sRGB primaries (ITU-R BT.709)."""

_CODES = np.arange(256) / 255.0
TO_LINEAR: F32 = np.where(_CODES <= 0.04045, _CODES / 12.92, ((_CODES + 0.055) / 1.055) ** 2.4).astype(
    np.float32
)
"""Linear light of each of the 256 codes."""

_STEPS = 8192
_ROOTS = (np.arange(_STEPS + 1) / _STEPS) ** 2
_TO_CODE: F32 = (
    255 * np.where(_ROOTS <= 0.0031308, 12.92 * _ROOTS, 1.055 * _ROOTS ** (1 / 2.4) - 0.055)
).astype(np.float32)
"""Codes of evenly spaced square roots of light: fine where the curve is steep."""


def to_linear(image: Pixels) -> F32:
    """Return linear light 0..1 of a uint8 picture of any shape."""
    return TO_LINEAR[image]


def to_srgb(light: npt.NDArray[np.floating]) -> Pixels:
    """Return the uint8 picture of linear light of any shape, rounded to the nearest code and clipped."""
    values = np.ascontiguousarray(light, dtype=np.float32)
    return _encoded(values.ravel(), _TO_CODE).reshape(values.shape)


@compiled
def _encoded(light: F32, table: F32) -> Pixels:
    out = np.empty(light.shape, dtype=np.uint8)
    steps = np.float32(table.shape[0] - 1)
    for i in range(light.shape[0]):
        value = min(max(light[i], np.float32(0.0)), np.float32(1.0))
        out[i] = np.uint8(table[int(np.sqrt(value) * steps + np.float32(0.5))] + np.float32(0.5))
    return out


def luminance(light: F32) -> F32:
    """Return (...) luminance of linear light (..., 3)."""
    return np.asarray(light @ LUMINANCE)


def mean_luminance(image: Pixels) -> float:
    """Return the mean linear luminance 0..1 of a uint8 picture (H, W, 3)."""
    pixels = image.reshape(-1, 3)
    counts = np.stack([np.bincount(pixels[:, k], minlength=256) for k in range(3)])
    return float(LUMINANCE.astype(np.float64) @ (counts @ TO_LINEAR.astype(np.float64)) / len(pixels))
