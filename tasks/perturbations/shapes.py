"""Things of no particular kind before the face, at an exact share of the hull: boxes and textured pieces.

A shape is a field over the canvas that grows outward from its middle; it covers where the field is below the
quantile of the field inside the hull that the asked share stands for. So the share is met to a pixel or so,
whatever the form, and the shapes of the five levels lie inside one another.

Boxes follow the augmentations of the face literature (FaRL's has one black box), with one to three boxes of
any colour. Textures are noise of several octaves (Perlin 1985) turned into cloth, foliage, wood or stone by a
colour map: a draped cloth, a twig, a plank, a rock.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt

from paco_fr.faces.decode import Pixels
from paco_fr.utils.random import generator
from tasks.perturbations.apply import Picture
from tasks.perturbations.linear import F32, to_linear, to_srgb

SWATCHES = 24
"""Ready-made textures of each material; a picture shows a turned piece of one of them."""
SWATCH_SIDE = 256


def boxes(picture: Picture, strength: float) -> tuple[Pixels, float]:
    """Cover ``strength`` of the hull with one to three flat boxes."""
    rng, hull = picture.rng, picture.face.hull
    rows, columns = np.nonzero(hull)
    size = np.sqrt(len(rows))
    count = int(rng.integers(1, 4))
    y, x = np.mgrid[: picture.side, : picture.side].astype(np.float32)
    field = np.full(hull.shape, np.inf, dtype=np.float32)
    owner = np.zeros(hull.shape, dtype=np.intp)
    for box in range(count):
        at = int(rng.integers(len(rows)))
        middle = np.array([columns[at], rows[at]]) + rng.uniform(-0.5, 0.5, 2)
        half = size * rng.uniform(0.5, 1.0) * np.exp(rng.uniform(-0.5, 0.5) * np.array([1, -1]))
        reach = np.maximum(np.abs(x - middle[0]) / half[0], np.abs(y - middle[1]) / half[1]).astype(
            np.float32
        )
        owner = np.where(reach < field, box, owner)
        field = np.minimum(field, reach)
    colours = rng.integers(0, 256, (count, 3)).astype(np.uint8)
    covered = _covered(field, hull, strength)
    image = np.where(covered[..., None], colours[owner], picture.image)
    return image, float(covered[hull].mean())


def texture(picture: Picture, strength: float) -> tuple[Pixels, float]:
    """Cover ``strength`` of the hull with a piece of cloth, foliage, wood or stone."""
    rng, hull = picture.rng, picture.face.hull
    rows, columns = np.nonzero(hull)
    size = np.sqrt(len(rows))
    at = int(rng.integers(len(rows)))
    angle = rng.uniform(0, 2 * np.pi)
    stretch = np.exp(rng.uniform(0.0, 0.5))
    y, x = np.mgrid[: picture.side, : picture.side].astype(np.float32)
    u, v = x - np.float32(columns[at]), y - np.float32(rows[at])
    across, along = u * np.cos(angle) + v * np.sin(angle), v * np.cos(angle) - u * np.sin(angle)
    material = MATERIALS[int(rng.integers(len(MATERIALS)))]
    outline = _piece(_outline_noise(material is _foliage), rng, picture.side, size / 90)
    if material is _wood:
        reach = np.maximum(np.abs(across) * 2.2, np.abs(along) / 2.2) / size
    else:
        reach = np.hypot(across * stretch, along / stretch) / size
    field = (reach + _RAGGED[material] * outline).astype(np.float32)
    swatch = _swatch(material.__name__, int(rng.integers(SWATCHES)))
    piece = _piece(swatch, rng, picture.side, size / 90)
    scene = to_linear(picture.image)
    # The piece stands in the same light as the face: scaled to it, within a natural range of reflectances.
    tone = np.float32(np.clip(scene[hull].mean() / 0.30, 0.12, 1.4))
    slope = np.maximum(np.hypot(*np.gradient(field)), 1e-4)
    cover = np.clip((_threshold(field, hull, strength) - field) / slope + 0.5, 0, 1)[..., None]
    return to_srgb(scene * (1 - cover) + piece * tone * cover), float(cover[hull].mean())


def _covered(field: F32, hull: npt.NDArray[np.bool_], share: float) -> npt.NDArray[np.bool_]:
    return np.asarray(field <= _threshold(field, hull, share))


def _threshold(field: F32, hull: npt.NDArray[np.bool_], share: float) -> np.float32:
    inside = field[hull]
    count = max(1, round(share * len(inside)))
    return np.float32(np.partition(inside, count - 1)[count - 1])


def _piece(source: F32, rng: np.random.Generator, side: int, scale: float) -> F32:
    """Return a (side, side, ...) piece of a periodic picture at a drawn place, enlarged by ``scale``."""
    start = rng.integers(0, SWATCH_SIDE, 2)
    step = np.arange(side) / max(scale, 0.25)
    rows, columns = ((np.rint(step).astype(int) + start[k]) % SWATCH_SIDE for k in (0, 1))
    return np.asarray(source[rows][:, columns])


def _noise(rng: np.random.Generator, slope: float, stretch: float = 1.0) -> F32:
    """Return a swatch (S, S) of periodic noise, mean 0, deviation 1, amplitude falling as 1 / f^slope."""
    frequency = np.fft.fftfreq(SWATCH_SIDE) * SWATCH_SIDE
    fy, fx = np.meshgrid(frequency, frequency * stretch, indexing="ij")
    radius = np.hypot(fx, fy)
    radius[0, 0] = np.inf
    spectrum = np.fft.fft2(rng.standard_normal((SWATCH_SIDE, SWATCH_SIDE))) / np.maximum(radius, 1.0) ** slope
    field = np.fft.ifft2(spectrum).real
    return np.asarray((field - field.mean()) / field.std(), dtype=np.float32)


def _mixed(first: npt.ArrayLike, second: npt.ArrayLike, share: npt.NDArray[np.floating]) -> F32:
    weight = np.clip(share, 0, 1)[..., None]
    return np.asarray(np.asarray(first) * (1 - weight) + np.asarray(second) * weight, dtype=np.float32)


def _hue(rng: np.random.Generator, dark: float, light: float) -> npt.NDArray[np.float64]:
    grey = np.exp(rng.uniform(np.log(dark), np.log(light)))
    return np.asarray(np.clip(grey * np.exp(0.55 * rng.standard_normal(3)), 0.01, 0.8))


def _cloth(rng: np.random.Generator) -> F32:
    """Woven threads in one colour or in stripes or checks of two, with folds."""
    y, x = np.mgrid[:SWATCH_SIDE, :SWATCH_SIDE]
    first, second = _hue(rng, 0.03, 0.5), _hue(rng, 0.03, 0.5)
    period = SWATCH_SIDE / int(rng.integers(6, 16))
    stripes_x, stripes_y = np.sin(2 * np.pi * x / period) > 0, np.sin(2 * np.pi * y / period) > 0
    pattern = (np.zeros_like(stripes_x), stripes_x, (1.0 * stripes_x + stripes_y) / 2)[int(rng.integers(3))]
    weave = 1 + 0.10 * np.sin(np.pi * x) * np.cos(np.pi * y / 2) + 0.06 * _noise(rng, 0.2)
    folds = 1 + 0.22 * _noise(rng, 2.2, 0.35)
    return np.asarray(
        _mixed(first, second, 1.0 * pattern) * np.clip(weave * folds, 0.1, 2)[..., None], dtype=np.float32
    )


def _foliage(rng: np.random.Generator) -> F32:
    """Leaves: ridged noise in greens, dark between them."""
    leaves = 1 - np.abs(_noise(rng, 1.3)) * 0.8
    light = np.clip(0.55 + 0.35 * leaves + 0.25 * _noise(rng, 0.8), 0, 1)
    young = np.array([0.22, 0.36, 0.05]) * np.exp(0.2 * rng.standard_normal(3))
    return _mixed([0.008, 0.02, 0.006], young, light**2)


def _wood(rng: np.random.Generator) -> F32:
    """Boards: rings drawn out along the grain."""
    grain = _noise(rng, 1.8, 7.0)
    rings = 0.5 + 0.5 * np.sin(7 * grain + 0.4 * _noise(rng, 0.6, 9.0))
    pale = np.array([0.42, 0.24, 0.11]) * np.exp(0.25 * rng.standard_normal())
    return _mixed(pale * 0.35, pale, 0.25 + 0.6 * rings + 0.12 * _noise(rng, 0.3, 12.0))


def _stone(rng: np.random.Generator) -> F32:
    """Plaster or rock: grey noise of all scales."""
    base = _hue(rng, 0.12, 0.45) ** 0.5
    base = 0.25 * base + 0.75 * base.mean()
    return np.asarray(
        base**2 * np.clip(1 + 0.30 * _noise(rng, 1.1) + 0.12 * _noise(rng, 0.2), 0.1, 2.2)[..., None],
        np.float32,
    )


MATERIALS: tuple[Callable[[np.random.Generator], F32], ...] = (_cloth, _foliage, _wood, _stone)

_RAGGED: dict[Callable[[np.random.Generator], F32], float] = {
    _cloth: 0.07,
    _foliage: 0.30,
    _wood: 0.0,
    _stone: 0.09,
}
"""How far the outline strays from an ellipse (a plank: from a rectangle), as a share of its reach."""


@cache
def _swatch(material: str, number: int) -> F32:
    rng = generator(f"swatch {material}", number)
    return np.asarray(
        np.clip(next(m for m in MATERIALS if m.__name__ == material)(rng), 0, 1), dtype=np.float32
    )


@cache
def _outline_noise(leafy: bool) -> F32:
    return _noise(generator("outline"), 1.5 if leafy else 2.4)
