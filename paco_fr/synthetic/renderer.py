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

from paco_fr.rotation import rotation_from_angles
from paco_fr.synthetic import appearance, body, expression, hair, identity, landmarks, light, occluders, rasteriser
from paco_fr.synthetic import geometry as g
from paco_fr.synthetic.background import draw_background
from paco_fr.synthetic.camera import Camera, apply_affine, flatten, framing_camera
from paco_fr.synthetic.compiled import compiled
from paco_fr.synthetic.parameters import FaceParameters, Identity
from paco_fr.synthetic.shading import BALL_RADIUS, shade_head

F32 = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

SAMPLES = 2
"""Samples a pixel along each side."""
_FAR = np.float32(1e9)
DEPTH_TOLERANCE = 0.045
"""A landmark this far (head units) behind the nearest surface still counts as lying on it."""
_SKIN_WRAP = np.array([0.28, 0.14, 0.10], dtype=np.float32)
_PLAIN_WRAP = np.array([0.10, 0.10, 0.10], dtype=np.float32)
_FACE_ROWS = (26, g.ROWS - 8)
_FACE_DEGREES = 66.0


@dataclass(frozen=True)
class RenderedFace:
    """A picture with its truth. Points are in output pixels, the centre of the top-left pixel is (0, 0).

    Attributes:
        image: (size, size, 3) uint8 sRGB.
        landmarks: (68, 2) float32 in iBUG order; jaw points on the visible contour (see landmarks).
        visible: (68,) False where head, hair or occluder hides a point or it lies outside the picture.
        rotation: (3, 3) float64 by :mod:`paco_fr.rotation`, of the head in the photo (a rotated crop does
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


def view(face: FaceParameters) -> View:
    """Return camera and landmarks of a face without drawing it."""
    pose, frame = face.pose, face.framing
    rotation = rotation_from_angles(pose.yaw, pose.pitch, pose.roll)
    points = landmarks.head_points(np.array(face.identity.shape), np.array(face.actions), face.asymmetry) @ rotation.T
    contour = landmarks.visible_contour(points, flatten(points, frame.distance), pose.roll)
    flat = flatten(contour, frame.distance)
    camera = framing_camera(flat, frame.distance, frame.photo_size, frame.framing, frame.shift)
    flat_box = np.concatenate([flat.min(axis=0), flat.max(axis=0)])
    return View(rotation, camera, camera.project(contour), contour[:, 2], flat_box)


def photo_landmarks(face: FaceParameters) -> Floats:
    """Return the (68, 2) landmarks in photo pixels: all that an alignment needs, at no drawing cost."""
    return view(face).landmarks


@cache
def _grid_constants() -> tuple[F32, F32, F32, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return mean points, face coordinates with lid edges, side field, and the rows that slopes use."""
    head = g.head_grid()
    face = np.stack([head.across, head.down, g.upper_lid(head.across), g.lower_lid(head.across)], axis=-1)
    above = np.maximum(np.arange(g.ROWS) - 1, 0)
    below = np.minimum(np.arange(g.ROWS) + 1, g.ROWS - 1)
    # The lips' edges take their slope from the lip, not across the opening of the mouth.
    below[g.UPPER_LIP_ROW] = g.UPPER_LIP_ROW
    above[g.LOWER_LIP_ROW] = g.LOWER_LIP_ROW
    side = expression.side_field().astype(np.float32)
    return head.points.astype(np.float32), face.astype(np.float32), side, above, below


@compiled
def add_scaled(base: F32, fields: F32, strengths: F32) -> F32:
    """Return base (R, C, 3) plus the sum of fields (K, R, C, 3) by their strengths (K,)."""
    out = base.copy()
    for k in range(fields.shape[0]):
        s = strengths[k]
        if s == 0:
            continue
        for r in range(base.shape[0]):
            for c in range(base.shape[1]):
                for d in range(3):
                    out[r, c, d] += s * fields[k, r, c, d]
    return out


