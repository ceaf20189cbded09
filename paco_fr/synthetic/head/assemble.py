"""The head of one picture: the mean head, formed by identity and moved by expression, and what sits on it.

What belongs to a person (form, skin, ears, where hair stands) is kept for the next picture of that person.
"""

from __future__ import annotations

from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt

from paco_fr.synthetic.head import appearance, body, hair
from paco_fr.synthetic.head.shading import BALL_RADIUS
from paco_fr.synthetic.parameters import FaceParameters, Identity
from paco_fr.synthetic.shape import expression, identity
from paco_fr.synthetic.shape import geometry as g
from paco_fr.utils.jit import compiled

F32 = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


@cache
def grid_constants() -> tuple[F32, F32, F32]:
    """Return mean points, face coordinates with the heights of the lids' edges, and the side field."""
    head = g.head_grid()
    face = np.stack([head.across, head.down, g.upper_lid(head.across), g.lower_lid(head.across)], axis=-1)
    return head.points.astype(np.float32), face.astype(np.float32), expression.side_field().astype(np.float32)


@cache
def slope_rows(step: int) -> tuple[Rows, Rows]:
    """Return the rows before and after each of every ``step``-th row between which its slope is taken."""
    count = (g.ROWS - 1) // step + 1
    above, below = np.maximum(np.arange(count) - 1, 0), np.minimum(np.arange(count) + 1, count - 1)
    # The lips' edges take their slope from the lip, not across the opening of the mouth.
    below[g.UPPER_LIP_ROW // step] = g.UPPER_LIP_ROW // step
    above[g.LOWER_LIP_ROW // step] = g.LOWER_LIP_ROW // step
    return above, below


@compiled
def add_scaled(out: F32, fields: F32, rows: Rows, strengths: F32) -> None:
    """Add fields (K, R, N) by their strengths (K,) to out (R, N), each over its own rows (K, 2) only."""
    for k in range(fields.shape[0]):
        s = strengths[k]
        if s == 0:
            continue
        for r in range(rows[k, 0], rows[k, 1]):
            target, field = out[r], fields[k, r]
            for i in range(target.shape[0]):
                target[i] += s * field[i]


@compiled
def add_uneven(out: F32, base: F32, side: F32, asymmetry: np.float32) -> None:
    """Scale out (R, C, 3) by 1 + asymmetry * side (R, C) and add base."""
    for r in range(base.shape[0]):
        for c in range(base.shape[1]):
            factor = np.float32(1.0) + np.float32(asymmetry) * side[r, c]
            for d in range(3):
                out[r, c, d] = base[r, c, d] + factor * out[r, c, d]


def _with_rows(basis: F32) -> tuple[F32, Rows]:
    """Return a basis as (K, ROWS, COLUMNS * 3) and the rows (K, 2) outside which it does nothing."""
    flat = np.ascontiguousarray(basis.reshape(len(basis), g.ROWS, -1))
    moved = np.abs(flat).max(axis=2) > 1e-5
    first = moved.argmax(axis=1)
    last = g.ROWS - moved[:, ::-1].argmax(axis=1)
    return flat, np.stack([first, last], axis=1).astype(np.int64)


@cache
def _shape_fields() -> tuple[F32, Rows]:
    return _with_rows(identity.shape_basis())


@cache
def _action_fields() -> tuple[F32, Rows]:
    return _with_rows(expression.action_basis())


def deformed_head(face: FaceParameters) -> F32:
    """Return (ROWS, COLUMNS, 3) the head of a picture, expression included, in the head frame."""
    out = np.zeros((g.ROWS, g.COLUMNS, 3), dtype=np.float32)
    add_scaled(out.reshape(g.ROWS, -1), *_action_fields(), np.array(face.actions, dtype=np.float32))
    add_uneven(out, rest_head(face.identity), grid_constants()[2], np.float32(face.asymmetry))
    return out


@lru_cache(maxsize=256)
def rest_head(who: Identity) -> F32:
    """Return (ROWS, COLUMNS, 3) the head of a person without expression, in the head frame."""
    out = grid_constants()[0].copy()
    add_scaled(out.reshape(g.ROWS, -1), *_shape_fields(), np.array(who.shape, dtype=np.float32))
    return out


@lru_cache(maxsize=256)
def identity_ears(who: Identity) -> tuple[tuple[Floats, Floats], ...]:
    """Return points and kept light of the left and the right ear, in the head frame."""
    return tuple(body.ear(rest_head(who), side) for side in (-1, 1))


@lru_cache(maxsize=64)
def identity_texture(who: Identity, detail: int) -> F32:
    """Return the person's skin, painted once for all pictures of an identity."""
    return appearance.paint_identity(who, detail)


@lru_cache(maxsize=256)
def identity_scalp(who: Identity) -> tuple[Floats, Floats]:
    """Return what the hair of a person stands on."""
    return hair.scalp_rays(rest_head(who))


def eyes_and_teeth(face: FaceParameters, rotation: Floats) -> tuple[F32, F32]:
    """Return eyes (2, 6) and teeth (2,) as :func:`shading.shade_head` wants them."""
    rest = rest_head(face.identity)
    eyes = np.zeros((2, 6))
    iris = BALL_RADIUS * np.sin(np.radians(face.gaze))
    to_light = rotation.T @ np.array(face.lighting.direction)
    to_viewer = rotation.T @ np.array([0.0, 0.0, -1.0])
    half = to_light + to_viewer
    half /= max(float(np.linalg.norm(half)), 1e-6)
    for index, sign in ((0, -1), (1, 1)):
        column, row = _eye_place(sign)
        eyes[index, :2] = rest[row, column, :2] + [0.0, -0.006]
        eyes[index, 2:4] = iris
        eyes[index, 4:6] = iris * 0.5 + 0.07 * half[:2]
    teeth = rest[g.UPPER_LIP_ROW, g.MIDDLE, [1, 0]] + np.array([0.042, 0.0])
    return eyes.astype(np.float32), teeth.astype(np.float32)


@cache
def _eye_place(sign: int) -> tuple[int, int]:
    """Return the grid (column, row) in the middle of an eye."""
    column, row = np.rint(g.grid_place(np.array(sign * g.EYE[0]), np.array(g.EYE[1])))
    return int(column), int(row)
