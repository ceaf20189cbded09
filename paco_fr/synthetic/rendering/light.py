"""Light on grid meshes: one far light with a soft cast shadow, and a surround that is brighter above.

Everything is linear light in the camera frame. The shadow is a depth map of the head as the light sees
it; a point is lit by the smooth share of nine neighbouring cells that do not lie clearly before it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from paco_fr.synthetic.rendering.rasteriser import F32, draw_places
from paco_fr.utils.jit import compiled

MAP_CELLS = 48
MAP_REACH = 1.55
"""Half side of the shadow map in head units: the whole head."""
_EMPTY = np.float32(1e9)


@dataclass(frozen=True)
class Shadow:
    """Depth of the head seen from the light: ``axes`` rows are the map's x, y and the viewing axis."""

    axes: F32
    depth: F32


def cast_shadow(points: F32, direction: npt.ArrayLike) -> Shadow:
    """Return the shadow map of a mesh.

    Args:
        points: (R, C, 3) camera-frame points.
        direction: unit vector toward the light.

    """
    away = -np.asarray(direction, dtype=np.float64)
    helper = np.array([0.0, 1.0, 0.0]) if abs(away[1]) < 0.95 else np.array([0.0, 0.0, 1.0])
    right = np.cross(helper, away)
    right /= np.linalg.norm(right)
    axes = np.stack([right, np.cross(away, right), away]).astype(np.float32)
    depth = np.full((MAP_CELLS, MAP_CELLS), _EMPTY, dtype=np.float32)
    draw_places(seen_from(points, axes), depth, np.empty((MAP_CELLS, MAP_CELLS, 2), dtype=np.float32))
    return Shadow(axes, depth)


@compiled
def seen_from(points: F32, axes: F32) -> F32:
    """Return (R, C, 3) map cell x, y and depth of every point."""
    rows, columns = points.shape[:2]
    out = np.empty((rows, columns, 3), dtype=np.float32)
    scale = np.float32(MAP_CELLS / (2 * MAP_REACH))
    middle = np.float32((MAP_CELLS - 1) / 2)
    for r in range(rows):
        for c in range(columns):
            x, y, z = points[r, c, 0], points[r, c, 1], points[r, c, 2]
            out[r, c, 0] = middle + scale * (axes[0, 0] * x + axes[0, 1] * y + axes[0, 2] * z)
            out[r, c, 1] = middle + scale * (axes[1, 0] * x + axes[1, 1] * y + axes[1, 2] * z)
            out[r, c, 2] = axes[2, 0] * x + axes[2, 1] * y + axes[2, 2] * z
    return out


@compiled
def normals(points: F32, above: npt.NDArray[np.int64], below: npt.NDArray[np.int64], closed: bool) -> F32:
    """Return (R, C, 3) unit normals that point to the side from which the grid reads left to right.

    Args:
        points: (R, C, 3).
        above: (R,) row whose difference to ``below`` gives the slope down the grid.
        below: (R,) see above.
        closed: whether the first and the last column are the same points.

    """
    rows, columns = points.shape[:2]
    out = np.empty((rows, columns, 3), dtype=np.float32)
    for r in range(rows):
        up, dn = above[r], below[r]
        for c in range(columns):
            left, right = c - 1, c + 1
            if left < 0:
                left = columns - 2 if closed else 0
            if right >= columns:
                right = 1 if closed else columns - 1
            ux = points[r, right, 0] - points[r, left, 0]
            uy = points[r, right, 1] - points[r, left, 1]
            uz = points[r, right, 2] - points[r, left, 2]
            first, last = up, dn
            vx = points[last, c, 0] - points[first, c, 0]
            vy = points[last, c, 1] - points[first, c, 1]
            vz = points[last, c, 2] - points[first, c, 2]
            # Rows may coincide (closed lips): widen until they differ.
            while vx * vx + vy * vy + vz * vz < 1e-6 and (first > 0 or last < rows - 1):
                first, last = max(first - 1, 0), min(last + 1, rows - 1)
                vx = points[last, c, 0] - points[first, c, 0]
                vy = points[last, c, 1] - points[first, c, 1]
                vz = points[last, c, 2] - points[first, c, 2]
            nx, ny, nz = vy * uz - vz * uy, vz * ux - vx * uz, vx * uy - vy * ux
            length = np.sqrt(nx * nx + ny * ny + nz * nz)
            if length < 1e-9:
                out[r, c, 0], out[r, c, 1], out[r, c, 2] = 0.0, 0.0, -1.0
            else:
                out[r, c, 0], out[r, c, 1], out[r, c, 2] = nx / length, ny / length, nz / length
    return out


@compiled
def spline(t: np.float32, tap: int) -> np.float32:
    """Return the quadratic B-spline weight of tap -1, 0 or 1 at an offset t of -1/2..1/2."""
    half = np.float32(0.5)
    if tap == 0:
        return np.float32(0.75) - t * t
    d = half + t if tap == 1 else half - t
    return half * d * d


