"""How much light there was, and of which colour: gamma, exposure, low light, colour temperature.

``gamma`` bends the tone curve until the mean linear luminance is the asked share of the clean one;
``exposed`` multiplies linear light by two to the power of the stops and clips, as a sensor does.
``low_light`` follows the linear camera model of EMVA 1288 (release 4.0, section 2): a Poisson number of
photo-electrons, Gaussian read noise, then the gain with which a camera answers. ``colour_temperature`` moves
the light along the locus of black bodies (Kim et al. 2002, US patent 7024034, the cubic fits) from 6500 K.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from paco_fr.faces.decode import Pixels
from tasks.perturbations.apply import Picture
from tasks.perturbations.linear import F32, LUMINANCE, TO_LINEAR, mean_luminance, to_linear, to_srgb

FULL_WELL = 20_000.0
"""Photo-electrons of white in full light: a phone's pixel."""
READ_NOISE = 2.0
"""Standard deviation in electrons."""
GAIN_SHARE = 0.7
"""Share of the lost stops that the camera's gain brings back; the rest stays dark."""

DAYLIGHT = 6500.0
WARMEST, COLDEST = 2400.0, 18_000.0


def gamma(picture: Picture, strength: float) -> tuple[Pixels, float]:
    """Raise codes to the power at which the mean luminance is ``strength`` of the clean one."""
    image = picture.image
    clean = mean_luminance(image)
    if clean == 0:
        return image.copy(), 1.0
    counts = np.stack([np.bincount(image[..., k].ravel(), minlength=256) for k in range(3)], axis=1)
    weights = (counts @ LUMINANCE.astype(np.float64)) / image[..., 0].size
    codes = np.arange(256) / 255.0
    low, high = 0.0, 5.0  # of log2 of the exponent
    for _ in range(18):
        middle = (low + high) / 2
        curve = TO_LINEAR[_bent(codes, middle)]
        low, high = (middle, high) if float(weights @ curve) > strength * clean else (low, middle)
    changed = _bent(codes, (low + high) / 2)[image]
    return changed, mean_luminance(changed) / clean


def _bent(codes: np.ndarray, power: float) -> Pixels:
    return np.asarray(255.0 * codes ** (2.0**power) + 0.5).astype(np.uint8)


def exposed(picture: Picture, strength: float) -> tuple[Pixels, float]:
    """Expose by ``strength`` stops more (or less, if negative) and clip what is brighter than white."""
    table = to_srgb(TO_LINEAR * np.float32(2.0**strength))
    changed = table[picture.image]
    return changed, _share(changed, picture.image)


def low_light(picture: Picture, strength: float) -> tuple[Pixels, float]:
    """Take the picture with ``strength`` (negative) stops of light and amplify most of them back."""
    electrons = FULL_WELL * 2.0**strength
    light = to_linear(picture.image)
    counted = photo_electrons(light, electrons, READ_NOISE, picture.rng)
    changed = to_srgb(counted * np.float32(2.0 ** ((1 - GAIN_SHARE) * strength) / electrons))
    return changed, _share(changed, picture.image)


def photo_electrons(light: F32, white: float, read_noise: float, rng: np.random.Generator) -> F32:
    """Return what a sensor counts of linear light 0..1: mean ``light * white``, variance that plus read noise².

    From 40 electrons on the Poisson number is drawn as the normal one of its mean and variance.
    """
    mean = light * np.float32(white)
    noise = rng.standard_normal(light.shape, dtype=np.float32)
    counted = mean + np.sqrt(mean + np.float32(read_noise**2)) * noise
    few = mean < 40
    if few.any():
        some = mean[few]
        counted[few] = rng.poisson(some) + np.float32(read_noise) * noise[few]
    return np.asarray(counted, dtype=np.float32)


def colour_temperature(picture: Picture, strength: float) -> tuple[Pixels, float]:
    """Go ``strength`` of the way, in mired, from daylight to candle light or to blue shade, as drawn."""
    end = WARMEST if picture.rng.uniform() < 0.5 else COLDEST
    shift = strength * (1e6 / end - 1e6 / DAYLIGHT)
    gains = light_of(1e6 / (1e6 / DAYLIGHT + shift)) / light_of(DAYLIGHT)
    light = to_linear(picture.image) * gains.astype(np.float32)
    before, after = mean_luminance(picture.image), float((light @ LUMINANCE).mean(dtype=np.float64))
    return to_srgb(light * np.float32(before / after if after > 0 else 1.0)), shift


@cache
def light_of(kelvin: float) -> np.ndarray:
    """Return (3,) linear sRGB of a black body of 1667 to 25,000 K with luminance 1."""
    t = 1e3 / kelvin
    if kelvin < 4000:
        x = -0.2661239 * t**3 - 0.2343589 * t**2 + 0.8776956 * t + 0.179910
    else:
        x = -3.0258469 * t**3 + 2.1070379 * t**2 + 0.2226347 * t + 0.240390
    if kelvin < 2222:
        y = -1.1063814 * x**3 - 1.34811020 * x**2 + 2.18555832 * x - 0.20219683
    elif kelvin < 4000:
        y = -0.9549476 * x**3 - 1.37418593 * x**2 + 2.09137015 * x - 0.16748867
    else:
        y = 3.0817580 * x**3 - 5.87338670 * x**2 + 3.75112997 * x - 0.37001483
    colour = np.array([x / y, 1.0, (1 - x - y) / y])
    to_rgb = np.array([[3.2404542, -1.5371385, -0.4985314], [-0.9692660, 1.8760108, 0.0415560],
                       [0.0556434, -0.2040259, 1.0572252]])  # fmt: skip
    return np.asarray(np.maximum(to_rgb @ colour, 0.01))


def _share(changed: Pixels, clean: Pixels) -> float:
    before = mean_luminance(clean)
    return mean_luminance(changed) / before if before > 0 else 1.0
