"""Scalp hair: a shell around the head whose opacity ends along a frayed hairline.

The shell follows the head down to the ears and hangs straight from there. Its rows and columns are taken
from the head's grid, so hair sits right on every form of head.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from paco_fr.randomness import generator
from paco_fr.synthetic import geometry as g
from paco_fr.synthetic.parameters import Hair

F32 = npt.NDArray[np.float32]

COLUMN_STEP = 2
_LAST_HEAD_ROW = 52
HEAD_ROWS = np.array([*range(0, 25, 2), *range(25, _LAST_HEAD_ROW + 1, 3)])
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
    return (pattern - pattern.mean()).astype(np.float32)


def hairline(hair: Hair, angle: g.Floats) -> g.Floats:
    """Return the height at which hair ends at azimuths ``angle`` (radians), fringe and length included."""
    degrees = np.degrees(np.abs(angle))
    line = _REFERENCE + np.interp(degrees, _AROUND, _LINE) + (hair.hairline - _REFERENCE) * g.ramp((75 - degrees) / 40)
    if hair.length > 0.3:
        line = line + (hair.length - line) * g.ramp((degrees - 66) / 12)
    swept = np.clip(1 + 0.75 * hair.parting * np.sin(angle), 0.1, 2)
    line = line + hair.fringe * swept * g.ramp((70 - degrees) / 25)
    turned = np.sign(hair.parting) * angle
    line = line + 0.03 * np.sin(8.9 * turned + 9 * hair.wave) * np.sin(7 * abs(hair.parting) + 4 * turned)
    top = hair.baldness * g.ramp((100 - degrees) / 30)
    return np.asarray(line - 1.1 * top * (degrees < 100))


def root_mask(hair: Hair, angle: F32, down: F32) -> F32:
    """Return how far hair roots darken the scalp, (H, W), for texel azimuths (W,) and heights (H, W)."""
    without_fringe = Hair(**{**hair.__dict__, "fringe": 0.0, "length": 0.0})
    line = hairline(without_fringe, angle.astype(np.float64)).astype(np.float32)
    return np.asarray(0.88 * g.ramp((line[None, :] + 0.02 - down) / 0.12), dtype=np.float32)


def hair_shell(rest: F32, hair: Hair) -> tuple[F32, F32, F32]:
    """Return the shell in the head frame.

    Args:
        rest: (ROWS, COLUMNS, 3) the head without expression.
        hair: the hair of the picture.

    Returns:
        points (R, C, 3), opacity (R, C) before fraying, strand coordinate (R, C).

    """
    columns = np.arange(0, g.COLUMNS, COLUMN_STEP)
    angle = g.head_grid().angle[columns]
    down = g.head_grid().down[HEAD_ROWS, 0]
    scalp = rest[HEAD_ROWS][:, columns].astype(np.float64)
    line = hairline(hair, angle)[None, :]
    degrees = np.degrees(np.abs(angle))[None, :]

    height = down[:, None]
    rise = g.ramp((line - height) / 0.30 + 0.15)
    bulk = hair.thickness * (0.55 + 0.45 * g.ramp((-height - 0.2) / 0.6)) * rise + 0.014
    falling = g.ramp((degrees - 60) / 30) if hair.length > 0.3 else np.zeros_like(degrees)
    bulk = bulk + 0.11 * falling * g.ramp((height + 0.5) / 0.5)
    centre = np.array([0.0, -0.15, 0.05])
    outward = scalp - centre
    outward /= np.maximum(np.linalg.norm(outward, axis=-1, keepdims=True), 1e-6)
    shell = scalp + outward * bulk[..., None]

    # Hanging rows: straight down from the last head row, spreading a little toward the tips.
    tip = max(hair.length, 0.35)
    share = (np.arange(1, HANGING_ROWS + 1) / HANGING_ROWS)[:, None]
    start = shell[-1]
    wave = 0.03 * hair.wave * np.sin(9 * share + 5 * np.abs(angle)[None, :])
    spread = 1 + 0.10 * np.sin(np.pi * share * 0.9) * (degrees > 60) + wave
    back = np.where(degrees > 60, 1.0, 0.0)
    hanging = np.stack(
        [
            start[None, :, 0] * spread,
            start[None, :, 1] + share * (tip + 0.12 - start[None, :, 1]),
            start[None, :, 2] * (1 - 0.25 * share * back * (start[None, :, 2] > 0)) + 0.03 * share,
        ],
        axis=-1,
    )
    points = np.concatenate([shell, hanging])
    level = np.concatenate([np.broadcast_to(height, scalp.shape[:2]), hanging[..., 1]])
    softness = np.where(degrees < 75, 0.075, 0.085) + 0.10 * (line > 0.3)
    opacity = (line - level) / softness + 0.5
    strand = np.sign(hair.parting) * np.broadcast_to(angle[None, :], level.shape) * (STRANDS_ROUND / np.pi)
    strand = strand + 2.5 * hair.wave * np.sin(7 * level + 2 * abs(hair.parting))
    return points.astype(np.float32), np.clip(opacity, -2, 3).astype(np.float32), strand.astype(np.float32)
