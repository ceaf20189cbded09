"""The mean head: a grid of points over the whole head, and the coordinates that everything is drawn in.

Lengths are in units of 10 cm on a mean adult head. The head frame is that of :mod:`paco_fr.faces.rotation`:
x to the right of the picture, y down, z away from the viewer; the origin lies at eye level between the
ears, so the face points along -z. "Forward" below means -z.

Rows run from the crown to the underside of the chin, columns from the back of the head over its
picture-left side, the nose (middle column) and the picture-right side to the back again. The place of a
point on the skin is given in *face coordinates* (across, down): ``down`` is the height of its row and
``across`` its distance from the mid-plane on the undeformed head. Features sit at the same face
coordinates in every head; identity and expression move the points and the features with them.

Seven rows at mouth height coincide while the lips are closed. They are the inside of the mouth, and open
when the rows below them are moved down.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

CROWN, CHIN = -1.12, 1.14
EYE = (0.315, 0.0)
"""Face coordinates of the middle of an eye."""
EYE_HALF_WIDTH = 0.152
MOUTH_DOWN = 0.72
MOUTH_HALF_WIDTH = 0.262

COLUMNS = 113  # odd, and a multiple of 2 cells: every second point is a grid again
MIDDLE = COLUMNS // 2

# (height, number of the row at that height): rows are dense around eyes and mouth.
_ROW_KNOTS = ((-0.62, 10), (-0.30, 18), (-0.16, 25), (0.12, 45), (0.50, 61), (0.64, 69), (0.72, 76))
UPPER_LIP_ROW, LOWER_LIP_ROW = 76, 82
_ROW_KNOTS_BELOW = ((0.72, 82), (0.84, 91), (0.92, 95))
ROWS = 105


@cache
def _row_heights() -> Floats:
    """Return (ROWS,) heights; both poles are approached along a quarter circle to stay round."""
    rows = np.arange(ROWS, dtype=np.float64)
    above = np.interp(rows, [k[1] for k in _ROW_KNOTS], [k[0] for k in _ROW_KNOTS])
    below = np.interp(rows, [k[1] for k in _ROW_KNOTS_BELOW], [k[0] for k in _ROW_KNOTS_BELOW])
    heights = np.where(rows <= UPPER_LIP_ROW, above, np.where(rows < LOWER_LIP_ROW, MOUTH_DOWN, below))
    first, last = _ROW_KNOTS[0], _ROW_KNOTS_BELOW[-1]
    top = rows < first[1]
    heights[top] = CROWN + (first[0] - CROWN) * (1 - np.cos(rows[top] / first[1] * np.pi / 2))
    bottom = rows > last[1]
    share = (rows[bottom] - last[1]) / (ROWS - 1 - last[1])
    heights[bottom] = last[0] + (CHIN - last[0]) * np.sin(share * np.pi / 2)
    return heights


@cache
def _column_angles() -> Floats:
    """Return (COLUMNS,) azimuths in radians, 0 at the nose, dense over the face."""
    u = np.linspace(-1, 1, COLUMNS)
    return np.pi * (0.48 * u + 0.52 * u**3)


def _curve(points: dict[float, float], at: Floats) -> Floats:
    """Return a monotone cubic through ``points`` (height: value), constant beyond its ends."""
    from scipy.interpolate import PchipInterpolator  # imported late: names of shapes need none

    knots = np.array(sorted(points.items()))
    return np.asarray(PchipInterpolator(knots[:, 0], knots[:, 1])(np.clip(at, knots[0, 0], knots[-1, 0])))


def gauss(t: Floats) -> Floats:
    """Return exp(-t²), the bump that most shapes are made of."""
    return np.asarray(np.exp(-t * t))


def ramp(t: Floats) -> Floats:
    """Return a smooth step from 0 at t <= 0 to 1 at t >= 1."""
    t = np.clip(t, 0.0, 1.0)
    return t * t * (3 - 2 * t)


def half_width(down: Floats) -> Floats:
    """Half width of the undeformed head at heights ``down``."""
    side = _curve(
        {
            -0.5: 0.735,
            -0.2: 0.735,
            0.0: 0.715,
            0.25: 0.675,
            0.5: 0.620,
            0.7: 0.572,
            0.85: 0.515,
            1.0: 0.455,
            1.14: 0.40,
        },
        down,
    )
    dome = np.clip((-0.5 - down) / (-0.5 - CROWN), 0, 1)
    chin = np.clip((down - 0.85) / (CHIN - 0.85), 0, 1)
    return np.asarray(side * np.sqrt(np.clip(1 - dome**2.2, 0, 1)) * np.sqrt(np.clip(1 - chin**2.3, 0, 1)))


@dataclass(frozen=True)
class HeadGrid:
    """The undeformed head.

    Attributes:
        points: (ROWS, COLUMNS, 3) mean head in the head frame.
        across: (ROWS, COLUMNS) face coordinate, negative on the picture's left.
        down: (ROWS, COLUMNS) face coordinate.
        front: (ROWS, COLUMNS) 1 on the face, falling to 0 at the ears and behind.
        angle: (COLUMNS,) azimuth of the columns in radians.

    """

    points: Floats
    across: Floats
    down: Floats
    front: Floats
    angle: Floats


def _slices(down: Floats, angle: Floats) -> Floats:
    """Return the head without features, (ROWS, COLUMNS, 3), from horizontal slices."""
    width = half_width(down)
    middle = _curve(
        {-1.12: -0.10, -0.5: -0.05, 0.0: 0.0, 0.5: 0.08, 0.75: 0.15, 0.95: 0.36, 1.14: 0.58}, down
    )
    front = _curve(
        {-0.5: 0.85, -0.3: 0.915, -0.2: 0.92, -0.02: 0.865, 0.15: 0.845, 0.5: 0.865, 0.72: 0.87, 0.85: 0.86},
        down,
    )
    back = _curve({-0.5: -1.02, 0.0: -0.93, 0.3: -0.75, 0.5: -0.5, 0.75: -0.22, 0.95: 0.08, 1.14: 0.4}, down)
    power = _curve({-0.6: 2.25, 0.0: 2.35, 0.5: 2.25, 0.85: 2.1}, down)[:, None]

    dome = np.sqrt(np.clip(1 - np.clip((-0.5 - down) / (-0.5 - CROWN), 0, 1) ** 2.4, 0, 1))
    under = np.sqrt(np.clip(1 - np.clip((down - 0.85) / (CHIN - 0.85), 0, 1) ** 5, 0, 1))
    reach_front = ((front - middle) * dome * under)[:, None]
    reach_back = ((middle - back) * dome)[:, None]

    sine = np.sin(angle)[None, :]
    bow = (1 - np.minimum(np.abs(sine), 1) ** power) ** (1 / power)
    bow_back = np.abs(np.cos(angle))[None, :] * np.ones_like(power)
    forward = middle[:, None] + np.where(
        np.cos(angle)[None, :] >= 0, reach_front * bow, -reach_back * bow_back
    )
    height = down[:, None] - 0.40 * np.maximum(front[:, None] - forward, 0) * ramp(
        (down[:, None] - 0.72) / 0.42
    )
    return np.stack([width[:, None] * sine, height, -forward], axis=-1)


def _features(across: Floats, down: Floats) -> Floats:
    """Return how far the features of the mean face stand forward of the slices, (ROWS, COLUMNS)."""
    x, y = np.abs(across), down
    ridge = _curve(
        {
            -0.20: 0.0,
            -0.05: 0.022,
            0.08: 0.075,
            0.22: 0.150,
            0.34: 0.215,
            0.41: 0.243,
            0.455: 0.205,
            0.50: 0.09,
            0.54: 0.02,
            0.60: 0.0,
        },
        y,
    )
    spread = _curve({-0.1: 0.062, 0.1: 0.080, 0.25: 0.098, 0.38: 0.118, 0.46: 0.125, 0.55: 0.12}, y)
    nose = ridge * np.exp(-((x / spread) ** 2.3))
    wings = 0.105 * np.exp(-(((x - 0.128) / 0.058) ** 2) - ((y - 0.435) / 0.066) ** 2)
    eye_x, eye_y = x - EYE[0], y - EYE[1]
    sockets = -0.085 * gauss(eye_x / 0.20) * gauss((eye_y + 0.01) / 0.135)
    sockets -= 0.035 * gauss((x - 0.165) / 0.07) * gauss(eye_y / 0.13)
    balls = 0.062 * gauss(eye_x / 0.125) * gauss(eye_y / 0.085)
    brows = 0.040 * gauss((x - 0.26) / 0.20) * gauss((y + 0.215) / 0.085)
    cheeks = 0.050 * gauss((x - 0.40) / 0.18) * gauss((y - 0.25) / 0.15)
    hollow = -0.018 * gauss((x - 0.46) / 0.12) * gauss((y - 0.60) / 0.16)
    muzzle = 0.045 * gauss(x / 0.27) * gauss((y - 0.71) / 0.15)
    upper = 0.050 * gauss(x / 0.17) * gauss((y - 0.672) / 0.046)
    lower = 0.058 * gauss(x / 0.155) * gauss((y - 0.782) / 0.052)
    line = -0.034 * gauss(x / 0.23) * gauss((y - MOUTH_DOWN) / 0.018)
    corners = -0.022 * gauss((x - 0.275) / 0.05) * gauss((y - MOUTH_DOWN) / 0.06)
    philtrum = -0.012 * gauss(x / 0.025) * gauss((y - 0.59) / 0.045)
    crease = -0.040 * gauss(x / 0.17) * gauss((y - 0.895) / 0.045)
    chin = 0.062 * gauss(x / 0.155) * gauss((y - 1.015) / 0.085)
    temples = -0.03 * gauss((x - 0.62) / 0.10) * gauss((y + 0.15) / 0.16)
    total = nose + wings + sockets + balls + brows + cheeks + hollow + muzzle + upper + lower + line
    return np.asarray(total + corners + philtrum + crease + chin + temples)


@cache
def head_grid() -> HeadGrid:
    """Return the mean head; computed once a process."""
    heights, angle = _row_heights(), _column_angles()
    points = _slices(heights, angle)
    down = np.repeat(heights[:, None], COLUMNS, axis=1)
    # Behind the ears the distance goes on growing, so that no back point shares a place with a front one.
    across = np.where(
        np.abs(angle) <= np.pi / 2,
        points[..., 0],
        np.sign(angle) * (2 * half_width(heights)[:, None]) - points[..., 0],
    )
    front = np.repeat(ramp((np.cos(angle) - 0.02) / 0.38)[None, :], ROWS, axis=0)
    points[..., 2] -= front * _features(across, down)
    inside = np.sin(
        np.pi * np.clip((np.arange(ROWS) - UPPER_LIP_ROW) / (LOWER_LIP_ROW - UPPER_LIP_ROW), 0, 1)
    )
    points[..., 2] += 0.09 * inside[:, None] * mouth_opening(across)
    return HeadGrid(points, across, down, front, angle)


def mouth_opening(across: Floats) -> Floats:
    """Share of the mouth's full opening at a place across: 1 in the middle, 0 from the corners outward."""
    return np.asarray(np.sqrt(np.clip(1 - (across / MOUTH_HALF_WIDTH) ** 2, 0, 1)))


