"""Colour of every sample of the head: skin from its texture, eyeballs and the mouth's inside by formula."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from paco_fr.synthetic.shape import geometry as g
from paco_fr.utils.jit import compiled

F32 = npt.NDArray[np.float32]
Real = np.float32

_EYE_X = np.float32(g.EYE[0])
_EYE_HALF = np.float32(g.EYE_HALF_WIDTH)
_MOUTH_HALF = np.float32(g.MOUTH_HALF_WIDTH)
_UPPER_LIP, _LOWER_LIP = g.UPPER_LIP_ROW, g.LOWER_LIP_ROW
_EYE_ROWS = (float(g.row_at(-0.10)), float(g.row_at(0.10)))
BALL_RADIUS = np.float32(0.125)


@compiled
def smooth(t: Real) -> Real:
    """Return a smooth step from 0 at t <= 0 to 1 at t >= 1."""
    t = min(max(t, np.float32(0.0)), np.float32(1.0))
    return t * t * (np.float32(3.0) - np.float32(2.0) * t)


@compiled
def read(field: F32, column: Real, row: Real, channel: int) -> Real:
    """Return a channel of an (R, C, D) field at a fractional place, bilinear."""
    c = min(max(int(column), 0), field.shape[1] - 2)
    r = min(max(int(row), 0), field.shape[0] - 2)
    u, v = np.float32(column - c), np.float32(row - r)
    top = field[r, c, channel] + (field[r, c + 1, channel] - field[r, c, channel]) * u
    bottom = field[r + 1, c, channel] + (field[r + 1, c + 1, channel] - field[r + 1, c, channel]) * u
    return np.float32(top + (bottom - top) * v)


@compiled
def eye_colour(
    x: Real, y: Real, below_lid: Real, above_lid: Real, eye: F32, iris: F32, iris_radius: Real, out: F32
) -> None:
    """Write the albedo (3) and the highlight (1) of an eyeball into ``out``.

    Args:
        x: place across from the middle of the ball, head units, head frame.
        y: place down from it.
        below_lid: distance below the edge of the upper lid.
        above_lid: distance above the edge of the lower lid.
        eye: (4,) middle of the iris x, y and of the light's reflex x, y, from the middle of the ball.
        iris: (3,) its colour.
        iris_radius: its radius.
        out: (4,) result.

    """
    dx, dy = x - eye[0], y - eye[1]
    r = np.sqrt(dx * dx + dy * dy)
    edge = np.float32(0.008)
    white = np.float32(1.0) - np.float32(0.30) * smooth(np.sqrt(x * x + y * y) / np.float32(0.19))
    out[0], out[1], out[2] = np.float32(0.60) * white, np.float32(0.555) * white, np.float32(0.535) * white
    inside = smooth((iris_radius - r) / edge + np.float32(0.5))
    if inside > 0:
        ring = np.float32(1.0) - np.float32(0.65) * smooth(
            (r - np.float32(0.72) * iris_radius) / (np.float32(0.28) * iris_radius)
        )
        lower = np.float32(1.0) + np.float32(5.0) * dy
        pupil = smooth((np.float32(0.42) * iris_radius - r) / edge + np.float32(0.5))
        for k in range(3):
            tone = iris[k] * ring * lower * np.float32(1.25)
            tone += (np.float32(0.006) - tone) * pupil
            out[k] += (tone - out[k]) * inside
    # The upper lid and its lashes shade the ball; both lids leave a dark seam.
    shade = np.float32(1.0) - np.float32(0.50) * smooth(np.float32(1.0) - below_lid / np.float32(0.034))
    shade *= np.float32(1.0) - np.float32(0.25) * smooth(np.float32(1.0) - above_lid / np.float32(0.012))
    for k in range(3):
        out[k] *= shade
    gx, gy = x - eye[2], y - eye[3]
    out[3] = smooth((np.float32(0.016) - np.sqrt(gx * gx + gy * gy)) / np.float32(0.009)) * np.float32(0.9)


@compiled
def mouth_colour(x: Real, y: Real, share: Real, teeth: F32, lower_edge: Real, gap: Real, out: F32) -> None:
    """Write the albedo of the inside of the mouth into ``out``.

    Args:
        x: place across, head units.
        y: place down.
        share: 0 at the upper lip, 1 at the lower lip.
        teeth: (2,) lower edge of the upper teeth in the middle, middle of the mouth across.
        lower_edge: height of the lower lip's inner edge here.
        gap: distance between the lips in the middle of the mouth.
        out: (3,) result.

    """
    dx = abs(x - teeth[1])
    depth = np.float32(1.0) - np.float32(0.55) * smooth(dx / np.float32(0.28))
    out[0], out[1], out[2] = np.float32(0.045), np.float32(0.012), np.float32(0.011)
    tongue = smooth((share - np.float32(0.55)) / np.float32(0.25)) * smooth(
        (gap - np.float32(0.08)) / np.float32(0.10)
    )
    tongue *= smooth((np.float32(0.15) - dx) / np.float32(0.06))
    out[0] += (np.float32(0.26) - out[0]) * tongue
    out[1] += (np.float32(0.075) - out[1]) * tongue
    out[2] += (np.float32(0.075) - out[2]) * tongue
    soft = np.float32(0.008)
    upper = smooth((teeth[0] - np.float32(0.30) * dx * dx - y) / soft + np.float32(0.5))
    lower = smooth((y - lower_edge + np.float32(0.030)) / soft + np.float32(0.5))
    lower *= smooth((np.float32(0.14) - dx) / np.float32(0.03)) * np.float32(0.75)
    tooth = max(upper, lower) * smooth((gap - np.float32(0.01)) / np.float32(0.03))
    if tooth > 0:
        gap_line = abs(dx / np.float32(0.058) - np.float32(int(dx / np.float32(0.058) + np.float32(0.5))))
        seam = np.float32(1.0) - np.float32(0.22) * smooth(np.float32(1.0) - gap_line / np.float32(0.10))
        # Teeth are in the shade of the lip that covers them.
        shade = np.float32(0.55) + np.float32(0.45) * smooth(
            (y - teeth[0] + np.float32(0.075)) / np.float32(0.05)
        )
        for k in range(3):
            white = (
                (np.float32(0.70) if k == 0 else np.float32(0.655) if k == 1 else np.float32(0.56))
                * seam
                * depth
                * shade
            )
            out[k] += (white - out[k]) * tooth


@compiled
def shade_head(
    places: F32,
    texture: F32,
    detail: int,
    light: F32,
    light_step: int,
    points: F32,
    face: F32,
    eyes: F32,
    iris: F32,
    iris_radius: Real,
    teeth: F32,
    gloss: Real,
    colour: F32,
    cover: F32,
) -> None:
    """Colour all samples that show the head.

    Args:
        places: (H, W, 2) grid place (column, row) of each sample; column < 0 where there is no head.
        texture: skin texture.
        detail: its texels a grid cell.
        light: from :func:`light.irradiance`, at every ``light_step``-th grid point.
        light_step: see ``light``.
        points: (R, C, 3) deformed head in the head frame.
        face: (R, C, 4) across, down and the heights of the lids' edges, in face coordinates.
        eyes: (2, 6) for the left and right eye: middle of the ball x, y, then ``eye`` of :func:`eye_colour`.
        iris: (3,) colour.
        iris_radius: in head units.
        teeth: (2,) see :func:`mouth_colour`.
        gloss: strength of the skin's highlight.
        colour: (H, W, 3) buffer.
        cover: (H, W) buffer.

    """
    height, width = places.shape[:2]
    zero, one = np.float32(0.0), np.float32(1.0)
    scale = np.float32(1.0 / light_step)
    ball = np.empty(4, dtype=np.float32)
    middle = points.shape[1] // 2
    gap = points[_LOWER_LIP, middle, 1] - points[_UPPER_LIP, middle, 1]
    for i in range(height):
        for j in range(width):
            column, row = places[i, j, 0], places[i, j, 1]
            if column < 0:
                continue
            k0, k1, k2 = read_three(texture, column * detail, row * detail)
            irr_r, irr_g, irr_b = read_three(light, column * scale, row * scale)
            shine = np.float32(gloss) * read(light, column * scale, row * scale, 3)
            if _EYE_ROWS[0] <= row <= _EYE_ROWS[1]:
                across = read(face, column, row, 0)
                t = (abs(across) - _EYE_X) / _EYE_HALF
                if abs(t) < one:
                    down = read(face, column, row, 1)
                    top, bottom = read(face, column, row, 2), read(face, column, row, 3)
                    inside = min(down - top, bottom - down)
                    opening = smooth(inside / np.float32(0.008) + np.float32(0.3))
                    if opening > 0:
                        e = 1 if across > 0 else 0
                        x = read(points, column, row, 0) - eyes[e, 0]
                        y = read(points, column, row, 1) - eyes[e, 1]
                        eye_colour(
                            x, y, down - top, bottom - down, eyes[e, 2:], iris, np.float32(iris_radius), ball
                        )
                        k0 += (ball[0] - k0) * opening
                        k1 += (ball[1] - k1) * opening
                        k2 += (ball[2] - k2) * opening
                        shine = shine * (one - opening) + ball[3] * opening
            elif _UPPER_LIP < row < _LOWER_LIP:
                across = read(face, column, row, 0)
                if abs(across) < _MOUTH_HALF:
                    x, y = read(points, column, row, 0), read(points, column, row, 1)
                    share = (row - _UPPER_LIP) / np.float32(_LOWER_LIP - _UPPER_LIP)
                    edge = read(points, column, np.float32(_LOWER_LIP), 1)
                    mouth_colour(x, y, share, teeth, edge, gap, ball)
                    k0, k1, k2 = ball[0], ball[1], ball[2]
                    # Light on the lips above stands for the light that gets in.
                    irr_r, irr_g, irr_b = read_three(
                        light, column * scale, np.float32(_UPPER_LIP - 4) * scale
                    )
                    shine = zero
            colour[i, j, 0] = k0 * irr_r + shine
            colour[i, j, 1] = k1 * irr_g + shine
            colour[i, j, 2] = k2 * irr_b + shine
            cover[i, j] = one


@compiled
def read_three(field: F32, column: Real, row: Real) -> tuple[Real, Real, Real]:
    """Return the first three channels of an (R, C, D) field at a fractional place, bilinear."""
    c = min(max(int(column), 0), field.shape[1] - 2)
    r = min(max(int(row), 0), field.shape[0] - 2)
    u, v = np.float32(column - c), np.float32(row - r)
    one = np.float32(1.0)
    a, b, d, e = (one - u) * (one - v), u * (one - v), (one - u) * v, u * v
    return (
        a * field[r, c, 0] + b * field[r, c + 1, 0] + d * field[r + 1, c, 0] + e * field[r + 1, c + 1, 0],
        a * field[r, c, 1] + b * field[r, c + 1, 1] + d * field[r + 1, c, 1] + e * field[r + 1, c + 1, 1],
        a * field[r, c, 2] + b * field[r, c + 1, 2] + d * field[r + 1, c, 2] + e * field[r + 1, c + 1, 2],
    )
