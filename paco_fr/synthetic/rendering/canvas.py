"""The sample buffers of one picture: meshes are lit and drawn into them, then developed into pixels.

Buffers hold linear light at :data:`SAMPLES` samples a pixel along each side.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from paco_fr.synthetic.head import hair
from paco_fr.synthetic.parameters import Lighting
from paco_fr.synthetic.rendering import light, rasteriser
from paco_fr.synthetic.rendering.camera import Camera
from paco_fr.utils.jit import compiled

F32 = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

SAMPLES = 2
"""Samples a pixel along each side."""
PLAIN_WRAP = np.array([0.10, 0.10, 0.10], dtype=np.float32)
"""How far light creeps past the terminator on cloth and hair, per colour."""
_FAR = np.float32(1e9)


@compiled
def to_camera(points: F32, rotation: F32) -> F32:
    """Return rotated points (R, C, 3)."""
    out = np.empty_like(points)
    for r in range(points.shape[0]):
        for c in range(points.shape[1]):
            for k in range(3):
                out[r, c, k] = (
                    rotation[k, 0] * points[r, c, 0]
                    + rotation[k, 1] * points[r, c, 1]
                    + rotation[k, 2] * points[r, c, 2]
                )
    return out


@compiled
def to_screen(points: F32, distance: np.float32, matrix: F32) -> F32:
    """Return (R, C, 3) sample x, y and depth; ``matrix`` (2, 3) maps flattened head units to samples."""
    out = np.empty_like(points)
    for r in range(points.shape[0]):
        for c in range(points.shape[1]):
            k = distance / (distance + points[r, c, 2])
            x, y = points[r, c, 0] * k, points[r, c, 1] * k
            out[r, c, 0] = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]
            out[r, c, 1] = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]
            out[r, c, 2] = points[r, c, 2]
    return out


class Canvas:
    """Sample buffers of one picture, the light that falls into it and the map into it."""

    def __init__(self, lighting: Lighting, camera: Camera, size: int, to_output: Floats) -> None:
        count = size * SAMPLES
        photo = np.array([[camera.scale, 0, camera.centre[0]], [0, camera.scale, camera.centre[1]]])
        output = compose(to_output, photo)
        self.matrix = (output * SAMPLES + np.array([[0, 0, 1], [0, 0, 1]]) * (SAMPLES - 1) / 2).astype(
            np.float32
        )
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
        return to_screen(points, np.float32(self.distance), self.matrix)

    def light_on(self, points: F32, normal: F32, wrap: F32, gloss: float) -> F32:
        """Return (R, C, 4) light on a mesh."""
        return light.irradiance(
            points,
            normal,
            self.direction,
            self.key,
            self.ambient,
            wrap,
            np.float32(gloss),
            self.shadow.axes,
            self.shadow.depth,
        )

    def draw(
        self,
        points: Floats | F32,
        colour: Floats | F32,
        opacity: Floats | F32 | float = 1.0,
        *,
        wrap: F32 = PLAIN_WRAP,
        shine: float = 0.0,
        gloss: float = 12.0,
        lit: bool = True,
        opaque: bool = True,
        strand: Floats | None = None,
        fray: float = 0.0,
        sides: tuple[int, ...] = (rasteriser.BOTH,),
        cover: F32 | None = None,
    ) -> None:
        """Light a mesh (R, C, 3) of given albedo and draw it over what is there."""
        mesh = np.ascontiguousarray(points, dtype=np.float32)
        shape = mesh.shape[:2]
        if lit:
            rows = np.arange(shape[0])
            normal = light.normals(mesh, np.maximum(rows - 1, 0), np.minimum(rows + 1, rows[-1]), False)
            light.face_viewer(normal)
            falling = self.light_on(mesh, normal, wrap, gloss)
        else:
            falling = np.ones((*shape, 4), dtype=np.float32)
        paint = light.paint_of(
            np.broadcast_to(np.asarray(colour, dtype=np.float32), mesh.shape),
            falling,
            np.float32(shine),
            np.broadcast_to(np.asarray(opacity, dtype=np.float32), shape),
            np.broadcast_to(np.asarray(0.0 if strand is None else strand, dtype=np.float32), shape),
        )
        on_screen = self.screen(mesh)
        for side in sides:
            rasteriser.draw_coloured(
                on_screen,
                paint,
                side,
                _strands(),
                fray,
                self.depth,
                self.colour,
                self.cover if cover is None else cover,
                opaque,
            )


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


@compiled
def lay_over(below: F32, above: F32) -> None:
    """Put a layer's opacity (H, W) over that of what is below, in place."""
    for i in range(below.shape[0]):
        for j in range(below.shape[1]):
            below[i, j] += (np.float32(1.0) - below[i, j]) * above[i, j]


@cache
def srgb_table() -> F32:
    """Return sRGB 0..255 of 4,097 evenly spaced square roots of linear light 0..1."""
    x = (np.arange(4097) / 4096) ** 2
    return np.asarray(
        255 * np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055), dtype=np.float32
    )


@compiled
def develop(
    colour: F32, cover: F32, behind: F32, noise: F32, exposure: np.float32, grain: np.float32, table: F32
) -> npt.NDArray[np.uint8]:
    """Average the samples over the background, expose, encode as sRGB and add sensor noise.

    ``noise`` (size, size, 3) is even over 0..1; ``grain`` is the deviation that it gets, as a share of white.
    """
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
                encoded += grain * np.float32(255 * 12**0.5) * (noise[i, j, k] - np.float32(0.5))
                out[i, j, k] = np.uint8(
                    min(max(encoded + np.float32(0.5), np.float32(0.0)), np.float32(255.0))
                )
    return out