@compiled
def add_actions(base: F32, fields: F32, strengths: F32, side: F32, asymmetry: float) -> F32:
    """Return base (R, C, 3) plus actions (K, R, C, 3) by their strengths, uneven between the sides."""
    moved = add_scaled(np.zeros_like(base), fields, strengths)
    for r in range(base.shape[0]):
        for c in range(base.shape[1]):
            factor = np.float32(1.0) + np.float32(asymmetry) * side[r, c]
            for d in range(3):
                moved[r, c, d] = base[r, c, d] + factor * moved[r, c, d]
    return moved


@lru_cache(maxsize=256)
def rest_head(who: Identity) -> F32:
    """Return (ROWS, COLUMNS, 3) the head of a person without expression, in the head frame."""
    return add_scaled(_grid_constants()[0], identity.shape_basis(), np.array(who.shape, dtype=np.float32))


@lru_cache(maxsize=64)
def identity_texture(who: Identity, detail: int) -> F32:
    """Return the person's skin, painted once for all pictures of an identity."""
    return appearance.paint_identity(who, detail)


@compiled
def to_camera(points: F32, rotation: F32) -> F32:
    """Return rotated points (R, C, 3)."""
    out = np.empty_like(points)
    for r in range(points.shape[0]):
        for c in range(points.shape[1]):
            for k in range(3):
                out[r, c, k] = (
                    rotation[k, 0] * points[r, c, 0] + rotation[k, 1] * points[r, c, 1] + rotation[k, 2] * points[r, c, 2]
                )
    return out


@compiled
def to_screen(points: F32, distance: float, matrix: F32) -> F32:
    """Return (R, C, 3) sample x, y and depth; ``matrix`` (2, 3) maps flattened head units to samples."""
    out = np.empty_like(points)
    far = np.float32(distance)
    for r in range(points.shape[0]):
        for c in range(points.shape[1]):
            k = far / (far + points[r, c, 2])
            x, y = points[r, c, 0] * k, points[r, c, 1] * k
            out[r, c, 0] = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]
            out[r, c, 1] = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]
            out[r, c, 2] = points[r, c, 2]
    return out


class Canvas:
    """Sample buffers of one picture, the light that falls into it and the map into it."""

    def __init__(self, face: FaceParameters, seen: View, size: int, to_output: Floats | None) -> None:
        lighting = face.lighting
        count = size * SAMPLES
        camera = seen.camera
        photo = np.array([[camera.scale, 0, camera.centre[0]], [0, camera.scale, camera.centre[1]]])
        output = photo if to_output is None else compose(to_output, photo)
        self.matrix = (output * SAMPLES + np.array([[0, 0, 1], [0, 0, 1]]) * (SAMPLES - 1) / 2).astype(np.float32)
        self.distance = camera.distance
        self.depth = np.full((count, count), _FAR, dtype=np.float32)
        self.colour = np.zeros((count, count, 3), dtype=np.float32)
        self.cover = np.zeros((count, count), dtype=np.float32)
        self.direction = np.array(lighting.direction, dtype=np.float32)
        self.key = np.array(lighting.key, dtype=np.float32)
        self.ambient = np.array(lighting.ambient, dtype=np.float32)
        self.shadow: light.Shadow

    def screen(self, points: F32) -> F32:
        """Return samples and depth of camera-frame points."""
        return to_screen(points, self.distance, self.matrix)

    def light_on(self, points: F32, normal: F32, wrap: F32, gloss: float) -> F32:
        """Return (R, C, 4) light on a mesh."""
        return light.irradiance(
            points, normal, self.direction, self.key, self.ambient, wrap, gloss, self.shadow.axes, self.shadow.depth
        )

    def draw(
        self,
        points: Floats | F32,
        colour: Floats | F32,
        opacity: Floats | F32 | float = 1.0,
        *,
        wrap: F32 = _PLAIN_WRAP,
        shine: float = 0.0,
        gloss: float = 12.0,
        lit: bool = True,
        opaque: bool = True,
        strand: F32 | None = None,
        sides: tuple[int, ...] = (rasteriser.BOTH,),
        cover: F32 | None = None,
    ) -> None:
        """Light a mesh (R, C, 3) of given albedo and draw it over what is there."""
        mesh = np.ascontiguousarray(points, dtype=np.float32)
        rows = np.arange(mesh.shape[0])
        paint = np.zeros((*mesh.shape[:2], 5), dtype=np.float32)
        paint[..., :3] = colour
        if lit:
            normal = light.normals(mesh, np.maximum(rows - 1, 0), np.minimum(rows + 1, rows[-1]), False)
            # Both sides of a sheet are lit as they are seen.
            normal *= np.where(normal[..., 2:] > 0, np.float32(-1), np.float32(1))
            falling = self.light_on(mesh, normal, wrap, gloss)
            paint[..., :3] = paint[..., :3] * falling[..., :3] + np.float32(shine) * falling[..., 3:]
        paint[..., 3] = opacity
        fray = 0.0
        if strand is not None:
            paint[..., 4] = strand
            fray = 1.0
        on_screen = self.screen(mesh)
        for side in sides:
            rasteriser.draw_coloured(
                on_screen, paint, side, _strands(), fray, self.depth, self.colour,
                self.cover if cover is None else cover, opaque,
            )  # fmt: skip


