"""Ears, neck and clothes: small coloured meshes around the head."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from paco_fr.synthetic.parameters import Clothes
from paco_fr.synthetic.shape import geometry as g

Floats = npt.NDArray[np.float64]

_EAR_RADII = np.array([0.0, 0.30, 0.52, 0.68, 0.80, 0.90, 0.97, 1.0])
_EAR_HEIGHT = np.array([0.0, -0.01, 0.030, 0.052, 0.030, 0.062, 0.055, 0.010])
_EAR_LIGHT = np.array([0.55, 0.62, 0.88, 1.0, 0.80, 1.0, 1.0, 0.95])
EAR_ANGLES = 21


def ear(rest: npt.NDArray[np.float32], side: int) -> tuple[Floats, Floats]:
    """Return points (R, C, 3) in the head frame and the light each keeps (R, C) of an ear.

    Args:
        rest: (ROWS, COLUMNS, 3) the head without expression, to which the ear is fixed.
        side: -1 for the picture's left, 1 for its right.

    """
    place = g.column_of_angle(np.array([side * np.radians(88.0)]))[0]
    row = g.grid_place(np.zeros(1), np.array([0.13]))[0, 1]
    root = rest[round(float(row)), round(float(place))].astype(np.float64)
    turn = np.linspace(0, 2 * np.pi, EAR_ANGLES)
    # The grid must read clockwise from outside, so the two ears run opposite ways round.
    turn = turn if side > 0 else turn[::-1]
    r = _EAR_RADII[:, None]
    lobe = 1 - 0.38 * np.clip(np.sin(turn), 0, 1)[None, :] ** 2
    back = 0.150 * r * np.cos(turn)[None, :] * lobe
    down = 0.290 * r * np.sin(turn)[None, :]
    rearward = g.ramp((np.cos(turn)[None, :] + 0.9) / 1.2)
    rise = _EAR_HEIGHT[:, None] * (0.35 + 0.65 * rearward)
    flare = np.radians(24)
    outward = side * ((back + 0.10) * np.sin(flare) + rise * np.cos(flare) + 0.005)
    depth = (back + 0.10) * np.cos(flare) - rise * np.sin(flare)
    points = np.stack([root[0] + outward, root[1] + down - 0.18 * back, root[2] + depth], axis=-1)
    light = np.repeat(_EAR_LIGHT[:, None], EAR_ANGLES, axis=1)
    return points, light


NECK_ROWS, NECK_COLUMNS = 12, 33


def neck(rotation: Floats, body: Floats, width: float) -> tuple[Floats, Floats]:
    """Return points (R, C, 3) in the camera frame and the light each keeps (R, C) of the neck.

    Args:
        rotation: (3, 3) of the head, whose underside the neck leaves.
        body: (3, 3) of the shoulders, where it ends.
        width: half width in head units.

    """
    share = np.linspace(0, 1, NECK_ROWS)[:, None, None]
    turn = np.linspace(-np.pi, np.pi, NECK_COLUMNS)
    top, middle, end = rotation @ [0, 0.40, 0.28], rotation @ [0, 0.95, 0.30], body @ [0, 1.95, 0.42]
    path = (1 - share) ** 2 * top + 2 * share * (1 - share) * middle + share**2 * end
    # Narrow inside the jaw, so that it does not stick out of it; widest at the shoulders.
    flare = 0.74 + 0.26 * g.ramp((share - 0.15) / 0.3) + 0.30 * g.ramp((share - 0.6) / 0.4)
    ring = np.stack([np.sin(turn), np.zeros_like(turn), -0.80 * np.cos(turn)], axis=-1)[None] * width * flare
    light = np.repeat(0.62 + 0.38 * g.ramp((share[:, :, 0] - 0.35) / 0.5), NECK_COLUMNS, axis=1)
    return path + ring @ body.T, light


TORSO_COLUMNS = 45
_SKIN_ROWS, _CLOTH_ROWS = 7, 18
_TORSO = np.array(
    # down, half width, half depth, forward
    [
        (1.30, 0.50, 0.44, -0.34),
        (1.38, 0.55, 0.50, -0.34),
        (1.48, 0.66, 0.55, -0.37),
        (1.60, 0.86, 0.60, -0.40),
        (1.72, 1.18, 0.64, -0.40),
        (1.84, 1.55, 0.68, -0.38),
        (1.97, 1.80, 0.72, -0.36),
        (2.18, 1.94, 0.78, -0.34),
        (2.6, 1.95, 0.84, -0.30),
        (3.2, 1.96, 0.90, -0.28),
        (4.6, 1.98, 0.95, -0.26),
    ]
)


def collar_height(collar: str, turn: Floats) -> Floats:
    """Return how low the cloth begins around the neck at azimuths ``turn``, 0 in front."""
    dip = {
        "crew": 0.06 * g.gauss(turn / 0.9),
        "v": 0.60 * np.exp(-np.abs(turn) / 0.24),
        "shirt": 0.40 * np.exp(-np.abs(turn) / 0.17),
        "high": 0 * turn,
    }[collar]
    return np.asarray({"crew": 1.50, "v": 1.52, "shirt": 1.44, "high": 1.32}[collar] + dip)


@cache
def _torso_shape(collar: str) -> tuple[Floats, Floats, Floats, npt.NDArray[np.bool_], Floats]:
    """Return points in the body frame, height and height below the edge, what is cloth, and folds."""
    u = np.linspace(-1, 1, TORSO_COLUMNS)
    turn = np.pi * (0.55 * u + 0.45 * u**3)
    edge = collar_height(collar, turn)
    above = _TORSO[0, 0] + (edge - _TORSO[0, 0]) * np.linspace(0, 1, _SKIN_ROWS)[:, None]
    below = edge + (_TORSO[-1, 0] - edge) * np.linspace(0, 1, _CLOTH_ROWS)[:, None] ** 1.6
    down = np.concatenate([above, below])
    wide, deep, forward = (np.interp(down, _TORSO[:, 0], _TORSO[:, k]) for k in (1, 2, 3))
    is_cloth = (np.arange(len(down)) >= _SKIN_ROWS)[:, None] | (collar == "high")
    wide, deep = wide + 0.03 * is_cloth, deep + 0.03 * is_cloth
    shape = np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** 0.8
    sag = 0.14 * np.cos(turn) * g.ramp((2.2 - down) / 0.6)
    points = np.stack([wide * np.sin(turn), down + sag, -(forward + deep * shape)], axis=-1)
    folds = 1 + 0.05 * np.sin(9 * np.abs(turn) + 5 * down)
    return points, down, down - edge, np.broadcast_to(is_cloth, down.shape), folds


def torso(body: Floats, clothes: Clothes, skin: Floats) -> tuple[Floats, Floats]:
    """Return points (R, C, 3) in the camera frame and colours (R, C, 3) of shoulders and clothes.

    Two rows lie on the edge of the cloth, one of skin and one of cloth a little off it.
    """
    points, down, below_edge, is_cloth, folds = _torso_shape(clothes.collar)
    first, second = np.array(clothes.colour), np.array(clothes.second)
    cloth = np.broadcast_to(first, points.shape)
    if clothes.stripes > 0:
        cloth = (
            cloth + (second - first) * (clothes.stripes * g.ramp(2.0 * np.sin(down * 26) + 0.5))[..., None]
        )
    if clothes.collar in ("shirt", "crew"):
        trim = second if clothes.collar == "crew" else np.clip(first * 1.25 + 0.02, 0, 1)
        cloth = cloth + (trim - cloth) * (0.6 * g.ramp((0.13 - below_edge) / 0.03))[..., None]
    colour = np.where(is_cloth[..., None], cloth * folds[..., None], skin)
    return (points * [clothes.width, 1.0, 1.0]) @ body.T, colour
