"""Quality of the file and the lens, as control: what falls here is not occlusion and not light.

Blur is Gaussian, in linear light, as defocus is. JPEG is Pillow's encoder (libjpeg quality, 4:2:0).
Down-sampling averages (antialiased) to a share of the side and comes back bicubically. Noise is Gaussian on
the codes and independent for each channel, clipped: the additive noise of the corruption benchmarks
(Hendrycks and Dietterich 2019, section 3); noise as a sensor makes it is ``low_light``.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter1d

from paco_fr.faces.decode import Pixels
from tasks.perturbations.apply import Picture
from tasks.perturbations.linear import to_linear, to_srgb

CANVAS = 112
"""Side that lengths in pixels refer to."""


def blur(picture: Picture, strength: float) -> tuple[Pixels, float]:
    """Blur with a standard deviation of ``strength`` pixels on a canvas of 112, in proportion on others."""
    sigma = strength * picture.side / CANVAS
    light = to_linear(picture.image)
    for axis in (0, 1):
        light = gaussian_filter1d(light, sigma, axis=axis, mode="nearest", truncate=3.0)
    return to_srgb(light), sigma


def jpeg(picture: Picture, strength: float) -> tuple[Pixels, float]:
    """Encode with a libjpeg quality of ``strength`` and decode."""
    buffer = io.BytesIO()
    Image.fromarray(picture.image).save(buffer, format="JPEG", quality=int(strength), subsampling="4:2:0")
    changed = np.array(Image.open(buffer).convert("RGB"))
    return changed, buffer.tell() / picture.side**2


def downsampling(picture: Picture, strength: float) -> tuple[Pixels, float]:
    """Shrink to ``strength`` of the side and enlarge again."""
    small = max(2, round(picture.side * strength))
    shrunk = Image.fromarray(picture.image).resize((small, small), Image.Resampling.BOX)
    return np.array(shrunk.resize((picture.side, picture.side), Image.Resampling.BICUBIC)), small


def noise(picture: Picture, strength: float) -> tuple[Pixels, float]:
    """Add Gaussian noise of ``strength`` grey levels."""
    added = np.float32(strength) * picture.rng.standard_normal(picture.image.shape, dtype=np.float32)
    changed = np.clip(picture.image + added + np.float32(0.5), 0, 255).astype(np.uint8)
    return changed, float((changed.astype(np.float32) - picture.image).std())
