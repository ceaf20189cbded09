"""Things that people wear or hold before the face: sunglasses, surgical mask, scarf, hand, hair.

The renderer's own occluders (:mod:`paco_fr.synthetic.rendering.occluders`), made for the mean head, posed with the head
that is fitted to the picture's landmarks, lit from above the camera as brightly as the face is, and drawn in
linear light over the photograph with a depth test against the head. This is how MaskTheFace (Anwar and
Raychowdhury 2020) and its like work, with a solid instead of a flat picture. Strength is the renderer's
severity; what it hides of the face hull is measured on the picture itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt

from paco_fr.faces.decode import Pixels
from paco_fr.faces.rotation import angles_from_rotation, rotation_from_angles
from paco_fr.synthetic import palette
from paco_fr.synthetic.head.hair import hair_shell, scalp_rays, strand_pattern
from paco_fr.synthetic.parameters import Hair, Occluder
from paco_fr.synthetic.rendering import light, occluders, rasteriser
from paco_fr.synthetic.shape import geometry as g
from paco_fr.utils.jit import compiled
from paco_fr.utils.random import generator
from tasks.perturbations.apply import Picture
from tasks.perturbations.head import FAR, Head, mean_surface
from tasks.perturbations.linear import F32, luminance, to_linear, to_srgb

Colour = npt.NDArray[np.float64]

VARIANTS = 16
"""Forms and colours of each kind; a picture's draw picks one."""
SAMPLES = 2
"""Samples a pixel along each side."""
_SUN = np.array([0.15, -0.55, -0.82], dtype=np.float32)
_NO_STRANDS = np.zeros(1, dtype=np.float32)


@dataclass(frozen=True)
class Cloth:
    """A mesh in the head frame: points and normals (R, C, 3), paint (R, C, 5) as the rasteriser wants it."""

    points: F32
    normals: F32
    paint: F32


def sunglasses(picture: Picture, strength: float) -> tuple[Pixels, float]:
    """Put on sunglasses, larger with strength."""
    return _put_on(picture, "sunglasses", strength)


def surgical_mask(picture: Picture, strength: float) -> tuple[Pixels, float]:
    """Put on a mask, from under the nose to under the eyes."""
    return _put_on(picture, "surgical_mask", strength)


def scarf(picture: Picture, strength: float) -> tuple[Pixels, float]:
    """Wind a scarf around neck and chin, up to the nose."""
    return _put_on(picture, "scarf", strength)


def hand(picture: Picture, strength: float) -> tuple[Pixels, float]:
    """Hold a hand of the face's own colour before the cheek, further in with strength."""
    skin = _colour_of(picture, (-0.40, 0.40), (0.15, 0.50))
    return _put_on(picture, "hand", strength, tint=np.full(3, 0.2) if skin is None else skin, in_front=True)


def hair(picture: Picture, strength: float) -> tuple[Pixels, float]:
    """Let hair of the person's own colour, where it can be seen, fall over forehead and eyes."""
    own, skin = (
        _colour_of(picture, (-0.45, 0.45), (-1.05, -0.86)),
        _colour_of(picture, (-0.40, 0.40), (0.15, 0.50)),
    )
    number = int(picture.rng.choice(len(palette.HAIR), p=palette.HAIR_SHARE))
    if own is None or (skin is not None and np.abs(np.log((own + 0.01) / (skin + 0.01))).max() < 0.35):
        # Cut off by the crop, or bald: hair of any colour in the light of the face.
        own = palette.linear(palette.HAIR[number]) * (
            1.0 if skin is None else max(float(skin.max()) / 0.4, 0.1)
        )
    return _put_on(picture, "hair", strength, tint=np.clip(own, 0.004, 0.7), strands=True)


def _put_on(
    picture: Picture,
    kind: str,
    strength: float,
    *,
    tint: Colour | None = None,
    in_front: bool = False,
    strands: bool = False,
) -> tuple[Pixels, float]:
    face = picture.face
    scene = to_linear(picture.image)
    variant = int(picture.rng.integers(VARIANTS))
    exposure = np.float32(np.clip(float(np.median(luminance(scene[face.hull]))) / 0.22, 0.05, 1.6))
    pose = _upright(face.head) if in_front else face.head
    clothes = _clothes(kind, strength, variant)
    cover, colour = _draw(pose, clothes, None if in_front else face.head, strands, tint)
    over, covered = _over(scene, cover, colour, exposure if tint is None else np.float32(1), face.hull)
    return to_srgb(over), covered


def _upright(head: Head) -> Head:
    """Return the head turned half as far: who holds a hand before a face holds it toward the viewer."""
    yaw, pitch, roll = (float(v) for v in angles_from_rotation(head.rotation))
    return Head(rotation_from_angles(yaw / 3, pitch / 2, roll), head.stretch, head.shift, head.side)


def _draw(
    head: Head, clothes: tuple[Cloth, ...], before: Head | None, strands: bool, tint: Colour | None
) -> tuple[F32, F32]:
    """Return cover (S', S') and premultiplied linear colour (S', S', 3) at SAMPLES times the canvas."""
    side = head.side * SAMPLES
    depth = np.full((side, side), FAR, dtype=np.float32)
    if before is not None:
        screen = _samples(before.to_canvas(mean_surface()[0]))
        screen[..., 2] += np.float32(0.04 * head.stretch[2])  # cloth that lies on the skin stays before it
        rasteriser.draw_places(screen, depth, np.empty((side, side, 2), dtype=np.float32))
    colour, cover = np.zeros((side, side, 3), dtype=np.float32), np.zeros((side, side), dtype=np.float32)
    turn = head.rotation.T.astype(np.float32)
    pattern = strand_pattern() if strands else _NO_STRANDS
    for cloth in clothes:
        paint = cloth.paint.copy()
        normal = cloth.normals @ turn
        facing = np.where(normal[..., 2] > 0, np.float32(-1), np.float32(1))
        lit = np.float32(0.45) + np.float32(0.62) * np.maximum((normal @ _SUN) * facing, 0)
        if tint is not None:
            paint[..., :3] *= np.asarray(tint, dtype=np.float32)
        paint[..., :3] *= lit[..., None]
        screen = _samples(head.to_canvas(cloth.points))
        for shown in (rasteriser.BACK, rasteriser.FRONT) if strands else (rasteriser.BOTH,):
            rasteriser.draw_coloured(
                screen, paint, shown, pattern, 1.1 if strands else 0.0, depth, colour, cover, not strands
            )
    return cover, colour