@cache
def _strands() -> F32:
    return hair.strand_pattern()


def compose(outer: npt.ArrayLike, inner: Floats) -> Floats:
    """Return the (2, 3) affine map that applies ``inner`` and then ``outer``."""
    first, second = np.vstack([inner, [0, 0, 1]]), np.asarray(outer, dtype=np.float64)
    return np.asarray(second @ first)


def invert(matrix: Floats | None) -> Floats:
    """Return the inverse (2, 3) of an affine map; None is the identity."""
    if matrix is None:
        return np.eye(3)[:2]
    return np.asarray(np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))[:2])


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
    canvas = Canvas(face, seen, size, crop)

    places, faced, head = _draw_head(canvas, face, seen)
    _draw_body(canvas, face, seen)
    veil = np.zeros_like(canvas.cover)
    _draw_occluder(canvas, face, seen, head, veil)
    canvas.cover = 1 - (1 - canvas.cover) * (1 - veil)
    hair_veil = np.zeros_like(veil)
    opaque_depth = canvas.depth
    _draw_hair(canvas, face, seen, hair_veil)
    canvas.cover = 1 - (1 - canvas.cover) * (1 - hair_veil)

    behind = draw_background(face.background, size, invert(crop), face.framing.photo_size)
    behind *= np.float32(0.85 * np.mean(canvas.ambient) + 0.35 * np.mean(canvas.key))
    noise = np.random.default_rng(face.lighting.noise_seed).standard_normal((size, size, 3), dtype=np.float32)
    image = develop(canvas.colour, canvas.cover, behind, noise, np.float32(face.lighting.exposure),
                    np.float32(face.lighting.noise), _srgb_table())  # fmt: skip

    points = apply_affine(crop, seen.landmarks)
    hidden = 1 - (1 - veil) * (1 - hair_veil)
    visible = _visible(points, seen.depth, opaque_depth, hidden, size)
    counted = hair_veil if face.occluder.kind == "hair" else veil
    coverage = float(counted[faced].mean()) if faced.any() else 0.0
    box = np.concatenate([points.min(axis=0), points.max(axis=0)])
    return RenderedFace(
        image, points.astype(np.float32), visible, seen.rotation, box.astype(np.float32), round(coverage, 4)
    )


