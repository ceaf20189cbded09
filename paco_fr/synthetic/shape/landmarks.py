"""The 68 points in iBUG order, as places on the head.

Points 17-67 are fixed to the skin: they follow the feature they name, hidden or not. The jaw points 0-16
ride on the visible contour: each one starts at its place beside the ear and may march along its own
height toward the face, as far as the outer corner of the eye; it stands where the head reaches furthest
outward in the picture, on its side of the face. On the near side that is where it started, on the far
side of a turned head it is the outline of the cheek. The chin's lowest point does not march.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from paco_fr.synthetic.shape import expression, identity
from paco_fr.synthetic.shape import geometry as g

PATH_STEPS = 14
_JAW_DOWN = (-0.02, 0.16, 0.34, 0.51, 0.67, 0.82, 0.955, 1.055)
_JAW_ANGLE = (86.0, 86.0, 85.0, 83.0, 80.0, 74.0, 58.0, 32.0)
_JAW_INNERMOST = (40.0, 40.0, 40.0, 40.0, 36.0, 30.0, 22.0, 12.0)
_CHIN_DOWN = 1.112


def _skin_places() -> g.Floats:
    """Return (51, 2) grid places (column, row) of points 17-67."""
    brow_x = np.array([-0.50, -0.41, -0.32, -0.23, -0.145])
    brow = np.stack([brow_x, g.brow_line(brow_x) - 0.012], axis=1)
    bridge = np.array([(0, -0.01), (0, 0.13), (0, 0.27), (0, 0.41)])
    base = np.array([(-0.125, 0.475), (-0.064, 0.497), (0, 0.508), (0.064, 0.497), (0.125, 0.475)])
    t = g.EYE[0] + g.EYE_HALF_WIDTH * np.array([1, 0.38, -0.38, -1, -0.38, 0.38])
    lids = np.array(
        [g.upper_lid(t[:1])[0], *g.upper_lid(t[1:3]), g.upper_lid(t[3:4])[0], *g.lower_lid(t[4:])]
    )
    left_eye = np.stack([-t, lids], axis=1)
    right_eye = np.stack([t, lids], axis=1)[[3, 2, 1, 0, 5, 4]]
    outer_x = g.MOUTH_HALF_WIDTH * np.array([-1, -0.58, -0.20, 0, 0.20, 0.58, 1])
    upper = np.stack([outer_x, g.upper_lip(outer_x)], axis=1)
    lower_x = outer_x[5:0:-1]
    lower = np.stack([lower_x, g.lower_lip(lower_x)], axis=1)
    outside = g.grid_place(
        *np.concatenate([brow, mirrored(brow), bridge, base, left_eye, right_eye, upper, lower]).T
    )
    inner_x = g.MOUTH_HALF_WIDTH * np.array([-0.88, -0.30, 0, 0.30, 0.88, 0.30, 0, -0.30])
    inside = g.grid_place(inner_x, np.full(8, g.MOUTH_DOWN))
    inside[:, 1] = [g.UPPER_LIP_ROW] * 5 + [g.LOWER_LIP_ROW] * 3
    inside[[0, 4], 1] = (g.UPPER_LIP_ROW + g.LOWER_LIP_ROW) / 2
    return np.concatenate([outside, inside])


def mirrored(points: g.Floats) -> g.Floats:
    """Return face coordinates (N, 2) on the other side, in reverse order."""
    return np.asarray(points[::-1] * np.array([-1, 1]))


def _jaw_places() -> g.Floats:
    """Return (17, PATH_STEPS, 2) grid places that each jaw point may take, the starting place first."""
    paths = np.empty((17, PATH_STEPS, 2))
    for point in range(8):
        angles = np.radians(np.linspace(_JAW_ANGLE[point], _JAW_INNERMOST[point], PATH_STEPS))
        row = g.grid_place(np.zeros(1), np.full(1, _JAW_DOWN[point]))[0, 1]
        paths[point] = np.stack([g.column_of_angle(-angles), np.full(PATH_STEPS, row)], axis=1)
        paths[16 - point] = np.stack([g.column_of_angle(angles), np.full(PATH_STEPS, row)], axis=1)
    paths[8] = g.grid_place(np.zeros(1), np.full(1, _CHIN_DOWN))
    return paths


def _sample(field: g.Floats, places: g.Floats) -> g.Floats:
    """Return (N, D) values of a (ROWS, COLUMNS, D) field, bilinear at (N, 2) places (column, row)."""
    column = np.clip(np.floor(places[:, 0]).astype(int), 0, g.COLUMNS - 2)
    row = np.clip(np.floor(places[:, 1]).astype(int), 0, g.ROWS - 2)
    u, v = (places[:, 0] - column)[:, None], (places[:, 1] - row)[:, None]
    top = field[row, column] * (1 - u) + field[row, column + 1] * u
    bottom = field[row + 1, column] * (1 - u) + field[row + 1, column + 1] * u
    return np.asarray(top * (1 - v) + bottom * v)


@cache
def _bases() -> tuple[g.Floats, g.Floats, g.Floats, g.Floats]:
    """Return mean (M, 3), shape basis (S, M*3), action basis (A, M*3) and side (M,) at all places."""
    places = np.concatenate([_jaw_places().reshape(-1, 2), _skin_places()])
    mean = _sample(g.head_grid().points, places)
    shapes = np.stack([_sample(f.astype(np.float64), places) for f in identity.shape_basis()])
    actions = np.stack([_sample(f.astype(np.float64), places) for f in expression.action_basis()])
    side = _sample(expression.side_field()[..., None], places)[:, 0]
    return mean, shapes.reshape(len(shapes), -1), actions.reshape(len(actions), -1), side


def head_points(shape: g.Floats, actions: g.Floats, asymmetry: float) -> g.Floats:
    """Return (17 * PATH_STEPS + 51, 3) points of the deformed head in the head frame."""
    mean, shape_basis, action_basis, side = _bases()
    moved = np.einsum("k,kn->n", actions, action_basis).reshape(-1, 3)
    formed = np.einsum("k,kn->n", shape, shape_basis).reshape(-1, 3)
    return np.asarray(mean + formed + (1 + asymmetry * side)[:, None] * moved)


def visible_contour(points: g.Floats, flat: g.Floats, roll: float) -> g.Floats:
    """Return the (68, 3) landmarks among the points of :func:`head_points`.

    Args:
        points: camera-frame points.
        flat: (N, 2) the same points in the picture, any scale.
        roll: head roll in degrees; "outward" is across the rolled head.

    """
    jaw, skin = points[: 17 * PATH_STEPS].reshape(17, PATH_STEPS, 3), points[17 * PATH_STEPS :]
    across = np.array([np.cos(np.radians(roll)), np.sin(np.radians(roll))])
    outward = (flat[: 17 * PATH_STEPS] @ across).reshape(17, PATH_STEPS)
    outward[:8] *= -1
    best = outward.argmax(axis=1)
    # A parabola through the best place and its neighbours keeps the march continuous in the pose.
    inner = np.clip(best, 1, PATH_STEPS - 2)
    index = np.arange(17)
    before, at, after = (outward[index, inner + k] for k in (-1, 0, 1))
    bend = before - 2 * at + after
    step = np.where(np.abs(bend) > 1e-12, 0.5 * (before - after) / np.where(bend == 0, 1, bend), 0.0)
    step = np.where((best == inner) & (bend < 0), np.clip(step, -0.5, 0.5), (best - inner).astype(float))
    step[8] = 0.0
    place = inner + step
    low = np.clip(np.floor(place).astype(int), 0, PATH_STEPS - 2)
    share = (place - low)[:, None]
    contour = jaw[index, low] * (1 - share) + jaw[index, low + 1] * share
    return np.concatenate([contour, skin])
