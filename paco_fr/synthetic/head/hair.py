"""Scalp hair: a shell around the head whose opacity ends along a frayed hairline.

The shell follows the head down to the ears and hangs straight from there. Its rows and columns are taken
from the head's grid, so hair sits right on every form of head.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import numpy.typing as npt

from paco_fr.synthetic.parameters import Hair
from paco_fr.synthetic.shape import geometry as g
from paco_fr.utils.random import generator

F32 = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

COLUMN_STEP = 2
HEAD_ROWS = np.array([*range(0, 18, 2), *range(18, 46, 3)])
"""Rows of the head that carry the shell, from the crown to below the eyes."""
HANGING_ROWS = 12
STRANDS = 512
STRANDS_ROUND = 150.0
"""Strand cells over half of the head."""

# Azimuth in degrees and height of the hairline of cropped hair, relative to the middle of the forehead
# above the temples and absolute from there.
_AROUND = np.array([0, 25, 42, 55, 64, 72, 78, 86, 96, 112, 130, 180.0])
_LINE = np.array([0.0, 0.01, 0.05, 0.16, 0.33, 0.50, 0.70, 0.62, 0.48, 0.55, 0.85, 1.20])
_REFERENCE = -0.66


def strand_pattern() -> F32:
    """Return (STRANDS,) periodic noise with mean 0 and deviation about 1/2: locks and single hairs."""
    rng = generator("synthetic strands", 1)
    fine, coarse = rng.standard_normal(STRANDS), rng.standard_normal(STRANDS // 8)
    locks = np.interp(np.arange(STRANDS) / 8, np.arange(STRANDS // 8 + 1), np.append(coarse, coarse[0]))
    pattern = 0.32 * fine + 0.40 * locks
    return np.asarray(pattern - pattern.mean(), dtype=np.float32)


def hairline(hair: Hair, angle: g.Floats) -> g.Floats:
    """Return the height at which hair ends at azimuths ``angle`` (radians), fringe and length included."""
    degrees = np.degrees(np.abs(angle))
    line = (
        _REFERENCE
        + np.interp(degrees, _AROUND, _LINE)
        + (hair.hairline - _REFERENCE) * g.ramp((75 - degrees) / 40)
    )
    if hair.length > 0.3:
        line = line + (hair.length - line) * g.ramp((degrees - 66) / 12)
    swept = np.clip(1 + 0.75 * hair.parting * np.sin(angle), 0.1, 2)
    line = line + hair.fringe * swept * g.ramp((70 - degrees) / 25)
    turned = np.sign(hair.parting) * angle
    line = line - 0.17 * hair.recession * g.gauss((degrees - 37) / 15) - 0.03 * hair.recession
    line = line + 0.03 * np.sin(8.9 * turned + 9 * hair.wave) * np.sin(7 * abs(hair.parting) + 4 * turned)
    top = hair.baldness * g.ramp((100 - degrees) / 30)
    return np.asarray(line - 1.1 * top * (degrees < 100))


def root_line(hair: Hair, angle: F32) -> F32:
    """Return the height (W,) down to which the scalp is darkened by roots at azimuths (W,)."""
    return hairline(replace(hair, fringe=0.0, length=0.0), angle.astype(np.float64)).astype(np.float32)


def scalp_rays(rest: F32) -> tuple[Floats, Floats]:
    """Return the points (R, C, 3) of the head that hair stands on, and the unit directions it stands in."""
    columns = np.arange(0, g.COLUMNS, COLUMN_STEP)
    scalp = rest[HEAD_ROWS][:, columns].astype(np.float64)
    outward = scalp - np.array([0.0, -0.15, 0.05])
    return scalp, outward / np.maximum(np.linalg.norm(outward, axis=-1, keepdims=True), 1e-6)


@cache
def _places() -> tuple[Floats, Floats]:
    """Return azimuths (C,) in radians and heights (R, 1) of the shell's columns and head rows."""
    head = g.head_grid()
    return head.angle[::COLUMN_STEP], head.down[HEAD_ROWS, :1]


def hair_shell(scalp: Floats, outward: Floats, hair: Hair) -> tuple[Floats, Floats, Floats]:
    """Return the shell in the head frame.

    Args:
        scalp: from :func:`scalp_rays`.
        outward: from :func:`scalp_rays`.
        hair: the hair of the picture.

    Returns:
        points (R, C, 3), opacity (R, C) before fraying, strand coordinate (R, C).

    """
    angle, height = _places()
    line = hairline(hair, angle)[None, :]
    degrees = np.degrees(np.abs(angle))[None, :]

    rise = g.ramp((line - height) / 0.30 + 0.12 + 0.5 * hair.lift * (degrees < 70))
    bulk = hair.thickness * (0.55 + 0.45 * g.ramp((-height - 0.2) / 0.6)) * rise + 0.014
    turned = np.sign(hair.parting) * angle
    curls = np.sin(13 * turned + 4 * np.sin(9 * height)) * np.sin(15 * height + 5 * np.cos(6 * turned))
    bulk = bulk * (1 + 0.45 * hair.wave * curls) + 0.10 * hair.thickness * np.sin(2 * turned + 1) * rise
    if hair.length > 0.3:
        bulk = bulk + 0.11 * g.ramp((degrees - 60) / 30) * g.ramp((height + 0.5) / 0.5)
    shell = scalp + outward * bulk[..., None]

    # Hanging rows: straight down from the last head row, spreading a little toward the tips.
    tip = max(hair.length, 0.35)
    share = (np.arange(1, HANGING_ROWS + 1) / HANGING_ROWS)[:, None]
    start, beside = shell[-1], degrees > 60
    wave = 0.03 * hair.wave * np.sin(9 * share + 5 * np.abs(angle))
    spread = 1 + 0.10 * np.sin(np.pi * share * 0.9) * beside + wave
    behind = beside & (start[:, 2] > 0)
    hanging = np.empty((HANGING_ROWS, *start.shape))
    hanging[..., 0] = start[:, 0] * spread
    hanging[..., 1] = start[:, 1] + share * (tip + 0.12 - start[:, 1])
    hanging[..., 2] = start[:, 2] * (1 - 0.25 * share * behind) + 0.03 * share
    level = np.concatenate([np.broadcast_to(height, scalp.shape[:2]), hanging[..., 1]])
    softness = np.where(degrees < 75, 0.075, 0.085) + 0.10 * (line > 0.3)
    opacity = np.clip((line - level) / softness + 0.5, -2, 3)
    strand = turned * (STRANDS_ROUND / np.pi)
    strand = strand + 2.5 * hair.wave * np.sin(7 * level + 2 * abs(hair.parting))
    return np.concatenate([shell, hanging]), opacity, strand