def _draw_head(canvas: Canvas, face: FaceParameters, seen: View) -> tuple[F32, npt.NDArray[np.bool_], F32]:
    """Draw the head; return the place that each sample shows, which samples show the face, and the head."""
    mean, coordinates, side, above, below = _grid_constants()
    who = face.identity
    rest = rest_head(who)
    actions = np.array(face.actions, dtype=np.float32)
    head = add_actions(rest, expression.action_basis(), actions, side, np.float32(face.asymmetry))
    turned = to_camera(head, seen.rotation.astype(np.float32))
    canvas.shadow = light.cast_shadow(np.ascontiguousarray(turned[::2, ::2]), canvas.direction)
    normal = light.normals(turned, above, below, True)
    falling = canvas.light_on(turned, normal, _SKIN_WRAP, 16.0)
    places = np.full((*canvas.depth.shape, 2), -1, dtype=np.float32)
    rasteriser.draw_places(canvas.screen(turned), canvas.depth, places)

    samples_per_unit = float(np.sqrt(abs(np.linalg.det(canvas.matrix[:, :2]))))
    detail = appearance.detail_for(int(samples_per_unit))
    base = identity_texture(who, detail)
    texture = appearance.paint_moment(base, who, actions, face.beard, hair_of(face), detail)
    eyes, teeth = _eyes_and_teeth(rest, face, seen)
    shade_head(places, texture, detail, falling, head, coordinates, eyes, np.array(who.iris, dtype=np.float32),
               np.float32(who.iris_radius), teeth, np.float32(0.085), canvas.colour, canvas.cover)  # fmt: skip
    angle = np.degrees(np.abs(g.head_grid().angle))
    low, high = np.searchsorted(angle[: g.MIDDLE][::-1], _FACE_DEGREES), 0
    faced = (np.abs(places[..., 0] - g.MIDDLE) < low + high) & (places[..., 1] > _FACE_ROWS[0])
    faced &= places[..., 1] < _FACE_ROWS[1]
    return places, faced, head


def _eyes_and_teeth(rest: F32, face: FaceParameters, seen: View) -> tuple[F32, F32]:
    """Return eyes (2, 6) and teeth (2,) as :func:`shading.shade_head` wants them."""
    eyes = np.zeros((2, 6))
    gaze = np.radians(face.gaze)
    to_light = seen.rotation.T @ np.array(face.lighting.direction)
    to_viewer = seen.rotation.T @ np.array([0.0, 0.0, -1.0])
    half = to_light + to_viewer
    half /= max(float(np.linalg.norm(half)), 1e-6)
    for index, sign in ((0, -1), (1, 1)):
        column, row = np.rint(g.grid_place(np.array(sign * g.EYE[0]), np.array(0.0))).astype(int)
        iris = BALL_RADIUS * np.sin(gaze)
        eyes[index, :2] = rest[row, column, :2] + [0.0, -0.006]
        eyes[index, 2:4] = iris
        eyes[index, 4:6] = iris * 0.5 + 0.07 * half[:2]
    teeth = rest[g.UPPER_LIP_ROW, g.MIDDLE, [1, 0]] + np.array([0.042, 0.0])
    return eyes.astype(np.float32), teeth.astype(np.float32)


def _draw_body(canvas: Canvas, face: FaceParameters, seen: View) -> None:
    rest = rest_head(face.identity)
    skin = np.array(face.identity.skin)
    for side in (-1, 1):
        points, keeps = body.ear(rest, side)
        tone = skin * np.array([1.0, 0.88, 0.88])
        canvas.draw(points @ seen.rotation.T, tone * keeps[..., None], wrap=_SKIN_WRAP, shine=0.03)
    turned = rotation_from_angles(face.pose.body_yaw, 0.0, 0.0)
    points, keeps = body.neck(seen.rotation, turned, 0.55)
    colour = skin * keeps[..., None]
    if face.clothes.collar == "high":
        share = g.ramp((np.linspace(0, 1, body.NECK_ROWS) - 0.42) / 0.08)[:, None, None]
        colour = colour + (np.array(face.clothes.colour) - colour) * share
    canvas.draw(points, colour, wrap=_SKIN_WRAP)
    points, colour = body.torso(turned, face.clothes, skin * 0.95)
    canvas.draw(points, colour)


