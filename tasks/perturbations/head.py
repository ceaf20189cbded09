"""The mean head fitted to landmarks: pose, normals and depth for every pixel of the face.

The renderer's mean head (:mod:`paco_fr.synthetic.shape.geometry`) is posed by a scaled orthographic camera: the
affine camera of least squares through the known points (Ullman and Basri 1991), made orthonormal by an SVD,
then the head's width and height fitted again under that rotation. All inner points of the 68-point scheme are
used; of other schemes the five points that they share. Jaw points are not: they slide along the contour.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import numpy.typing as npt

from paco_fr.faces.landmarks import FIVE_POINTS, five_points
from paco_fr.synthetic.rendering import light, rasteriser
from paco_fr.synthetic.shape import expression, identity, landmarks
from paco_fr.synthetic.shape import geometry as g
from paco_fr.utils.errors import PacoError
from paco_fr.utils.jit import compiled
from paco_fr.utils.types import Array
from tasks.perturbations.linear import F32

STEP = 2
"""Every second row and column of the renderer's grid: enough for light and depth."""
FAR = np.float32(1e9)
LEAST_EXTENT = 2.0
"""Pixels that eyes, nose and mouth must spread over."""


@dataclass(frozen=True)
class Head:
    """A posed mean head on a canvas.

    Attributes:
        rotation: (3, 3) head to camera frame, signs by :mod:`paco_fr.faces.rotation`.
        stretch: (3,) canvas pixels per head unit of 10 cm along the head's own axes.
        shift: (2,) canvas pixel of the head's origin.
        side: of the canvas.

    """

    rotation: Array
    stretch: Array
    shift: Array
    side: int

    def to_camera(self, points: npt.NDArray[np.floating]) -> F32:
        """Return head-frame points (..., 3) turned into the camera frame, in pixels around the head's origin."""
        return ((points * self.stretch) @ self.rotation.T).astype(np.float32)

    def to_canvas(self, points: npt.NDArray[np.floating]) -> F32:
        """Return x, y in canvas pixels and depth in pixels of head-frame points (..., 3)."""
        seen = self.to_camera(points)
        seen[..., :2] += self.shift.astype(np.float32)
        return seen

    def place(self, face_coordinates: tuple[tuple[float, float], ...]) -> Array:
        """Return canvas pixels (N, 2) of N places (across, down) on the mean face."""
        return self.to_canvas(surface_points(face_coordinates))[:, :2].astype(np.float64)

    @cached_property
    def surface(self) -> Surface:
        """What each pixel shows of the head."""
        points, _ = mean_surface()
        screen = self.to_canvas(points)
        depth = np.full((self.side, self.side), FAR, dtype=np.float32)
        places = np.full((self.side, self.side, 2), -1, dtype=np.float32)
        rasteriser.draw_places(screen, depth, places)
        return Surface(screen, places, depth, places[..., 0] >= 0)


@dataclass(frozen=True)
class Surface:
    """The head on a canvas: grid points (R, C, 3), grid place (S, S, 2) and depth (S, S) of every pixel, and
    which pixels show the head.
    """

    screen: F32
    places: F32
    depth: F32
    shown: npt.NDArray[np.bool_]

    def sample(self, field: F32) -> F32:
        """Return (S, S, D) values of a field (R, C, D) on the grid, 0 outside the head."""
        return sample_grid(np.ascontiguousarray(field, dtype=np.float32), self.places)

    def normals(self) -> F32:
        """Return (S, S, 3) unit normals in the camera frame, -z toward the viewer; 0 outside the head."""
        found = self.sample(grid_normals(self.screen))
        length = np.linalg.norm(found, axis=-1, keepdims=True)
        return np.where(self.shown[..., None], found / np.maximum(length, np.float32(1e-6)), np.float32(0))


def grid_normals(points: F32) -> F32:
    """Return (R, C, 3) unit normals of a grid that closes around the head."""
    rows = np.arange(points.shape[0])
    above, below = np.maximum(rows - 1, 0), np.minimum(rows + 1, rows[-1])
    return light.normals(np.ascontiguousarray(points, dtype=np.float32), above, below, True)


@compiled
def sample_grid(field: F32, places: F32) -> F32:
    """Return (H, W, D) values of a field (R, C, D), bilinear at places (column, row); 0 where negative."""
    height, width = places.shape[:2]
    rows, columns, depth = field.shape
    out = np.zeros((height, width, depth), dtype=np.float32)
    for y in range(height):
        for x in range(width):
            if places[y, x, 0] < 0:
                continue
            c, r = min(int(places[y, x, 0]), columns - 2), min(int(places[y, x, 1]), rows - 2)
            u, v = places[y, x, 0] - np.float32(c), places[y, x, 1] - np.float32(r)
            for k in range(depth):
                top = field[r, c, k] * (np.float32(1) - u) + field[r, c + 1, k] * u
                low = field[r + 1, c, k] * (np.float32(1) - u) + field[r + 1, c + 1, k] * u
                out[y, x, k] = top * (np.float32(1) - v) + low * v
    return out


