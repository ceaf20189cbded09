"""From the parameters of a face to its picture and the truth about it.

Drawing happens at twice the output's resolution in linear light and is averaged down. Order: head, ears,
neck and clothes; then the occluder; then hair, far side first. The camera, the landmarks and therefore an
alignment that is fitted to them are known before anything is drawn, so that a crop is rendered straight
at its own resolution.

The work is a handful of array programs over grids and sample buffers without branching on the face, which
is the form that a batched version on an accelerator would take.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt

from paco_fr.faces.rotation import rotation_from_angles
from paco_fr.synthetic.head import appearance, body
from paco_fr.synthetic.head import assemble as heads
from paco_fr.synthetic.head.hair import hair_shell
from paco_fr.synthetic.head.shading import shade_head
from paco_fr.synthetic.parameters import FaceParameters, Hair
from paco_fr.synthetic.rendering import light, occluders, rasteriser
from paco_fr.synthetic.rendering.background import draw_background
from paco_fr.synthetic.rendering.camera import Camera, apply_affine, flatten, framing_camera
from paco_fr.synthetic.rendering.canvas import (
    SAMPLES,
    Canvas,
    develop,
    invert,
    lay_over,
    srgb_table,
    to_camera,
)
from paco_fr.synthetic.shape import geometry as g
from paco_fr.synthetic.shape import landmarks
from paco_fr.utils.jit import compiled

F32 = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

DEPTH_TOLERANCE = 0.045
"""A landmark this far (head units) behind the nearest surface still counts as lying on it."""
_SKIN_WRAP = np.array([0.28, 0.14, 0.10], dtype=np.float32)
_FACE_HEIGHTS = (-0.27, 1.04)
_FACE_DEGREES = 66.0
_NEIGHBOURS = np.array([(dx, dy) for dy in (-1, 0, 1) for dx in (-1, 0, 1)])


@dataclass(frozen=True)
class RenderedFace:
    """A picture with its truth. Points are in output pixels, the centre of the top-left pixel is (0, 0).

    Attributes:
        image: (size, size, 3) uint8 sRGB.
        landmarks: (68, 2) float32 in iBUG order; jaw points on the visible contour (see landmarks).
        visible: (68,) False where head, hair or occluder hides a point or it lies outside the picture.
        rotation: (3, 3) float64 by :mod:`paco_fr.faces.rotation`, of the head in the photo (a rotated crop does
            not change it).
        box: (4,) float32 x0 y0 x1 y1 of all 68 points.
        coverage: share of the visible face that the occluder hides, 0..1.

    """

    image: npt.NDArray[np.uint8]
    landmarks: npt.NDArray[np.float32]
    visible: npt.NDArray[np.bool_]
    rotation: Floats
    box: npt.NDArray[np.float32]
    coverage: float


@dataclass(frozen=True)
class View:
    """What is known before drawing: rotation, camera, and landmarks in photo pixels with their depth."""

    rotation: Floats
    camera: Camera
    landmarks: Floats
    depth: Floats
    flat_box: Floats


@lru_cache(maxsize=8)
def view(face: FaceParameters) -> View:
    """Return camera and landmarks of a face without drawing it."""
    pose, frame = face.pose, face.framing
    rotation = rotation_from_angles(pose.yaw, pose.pitch, pose.roll)
    shape, actions = np.array(face.identity.shape), np.array(face.actions)
    contour = _contour(shape, actions, face.asymmetry, rotation, face)
    # The camera frames the face at rest: an open jaw must not shrink what is around the face.
    rest = _contour(shape, np.zeros_like(actions), 0.0, rotation, face)
    framed = flatten(rest, frame.distance)
    camera = framing_camera(framed, frame.distance, frame.photo_size, frame.framing, frame.shift)
    flat = flatten(contour, frame.distance)
    flat_box = np.concatenate([flat.min(axis=0), flat.max(axis=0)])
    return View(rotation, camera, camera.project(contour), contour[:, 2], flat_box)


def _contour(
    shape: Floats, actions: Floats, asymmetry: float, rotation: Floats, face: FaceParameters
) -> Floats:
    """Return the (68, 3) landmarks in the camera frame, jaw points on the visible contour."""
    points = landmarks.head_points(shape, actions, asymmetry) @ rotation.T
    return landmarks.visible_contour(points, flatten(points, face.framing.distance), face.pose.roll)


def photo_landmarks(face: FaceParameters) -> Floats:
    """Return the (68, 2) landmarks in photo pixels: all that an alignment needs, at no drawing cost."""
    return view(face).landmarks


def render(face: FaceParameters, size: int, to_output: npt.ArrayLike | None = None) -> RenderedFace:
    """Draw a face.

    Args:
        face: everything about the picture.
        size: side of the square output in pixels.
        to_output: (2, 3) affine map from photo pixels to output pixels, for a crop drawn at its own
            resolution. None draws the photo itself, scaled to ``size``.

    """
    scale = size / face.framing.photo_size
    offset = (scale - 1) / 2
    default = np.array([[scale, 0, offset], [0, scale, offset]])
    crop = default if to_output is None else np.asarray(to_output, dtype=np.float64)
    seen = view(face)
    canvas = Canvas(face.lighting, seen.camera, size, crop)

    places, head = _draw_head(canvas, face, seen)
    _draw_body(canvas, face, seen)
    veil = np.zeros_like(canvas.cover)
    _draw_occluder(canvas, face, seen, head, veil)
    lay_over(canvas.cover, veil)
    hair_veil = np.zeros_like(veil)
    _draw_hair(canvas, face, seen, hair_veil)
    lay_over(canvas.cover, hair_veil)

    behind = draw_background(face.background, size, invert(crop), face.framing.photo_size)
    behind *= np.float32(0.85 * np.mean(canvas.ambient) + 0.35 * np.mean(canvas.key))
    noise = np.random.default_rng(face.lighting.noise_seed).random((size, size, 3), dtype=np.float32)
    image = develop(
        canvas.colour,
        canvas.cover,
        behind,
        noise,
        np.float32(face.lighting.exposure),
        np.float32(face.lighting.noise),
        srgb_table(),
    )

    points = apply_affine(crop, seen.landmarks)
    counted = hair_veil if face.occluder.kind == "hair" else veil
    coverage = mean_over_face(places, counted, *_face_region())
    lay_over(veil, hair_veil)
    visible = _visible(points, seen.depth, canvas.depth, veil, size)
    box = np.concatenate([points.min(axis=0), points.max(axis=0)])
    return RenderedFace(
        image,
        points.astype(np.float32),
        visible,
        seen.rotation,
        box.astype(np.float32),
        round(float(coverage), 4),
    )


def _draw_head(canvas: Canvas, face: FaceParameters, seen: View) -> tuple[F32, F32]:
    """Draw the head; return the grid place that each sample shows, and the deformed head."""
    who = face.identity
    actions = np.array(face.actions, dtype=np.float32)
    head = heads.deformed_head(face)
    turned = to_camera(head, seen.rotation.astype(np.float32))
    canvas.shadow = light.cast_shadow(np.ascontiguousarray(turned[::2, ::2]), canvas.direction)
    places = np.full((*canvas.depth.shape, 2), -1, dtype=np.float32)
    rasteriser.draw_places(canvas.screen(turned), canvas.depth, places)

    samples_per_unit = float(np.sqrt(abs(np.linalg.det(canvas.matrix[:, :2]))))
    detail = appearance.detail_for(int(samples_per_unit))
    # Light varies slowly: a small picture takes it from every second point.
    step = 2 if detail == 1 else 1
    coarse = np.ascontiguousarray(turned[::step, ::step])
    normal = light.normals(coarse, *heads.slope_rows(step), True)
    falling = canvas.light_on(coarse, normal, _SKIN_WRAP, 16.0)
    base = heads.identity_texture(who, detail)
    texture = appearance.paint_moment(base, who, actions, face.beard, hair_of(face), detail)
    eyes, teeth = heads.eyes_and_teeth(face, seen.rotation)
    shade_head(
        places,
        texture,
        detail,
        falling,
        step,
        head,
        heads.grid_constants()[1],
        eyes,
        np.array(who.iris, dtype=np.float32),
        np.float32(who.iris_radius),
        teeth,
        np.float32(0.085),
        canvas.colour,
        canvas.cover,
    )
    return places, head


@cache
def _face_region() -> tuple[int, int, int]:
    """Return the first and last row of the face and how many columns it spans to each side."""
    half = int(np.searchsorted(g.head_grid().angle[g.MIDDLE :], np.radians(_FACE_DEGREES)))
    first, last = (round(g.row_at(height)) for height in _FACE_HEIGHTS)
    return first, last, half


@compiled
def mean_over_face(places: F32, veil: F32, first: int, last: int, half: int) -> float:
    """Return the mean of ``veil`` over the samples that show the face, 0 if none does."""
    total, count = 0.0, 0
    middle = g.MIDDLE
    for i in range(veil.shape[0]):
        for j in range(veil.shape[1]):
            row = places[i, j, 1]
            if first < row < last and abs(places[i, j, 0] - middle) < half:
                total += veil[i, j]
                count += 1
    return total / count if count else 0.0


def _draw_body(canvas: Canvas, face: FaceParameters, seen: View) -> None:
    skin = np.array(face.identity.skin)
    # Long hair falls over the ears.
    ears = heads.identity_ears(face.identity) if hair_of(face).length <= 0.3 else ()
    for points, keeps in ears:
        tone = skin * np.array([1.0, 0.88, 0.88])
        canvas.draw(points @ seen.rotation.T, tone * keeps[..., None], wrap=_SKIN_WRAP, shine=0.03)
    turned = rotation_from_angles(face.pose.body_yaw, 0.0, 0.0)
    points, keeps = body.neck(seen.rotation, turned, 0.55)
    colour = skin * keeps[..., None]
    if face.clothes.collar == "high":
        share = g.ramp((np.linspace(0, 1, body.NECK_ROWS) - 0.42) / 0.08)[:, None, None]
        colour = colour + (np.array(face.clothes.colour) - colour) * share
    canvas.draw(points, colour, wrap=_SKIN_WRAP, sides=(rasteriser.FRONT,))
    points, colour = body.torso(turned, face.clothes, skin * 0.95)
    canvas.draw(points, colour, sides=(rasteriser.FRONT,))


def _draw_occluder(canvas: Canvas, face: FaceParameters, seen: View, head: F32, veil: F32) -> None:
    what = face.occluder
    if what.kind in ("none", "hair"):
        return
    if what.kind in ("glasses", "sunglasses"):
        sheets = occluders.spectacles(heads.rest_head(face.identity), seen.rotation, what)
    elif what.kind == "surgical_mask":
        sheets = occluders.surgical_mask(head, seen.rotation, what)
    elif what.kind == "scarf":
        sheets = occluders.scarf(head, seen.rotation, what)
    elif what.kind == "hand":
        sheets = occluders.hand(head, seen.rotation, what, face.identity.skin)
    else:
        sheets = occluders.box(seen.flat_box, canvas.distance, what)
    for sheet in sheets:
        canvas.draw(sheet.points, sheet.colour, sheet.opacity, lit=sheet.lit, cover=veil)


def hair_of(face: FaceParameters) -> Hair:
    """Return the hair of the picture; as an occluder it falls into the face, further with severity."""
    if face.occluder.kind != "hair":
        return face.hair
    fringe = 0.30 + 0.75 * face.occluder.severity
    thick = max(face.hair.thickness, 0.07)
    return replace(face.hair, fringe=fringe, thickness=thick, baldness=0.0)


def _draw_hair(canvas: Canvas, face: FaceParameters, seen: View, veil: F32) -> None:
    worn = hair_of(face)
    points, opacity, strand = hair_shell(*heads.identity_scalp(face.identity), worn)
    free = worn.fringe > 0 or worn.length > 0.3
    canvas.draw(
        points @ seen.rotation.T,
        np.array(worn.colour),
        opacity,
        shine=0.05,
        gloss=7.0,
        strand=strand,
        fray=1.0 if free else 0.6,
        # The inside of hair is seen only where it hangs free of the head.
        sides=(rasteriser.BACK, rasteriser.FRONT) if free else (rasteriser.FRONT,),
        opaque=False,
        cover=veil,
    )


def _visible(points: Floats, depth: Floats, nearest: F32, hidden: F32, size: int) -> npt.NDArray[np.bool_]:
    """Return (68,) whether a point is seen at some sample within one sample of its place."""
    place = np.rint(points * SAMPLES + (SAMPLES - 1) / 2).astype(int)
    inside = ((points > -0.5) & (points < size - 0.5)).all(axis=1)
    around = np.clip(place[:, None] + _NEIGHBOURS, 0, nearest.shape[0] - 1)
    x, y = around[..., 0], around[..., 1]
    # On the outline the surface falls away within a sample.
    tolerance = np.where(np.arange(len(points)) < 17, 3 * DEPTH_TOLERANCE, DEPTH_TOLERANCE)
    shown = (nearest[y, x] >= (depth - tolerance)[:, None]) & (hidden[y, x] < 0.5)
    return np.asarray(shown.any(axis=1) & inside)