def below_mouth(rows: npt.ArrayLike) -> Floats:
    """Return 0 for rows above the mouth, 1 for rows below, rising evenly over the rows inside it."""
    return np.clip(
        (np.asarray(rows, dtype=np.float64) - UPPER_LIP_ROW) / (LOWER_LIP_ROW - UPPER_LIP_ROW), 0, 1
    )


def upper_lid(across: Floats) -> Floats:
    """Height of the upper lid's edge at a place across (face coordinates, open eye)."""
    t = np.clip((np.abs(across) - EYE[0]) / EYE_HALF_WIDTH, -1, 1)
    return np.asarray(EYE[1] - 0.054 * (1 - t * t) ** 0.75 * (1 - 0.12 * t) - 0.006 * t)


def lower_lid(across: Floats) -> Floats:
    """Height of the lower lid's edge at a place across (face coordinates)."""
    t = np.clip((np.abs(across) - EYE[0]) / EYE_HALF_WIDTH, -1, 1)
    return np.asarray(EYE[1] + 0.046 * (1 - t * t) ** 0.8 * (1 + 0.18 * t) - 0.006 * t)


def brow_line(across: Floats) -> Floats:
    """Height of the middle of the brow at a place across (face coordinates)."""
    t = (np.abs(across) - 0.13) / 0.38
    return np.asarray(-0.205 - 0.085 * t * (1 - t) * 2.2 - 0.012 * t)