def _draw_occluder(canvas: Canvas, face: FaceParameters, seen: View, head: F32, veil: F32) -> None:
    what = face.occluder
    if what.kind in ("none", "hair"):
        return
    if what.kind in ("glasses", "sunglasses"):
        sheets = occluders.spectacles(rest_head(face.identity), seen.rotation, what)
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


def hair_of(face: FaceParameters) -> hair.Hair:
    """Return the hair of the picture; as an occluder it falls into the face, further with severity."""
    if face.occluder.kind != "hair":
        return face.hair
    fringe = 0.30 + 0.75 * face.occluder.severity
    thick = max(face.hair.thickness, 0.07)
    return replace(face.hair, fringe=fringe, thickness=thick, baldness=0.0)


def _draw_hair(canvas: Canvas, face: FaceParameters, seen: View, veil: F32) -> None:
    worn = hair_of(face)
    points, opacity, strand = hair.hair_shell(rest_head(face.identity), worn)
    turned = to_camera(points, seen.rotation.astype(np.float32))
    canvas.draw(turned, np.array(worn.colour), opacity, shine=0.05, gloss=7.0, strand=strand,
                sides=(rasteriser.BACK, rasteriser.FRONT), opaque=False, cover=veil)  # fmt: skip


def _visible(
    points: Floats, depth: Floats, nearest: F32, hidden: F32, size: int
) -> npt.NDArray[np.bool_]:
    """Return (68,) whether a point is seen at some sample within one sample of its place."""
    place = np.rint(points * SAMPLES + (SAMPLES - 1) / 2).astype(int)
    inside = ((points > -0.5) & (points < size - 0.5)).all(axis=1)
    seen = np.zeros(len(points), dtype=bool)
    # On the outline the surface falls away within a sample.
    tolerance = np.where(np.arange(len(points)) < 17, 3 * DEPTH_TOLERANCE, DEPTH_TOLERANCE)
    last = nearest.shape[0] - 1
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            x, y = np.clip(place[:, 0] + dx, 0, last), np.clip(place[:, 1] + dy, 0, last)
            seen |= (nearest[y, x] >= depth - tolerance) & (hidden[y, x] < 0.5)
    return seen & inside


@cache
def _srgb_table() -> F32:
    """Return sRGB 0..255 of 4,097 evenly spaced square roots of linear light 0..1."""
    x = (np.arange(4097) / 4096) ** 2
    return np.asarray(255 * np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055), dtype=np.float32)


@compiled
def develop(
    colour: F32, cover: F32, behind: F32, noise: F32, exposure: float, grain: float, table: F32
) -> npt.NDArray[np.uint8]:
    """Average the samples over the background, expose, encode as sRGB and add sensor noise."""
    size = behind.shape[0]
    out = np.empty((size, size, 3), dtype=np.uint8)
    share = np.float32(1.0 / (SAMPLES * SAMPLES))
    for i in range(size):
        for j in range(size):
            for k in range(3):
                total = np.float32(0.0)
                for a in range(SAMPLES):
                    for b in range(SAMPLES):
                        y, x = i * SAMPLES + a, j * SAMPLES + b
                        total += colour[y, x, k] + (np.float32(1.0) - cover[y, x]) * behind[i, j, k]
                value = min(max(total * share * exposure, np.float32(0.0)), np.float32(1.0))
                encoded = table[int(np.sqrt(value) * np.float32(4096) + np.float32(0.5))]
                encoded += grain * np.float32(255) * noise[i, j, k]
                out[i, j, k] = np.uint8(min(max(encoded + np.float32(0.5), np.float32(0.0)), np.float32(255.0)))
    return out