@compiled
def irradiance(
    points: F32,
    normal: F32,
    direction: F32,
    key: F32,
    ambient: F32,
    wrap: F32,
    gloss: np.float32,
    axes: F32,
    shadow: F32,
) -> F32:
    """Return (R, C, 4): red, green and blue light that falls on each point, and its white highlight.

    Args:
        points: (R, C, 3) camera frame.
        normal: (R, C, 3) unit.
        direction: (3,) unit, toward the light.
        key: (3,) colour of the light.
        ambient: (3,) colour of the surround.
        wrap: (3,) how far light creeps past the terminator under the skin, per colour.
        gloss: exponent of the highlight.
        axes: (3, 3) of the shadow map.
        shadow: its depths.

    """
    rows, columns = points.shape[:2]
    out = np.empty((rows, columns, 4), dtype=np.float32)
    scale = np.float32(MAP_CELLS / (2 * MAP_REACH))
    middle = np.float32((MAP_CELLS - 1) / 2)
    hx, hy, hz = direction[0], direction[1], direction[2] - np.float32(1.0)
    norm = np.sqrt(hx * hx + hy * hy + hz * hz) + np.float32(1e-6)
    hx, hy, hz = hx / norm, hy / norm, hz / norm
    one = np.float32(1.0)
    for r in range(rows):
        for c in range(columns):
            nx, ny, nz = normal[r, c, 0], normal[r, c, 1], normal[r, c, 2]
            if nz > 0.35:  # turned away: never seen
                out[r, c, :] = 0
                continue
            cosine = nx * direction[0] + ny * direction[1] + nz * direction[2]
            lit = one
            if cosine > -0.3:
                # The point is moved off its surface so that it does not shadow itself.
                x = points[r, c, 0] + np.float32(0.05) * nx
                y = points[r, c, 1] + np.float32(0.05) * ny
                z = points[r, c, 2] + np.float32(0.05) * nz
                mx = middle + scale * (axes[0, 0] * x + axes[0, 1] * y + axes[0, 2] * z)
                my = middle + scale * (axes[1, 0] * x + axes[1, 1] * y + axes[1, 2] * z)
                depth = axes[2, 0] * x + axes[2, 1] * y + axes[2, 2] * z
                column, row = int(np.floor(mx + np.float32(0.5))), int(np.floor(my + np.float32(0.5)))
                if 1 <= column < MAP_CELLS - 1 and 1 <= row < MAP_CELLS - 1:
                    u, v = np.float32(mx - column), np.float32(my - row)
                    lit = np.float32(0.0)
                    for i in range(-1, 2):
                        for j in range(-1, 2):
                            gap = depth - shadow[row + i, column + j]
                            share = min(
                                max((np.float32(0.16) - gap) / np.float32(0.10), np.float32(0.0)), one
                            )
                            lit += spline(u, j) * spline(v, i) * share
            surround = np.float32(0.78) - np.float32(0.22) * ny
            for k in range(3):
                wrapped = max((cosine + wrap[k]) / (one + wrap[k]), np.float32(0.0))
                # The wrapped part is light that has passed through the skin: shadow does not cut it sharply.
                out[r, c, k] = ambient[k] * surround + key[k] * wrapped * lit
            half = max(nx * hx + ny * hy + nz * hz, np.float32(0.0))
            rim = one - max(-nz, np.float32(0.0))
            shine = half ** np.float32(gloss) * (np.float32(0.6) + np.float32(1.2) * rim * rim)
            out[r, c, 3] = shine * lit * (key[0] + key[1] + key[2]) / np.float32(3.0)
    return out


@compiled
def paint_of(colour: F32, falling: F32, shine: np.float32, opacity: F32, strand: F32) -> F32:
    """Return (R, C, 5) what the rasteriser draws: lit colour, opacity and strand coordinate.

    Args:
        colour: (R, C, 3) albedo.
        falling: (R, C, 4) from :func:`irradiance`.
        shine: strength of the highlight.
        opacity: (R, C).
        strand: (R, C).

    """
    rows, columns = opacity.shape
    out = np.empty((rows, columns, 5), dtype=np.float32)
    for r in range(rows):
        for c in range(columns):
            glint = np.float32(shine) * falling[r, c, 3]
            for k in range(3):
                out[r, c, k] = colour[r, c, k] * falling[r, c, k] + glint
            out[r, c, 3] = opacity[r, c]
            out[r, c, 4] = strand[r, c]
    return out


@compiled
def face_viewer(normal: F32) -> None:
    """Turn normals (R, C, 3) toward the viewer: both sides of a sheet are lit as they are seen."""
    for r in range(normal.shape[0]):
        for c in range(normal.shape[1]):
            if normal[r, c, 2] > 0:
                for k in range(3):
                    normal[r, c, k] = -normal[r, c, k]
