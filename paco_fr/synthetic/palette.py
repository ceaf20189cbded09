"""Colours that skin, hair, eyes, cloth and walls have, in linear light."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from paco_fr.synthetic.parameters import Colour

Floats = npt.NDArray[np.float64]

# sRGB 0..255, skin from light to dark.
SKIN = (
    (230, 190, 169),
    (221, 178, 153),
    (206, 157, 127),
    (189, 137, 104),
    (152, 104, 76),
    (112, 73, 53),
    (78, 51, 40),
)
HAIR = (
    (24, 19, 17),
    (38, 27, 21),
    (60, 42, 30),
    (88, 62, 42),
    (128, 95, 60),
    (172, 138, 94),
    (116, 60, 34),
    (138, 135, 132),
)
HAIR_SHARE = (0.22, 0.20, 0.18, 0.14, 0.09, 0.06, 0.05, 0.06)
IRIS = ((58, 36, 22), (84, 54, 30), (104, 80, 44), (84, 98, 72), (86, 108, 128), (112, 124, 134))
IRIS_SHARE = (0.36, 0.24, 0.12, 0.09, 0.12, 0.07)


def linear(srgb: npt.ArrayLike) -> Floats:
    """Return linear light 0..1 of sRGB values 0..255."""
    c = np.asarray(srgb, dtype=np.float64) / 255
    return np.asarray(np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4))


def colour(values: Floats) -> Colour:
    """Return a colour as plain floats, clipped to 0..1."""
    r, g, b = (float(v) for v in np.clip(values, 0.0, 1.0))
    return r, g, b


def along(palette: tuple[tuple[int, int, int], ...], place: float) -> Floats:
    """Return the linear colour at ``place`` 0..1 along a palette."""
    table = linear(palette)
    at = place * (len(table) - 1)
    low = min(int(at), len(table) - 2)
    return np.asarray(table[low] + (table[low + 1] - table[low]) * (at - low))


def toned(rng: np.random.Generator, base: Floats, brightness: float, tint: float) -> Colour:
    """Return a colour varied in brightness and, less, in tint: natural things stay their hue."""
    factor = np.exp(brightness * rng.standard_normal()) * np.exp(tint * rng.standard_normal(3))
    return colour(base * factor)


def cloth(rng: np.random.Generator) -> Colour:
    """Return a cloth colour: mostly muted, sometimes strong."""
    value = rng.uniform(0.08, 0.95) ** 1.3
    chroma = rng.beta(1.2, 2.6)
    return colour(linear(255 * hue(rng.uniform(), chroma, value)))


def wall(rng: np.random.Generator) -> Colour:
    """Return a colour of walls, wood, sky or leaves: muted."""
    return colour(linear(255 * hue(rng.uniform(), 0.75 * rng.beta(1.2, 5.0), rng.uniform(0.12, 0.95))))


def hue(angle: float, chroma: float, value: float) -> Floats:
    """Return RGB 0..1 of a hue angle, chroma and value, each 0..1."""
    wheel = np.clip(np.abs((angle * 6 + np.array([0.0, 4.0, 2.0])) % 6 - 3) - 1, 0, 1)
    return np.asarray(value * (1 - chroma * (1 - wheel)))