@cache
def mean_surface() -> tuple[F32, F32]:
    """Return the mean head's points (R, C, 3) and face coordinates (R, C, 2), thinned."""
    head = g.head_grid()
    rows = np.unique([*range(0, g.ROWS, STEP), g.ROWS - 1])
    columns = np.unique([*range(0, g.COLUMNS, STEP), g.COLUMNS - 1])
    grid = np.ix_(rows, columns)
    face = np.stack([head.across[grid], head.down[grid]], axis=-1)
    return head.points[grid].astype(np.float32), face.astype(np.float32)


@cache
def surface_points(face_coordinates: tuple[tuple[float, float], ...]) -> Array:
    """Return (N, 3) points of the mean head at N places (across, down)."""
    place = np.rint(g.grid_place(*np.array(face_coordinates).T)).astype(int)
    return np.asarray(g.head_grid().points[place[:, 1], place[:, 0]], dtype=np.float64)


@cache
def mean_points() -> Array:
    """Return (68, 3) the mean head's points in iBUG order, jaw points where they start beside the ears."""
    found = landmarks.head_points(
        np.zeros(len(identity.shape_names())), np.zeros(len(expression.ACTIONS)), 0.0
    )
    jaw = found[: 17 * landmarks.PATH_STEPS].reshape(17, landmarks.PATH_STEPS, 3)[:, 0]
    return np.concatenate([jaw, found[17 * landmarks.PATH_STEPS :]])


def fit_head(points: npt.NDArray[np.floating], scheme: str, side: int) -> Head:
    """Return the mean head posed to landmarks (L, 2) in canvas pixels.

    Raises:
        PacoError: unknown scheme, too few points, one of the five points is not finite, or they coincide.

    """
    if scheme == "ibug68" and points.shape == (68, 2) and np.isfinite(points).all():
        seen, model = np.asarray(points[17:], dtype=np.float64), mean_points()[17:]
    else:
        seen, model = five_points(points, scheme), _mean_five()
    if np.ptp(seen, axis=0).max() < LEAST_EXTENT:
        raise PacoError("The landmarks of this picture coincide: no head can be fitted to them.")
    rotation = _rotation(seen, model)
    return _scaled(seen, model, rotation, side)


@cache
def _mean_five() -> Array:
    return five_points_3d(mean_points())


def five_points_3d(points: Array) -> Array:
    """Return (5, 3) eyes, nose tip and mouth corners of 68 points (68, 3)."""
    return np.stack([points[list(group)].mean(axis=0) for group in FIVE_POINTS["ibug68"]])


def _rotation(seen: Array, model: Array) -> Array:
    """Return the rotation of the orthonormal camera nearest to the affine one of least squares."""
    camera, *_ = np.linalg.lstsq(model - model.mean(axis=0), seen - seen.mean(axis=0), rcond=None)
    u, _, v = np.linalg.svd(camera.T, full_matrices=False)
    first, second = u @ v
    return np.stack([first, second, np.cross(first, second)])


def _scaled(seen: Array, model: Array, rotation: Array, side: int) -> Head:
    """Fit width and height of the head under a rotation; its depth is their mean."""
    part = rotation[:2].T[None] * model[:, :, None]  # (K, 3, 2): what each axis adds to x and y per unit
    wide, tall = part[:, 0] + part[:, 2] / 2, part[:, 1] + part[:, 2] / 2
    columns = np.stack([wide, tall], axis=-1)
    centred = (columns - columns.mean(axis=0)).reshape(-1, 2)
    target = (seen - seen.mean(axis=0)).reshape(-1)
    scale = _one_scale(rotation, model, seen)
    # The data speak against a prior of one scale for both, which decides where a view shows one axis edge-on.
    weight = 0.15 * np.linalg.norm(centred, axis=None)
    rows = np.concatenate([centred, weight * np.eye(2)])
    found, *_ = np.linalg.lstsq(rows, np.concatenate([target, weight * np.full(2, scale)]), rcond=None)
    x, y = np.clip(found, 0.75 * scale, 1.3 * scale)
    stretch = np.array([x, y, (x + y) / 2])
    shift = seen.mean(axis=0) - ((model * stretch) @ rotation.T)[:, :2].mean(axis=0)
    return Head(rotation, stretch, shift, side)


def _one_scale(rotation: Array, model: Array, seen: Array) -> float:
    flat = ((model - model.mean(axis=0)) @ rotation.T)[:, :2]
    target = seen - seen.mean(axis=0)
    return float(max((flat * target).sum() / (flat**2).sum(), 1e-6))