def _samples(screen: F32) -> F32:
    screen[..., :2] = screen[..., :2] * np.float32(SAMPLES) + np.float32((SAMPLES - 1) / 2)
    return np.ascontiguousarray(screen)


@compiled
def _over(
    scene: F32, cover: F32, colour: F32, exposure: np.float32, hull: npt.NDArray[np.bool_]
) -> tuple[F32, float]:
    """Average the samples of what was drawn, lay it over the scene, and return the share of the hull it hides."""
    side = scene.shape[0]
    out = np.empty_like(scene)
    share = np.float32(1.0 / (SAMPLES * SAMPLES))
    hidden, pixels = 0.0, 0
    for y in range(side):
        for x in range(side):
            total = np.float32(0)
            for a in range(SAMPLES):
                for b in range(SAMPLES):
                    total += cover[SAMPLES * y + a, SAMPLES * x + b]
            total *= share
            if hull[y, x]:
                hidden += float(total)
                pixels += 1
            for k in range(3):
                light = np.float32(0.0)
                for a in range(SAMPLES):
                    for b in range(SAMPLES):
                        light += colour[SAMPLES * y + a, SAMPLES * x + b, k]
                out[y, x, k] = scene[y, x, k] * (np.float32(1.0) - total) + light * share * exposure
    return out, hidden / pixels


def _colour_of(picture: Picture, across: tuple[float, float], down: tuple[float, float]) -> Colour | None:
    """Return (3,) median linear colour of a part of the face; None where it is not in view."""
    spots = np.rint(picture.face.head.to_canvas(_part(across, down))[:, :2]).astype(int)
    spots = spots[((spots >= 0) & (spots < picture.side)).all(axis=1)]
    if len(spots) < 4:
        return None
    return np.median(to_linear(picture.image[spots[:, 1], spots[:, 0]]), axis=0).astype(np.float64)


@cache
def _part(across: tuple[float, float], down: tuple[float, float]) -> F32:
    """Return (N, 3) points of the mean head between face coordinates."""
    points, face = mean_surface()
    low, high = np.array([across[0], down[0]]), np.array([across[1], down[1]])
    return points[((face > low) & (face < high)).all(axis=-1)]


@lru_cache(maxsize=512)
def _clothes(kind: str, severity: float, variant: int) -> tuple[Cloth, ...]:
    """Return the meshes of one form of a kind, made once a process."""
    rng = generator(f"worn {kind}", variant)
    numbers = tuple(float(v) for v in rng.uniform(size=8))
    what = Occluder(
        kind, severity, palette.cloth(rng), palette.cloth(rng), 1.0 if variant % 2 else -1.0, numbers
    )
    head, still = g.head_grid().points.astype(np.float32), np.eye(3)
    if kind == "hair":
        return (_fringe(severity, numbers),)
    sheets = {
        "sunglasses": lambda: occluders.spectacles(head, still, what),
        "surgical_mask": lambda: occluders.surgical_mask(head, still, what),
        "scarf": lambda: occluders.scarf(head, still, what),
        "hand": lambda: occluders.hand(head, still, what, np.ones(3)),
    }[kind]()
    return tuple(_cloth(s.points, s.colour, s.opacity, np.zeros(s.opacity.shape)) for s in sheets)


def _cloth(points: npt.NDArray, colour: npt.NDArray, opacity: npt.NDArray, strand: npt.NDArray) -> Cloth:
    mesh = np.ascontiguousarray(points, dtype=np.float32)
    rows = np.arange(len(mesh))
    normals = light.normals(mesh, np.maximum(rows - 1, 0), np.minimum(rows + 1, rows[-1]), False)
    paint = np.concatenate([colour, opacity[..., None], strand[..., None]], axis=-1)
    return Cloth(mesh, normals, np.ascontiguousarray(paint, dtype=np.float32))


def _fringe(severity: float, numbers: tuple[float, ...]) -> Cloth:
    """Return hair that grows at the hairline and falls over the face; behind its roots it is clear."""
    side = 1.0 if numbers[0] < 0.5 else -1.0
    worn = Hair(
        colour=(1.0, 1.0, 1.0),
        thickness=0.07,
        hairline=-0.66,
        length=0.0,
        fringe=0.28 + 0.80 * severity,
        parting=side * (0.2 + 0.8 * numbers[1]),
        wave=numbers[2] ** 2,
        recession=0.0,
        lift=0.0,
        baldness=0.0,
    )
    points, opacity, strand = hair_shell(*scalp_rays(g.head_grid().points.astype(np.float32)), worn)
    roots = g.ramp((points[..., 1].astype(np.float64) + 0.98) / 0.22)
    sides = g.ramp((0.74 - np.abs(points[..., 0].astype(np.float64))) / 0.12)
    opacity = np.where(opacity > 0, opacity * roots * sides, opacity) - 1.2 * (1 - roots * sides)
    return _cloth(points, np.ones(points.shape), opacity, strand)
