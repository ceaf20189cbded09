"""Where the light comes from: relighting by the fitted head's normals, and shadows that fall on it.

A picture is taken as albedo times light. The light of a soft frontal lamp is divided out and that of a lamp
at the asked angle multiplied in, in linear units and with the shadow that the head casts on itself (the
quotient image of Shashua and Riklin-Raviv 2001, with the mean head for the class). Angles are those of
Extended Yale B (Georghiades et al. 2001; its subsets end at 12, 25, 50, 77 degrees): azimuth and elevation of
the lamp against the camera axis. Past the silhouette the light of the outline fades to that of the whole
head.

A cast shadow takes away most of the direct light behind an edge that bends with the relief of the face.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import gaussian_filter

from paco_fr.faces.decode import Pixels
from paco_fr.synthetic.rendering import light
from tasks.perturbations.apply import Picture
from tasks.perturbations.head import Head, grid_normals
from tasks.perturbations.linear import F32, mean_luminance, to_linear, to_srgb

AMBIENT = 0.06
"""Light from all around, as a share of the lamp's; Yale B was taken in a dark room, homes are brighter."""
KEY = 1.15
"""Light of the lamp."""
REFERENCE = (0.45, 0.60)
"""Ambient and lamp of the light that is divided out: a window behind the camera, a little above."""
SHADE = 0.22
"""Light that is left in a cast shadow."""
_WRAP = np.array([0.10, 0.10, 0.10], dtype=np.float32)


def side_light(picture: Picture, strength: float) -> tuple[Pixels, float]:
    """Put the lamp ``strength`` degrees to the left or right, somewhat above or below."""
    azimuth = strength * (1.0 if picture.rng.uniform() < 0.5 else -1.0)
    return _relit(picture, azimuth, float(picture.rng.uniform(-5, 25)) * min(strength / 25, 1.0))


def top_light(picture: Picture, strength: float) -> tuple[Pixels, float]:
    """Put the lamp ``strength`` degrees above or (in one picture of three, half as far) below."""
    below = picture.rng.uniform() < 1 / 3
    return _relit(picture, float(picture.rng.uniform(-20, 20)), -0.6 * strength if below else strength)


def direction(azimuth: float, elevation: float) -> npt.NDArray[np.float64]:
    """Return the unit vector (camera frame) toward a lamp at degrees to the picture's right and upward."""
    a, e = np.radians(azimuth), np.radians(elevation)
    return np.array([np.sin(a) * np.cos(e), -np.sin(e), -np.cos(a) * np.cos(e)])


def _relit(picture: Picture, azimuth: float, elevation: float) -> tuple[Pixels, float]:
    toward = direction(azimuth, elevation)
    ratio = light_ratio(picture.face.head, toward)
    changed = to_srgb(to_linear(picture.image) * ratio[..., None])
    return changed, float(np.degrees(np.arccos(np.clip(-toward[2], -1, 1))))


def light_ratio(head: Head, toward: npt.NDArray[np.float64]) -> F32:
    """Return (S, S) by how much a lamp in direction ``toward`` changes the light on each pixel."""
    surface = head.surface
    # Grid points in units of the head, so that the renderer's shadow map fits them.
    centred = np.ascontiguousarray(surface.screen - np.append(head.shift, 0)) / np.float32(head.stretch[2])
    points: F32 = centred.astype(np.float32)
    normal = grid_normals(points)
    new = _light(points, normal, toward, AMBIENT, KEY)
    old = REFERENCE[0] + REFERENCE[1] * np.maximum(normal @ direction(0, 15).astype(np.float32), 0)
    ratio = surface.sample((new / np.maximum(old, 0.25)).astype(np.float32)[..., None])[..., 0]
    return _beyond(ratio, surface.shown)


def _light(points: F32, normal: F32, toward: npt.NDArray[np.float64], ambient: float, key: float) -> F32:
    """Return (R, C) light on a grid with the shadow that the head casts on itself."""
    shadow = light.cast_shadow(points, toward)
    white = np.ones(3, dtype=np.float32)
    falling = light.irradiance(
        points, normal, toward.astype(np.float32), np.float32(key) * white, np.float32(ambient) * white, _WRAP,
        np.float32(16.0),
        shadow.axes, shadow.depth,
    )  # fmt: skip
    return falling[..., 0]


def _beyond(ratio: F32, shown: npt.NDArray[np.bool_]) -> F32:
    """Return the ratio with hair, neck and background filled in: near the outline as there, far off the mean.

    A wide blur of the known part over a wide blur of where it is known, at a quarter of the resolution.
    """
    if not shown.any():
        return np.ones_like(ratio)
    side = ratio.shape[0]
    small = max(8, side // 4)
    mean = float(ratio[shown].mean())
    parts = [np.where(shown, ratio, 0.0), shown.astype(np.float32)]
    shrunk = [
        np.asarray(Image.fromarray(p.astype(np.float32)).resize((small, small), Image.Resampling.BOX))
        for p in parts
    ]
    known, weight = (gaussian_filter(p, small / 14, mode="constant", truncate=3) for p in shrunk)
    far = (known + 0.02 * mean) / (weight + 0.02)
    wide = np.asarray(Image.fromarray(far).resize((side, side), Image.Resampling.BICUBIC))
    edge = np.asarray(Image.fromarray(shown).convert("L"), dtype=np.float32) / 255
    soft = gaussian_filter(edge, side / 60, mode="nearest", truncate=2.5)
    inside = np.clip(2 * soft - 1, 0, 1)
    return np.asarray(np.maximum(ratio * inside + wide * (1 - inside), 0), dtype=np.float32)


def cast_shadow(picture: Picture, strength: float) -> tuple[Pixels, float]:
    """Throw a shadow with a soft edge over ``strength`` of the face hull."""
    rng, face, side = picture.rng, picture.face, picture.side
    surface, hull = face.head.surface, face.hull
    angle, lean = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 1.1)
    soft = float(rng.uniform(0.010, 0.035)) * side
    y, x = np.mgrid[:side, :side].astype(np.float32)
    depth = np.where(surface.shown, surface.depth, 0.0).astype(np.float32)
    far = float(np.percentile(surface.depth[surface.shown], 80)) if surface.shown.any() else 0.0
    relief = np.where(surface.shown, np.minimum(depth, far), far)
    turn = rng.uniform(0, 2 * np.pi, 2)
    along = x * -np.sin(angle) + y * np.cos(angle)
    waves = 0.020 * side * (np.sin(along * 9 / side + turn[0]) + 0.6 * np.sin(along * 23 / side + turn[1]))
    edge = x * np.cos(angle) + y * np.sin(angle) + lean * relief + waves
    at = float(np.quantile(edge[hull], strength))
    lit = 1 / (1 + np.exp(np.clip((at - edge) / soft * 1.7, -30, 30)))
    scene = to_linear(picture.image)
    # Skylight fills shadows: a little blue.
    left = SHADE * np.array([0.93, 1.0, 1.12])
    kept = left + (1 - left) * lit[..., None]
    changed = to_srgb(scene * kept.astype(np.float32))
    before = mean_luminance(picture.image)
    return changed, mean_luminance(changed) / before if before > 0 else 1.0