def upper_lip(across: Floats) -> Floats:
    """Height of the upper lip's outer contour, with its bow."""
    u = np.clip(across / MOUTH_HALF_WIDTH, -1, 1)
    return np.asarray(MOUTH_DOWN - 0.076 * (1 - u * u) ** 0.85 * (1 - 0.17 * gauss(u / 0.13)))


def lower_lip(across: Floats) -> Floats:
    """Height of the lower lip's outer contour."""
    u = np.clip(across / MOUTH_HALF_WIDTH, -1, 1)
    return np.asarray(MOUTH_DOWN + 0.092 * (1 - u * u) ** 0.75)


def grid_place(across: Floats, down: Floats) -> Floats:
    """Return (..., 2) fractional (column, row) of face coordinates on the front of the head.

    Heights on the mouth line are taken at its upper edge.
    """
    grid_rows = np.concatenate([np.arange(UPPER_LIP_ROW + 1), np.arange(LOWER_LIP_ROW + 1, ROWS)])
    row = np.interp(down, _row_heights()[grid_rows], grid_rows)
    width = np.interp(row, np.arange(ROWS), _row_half_widths())
    angle = np.arcsin(np.clip(across / np.maximum(width, 1e-6), -1, 1))
    column = np.interp(angle, _column_angles(), np.arange(COLUMNS))
    return np.stack(np.broadcast_arrays(column, row), axis=-1)


def row_at(down: float) -> float:
    """Return the fractional row at a height; on the mouth line its upper edge."""
    return float(grid_place(np.zeros(1), np.array([down]))[0, 1])


@cache
def _row_half_widths() -> Floats:
    return half_width(_row_heights())


def column_of_angle(angle: Floats) -> Floats:
    """Return fractional columns of azimuths in radians."""
    return np.interp(angle, _column_angles(), np.arange(COLUMNS))
