"""The skin as a texture over the head's grid: what stays with a person, and what moves with expression.

A texture of ``detail`` k has k texels a grid cell; its texel (row, column) shows the skin at grid place
``(column, row) / k``. All features are drawn at fixed face coordinates, so their masks are shared by all
faces and an identity is a mixture of them. Colours are linear light.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt

from paco_fr.synthetic.head import hair
from paco_fr.synthetic.parameters import Beard, Hair, Identity
from paco_fr.synthetic.shape import geometry as g
from paco_fr.synthetic.shape.expression import ACTIONS
from paco_fr.utils.jit import compiled
from paco_fr.utils.random import generator

F32 = npt.NDArray[np.float32]

BLOTCHES = 8
"""Skin patterns; the first half are even in the mirror, the second half odd."""

# Lines that deepen with age and expression: strength always, strength with age, strength by action, and
# the share of the action's part that only old skin shows.
_LINES: dict[str, tuple[float, float, dict[str, float], float]] = {
    "fold": (
        0.06,
        0.14,
        {"smile": 0.34, "upper_lip_raise": 0.26, "nose_wrinkle": 0.20, "stretch": 0.08},
        0.0,
    ),
    "forehead": (0.0, 0.09, {"inner_brow_raise": 0.22, "outer_brow_raise": 0.22}, 0.65),
    "frown": (0.0, 0.05, {"brow_lower": 0.42}, 0.0),
    "crow": (0.0, 0.07, {"cheek_raise": 0.28}, 0.6),
    "bunny": (0.0, 0.0, {"nose_wrinkle": 0.34}, 0.0),
    "bags": (0.05, 0.16, {"cheek_raise": 0.18}, 0.0),
    "chin": (0.0, 0.06, {"chin_raise": 0.22}, 0.0),
    "lip_line": (0.72, 0.0, {"lips_part": -0.96, "jaw_drop": -1.9, "upper_lip_raise": -0.77}, 0.0),
    "dimple": (0.0, 0.0, {"smile": 0.22, "press": 0.12}, 0.0),
}
WRINKLES = tuple(_LINES)
"""Names of the lines that deepen with expression and age."""


@cache
def _line_table() -> tuple[F32, F32, F32, F32]:
    """Return always (K,), with age (K,), by action (K, A), and by action times age (K, A)."""
    always = np.array([line[0] for line in _LINES.values()])
    age = np.array([line[1] for line in _LINES.values()])
    by_action = np.array([[line[2].get(name, 0.0) for name in ACTIONS] for line in _LINES.values()])
    old = np.array([line[3] for line in _LINES.values()])[:, None]
    young = by_action * (1 - old)
    return always.astype("f4"), age.astype("f4"), young.astype("f4"), (by_action * old).astype("f4")


def line_strengths(age: float, actions: F32) -> F32:
    """Return the darkness (len(WRINKLES),) of all lines at an age 0..1 and action strengths (A,)."""
    always, with_age, young, old = _line_table()
    shown = np.clip(actions, 0, 1)
    moved = ((young + np.float32(age) * old) * shown).sum(axis=1)
    return np.asarray(np.clip(always + np.float32(age) * with_age + moved, 0, 0.72), dtype=np.float32)


@dataclass(frozen=True)
class SkinMap:
    """Shared masks of one detail, all (H, W) float32.

    Attributes:
        shade: name to darkening mask 0..1 of what every face has.
        wrinkle: (len(WRINKLES), H, W) darkening masks of what an expression or age draws.
        wrinkle_rows: (len(WRINKLES), 2) rows from and to which each has an effect.
        tint: name to mask of redder or darker zones, lips, beard and brow coordinates.
        across: face coordinates of the texels.
        down: see ``across``.
        angle: (W,) azimuth of the texel columns.
        blotches: (BLOTCHES, H, W) smooth patterns with mean 0 and deviation 1.
        grain: (BLOTCHES, H, W) the same, fine.
        hair_masks: (2, H, W) where beard and moustache grow.

    """

    shade: dict[str, F32]
    wrinkle: F32
    wrinkle_rows: npt.NDArray[np.int64]
    tint: dict[str, F32]
    across: F32
    down: F32
    angle: F32
    blotches: F32
    grain: F32
    hair_masks: F32


def _finer(field: g.Floats, detail: int) -> g.Floats:
    """Return a (ROWS, COLUMNS) field at ``detail`` texels a cell, linear between grid points."""
    rows = np.arange((g.ROWS - 1) * detail + 1) / detail
    columns = np.arange((g.COLUMNS - 1) * detail + 1) / detail
    r, c = np.minimum(rows.astype(int), g.ROWS - 2), np.minimum(columns.astype(int), g.COLUMNS - 2)
    v, u = (rows - r)[:, None], (columns - c)[None, :]
    top = field[r][:, c] * (1 - u) + field[r][:, c + 1] * u
    bottom = field[r + 1][:, c] * (1 - u) + field[r + 1][:, c + 1] * u
    return np.asarray(top * (1 - v) + bottom * v)


def soft_step(t: g.Floats, width: float) -> g.Floats:
    """Return a smooth step from 0 to 1 that is 1/2 at t = 0 and ``width`` wide on each side."""
    return g.ramp(t / (2 * width) + 0.5)


@lru_cache(maxsize=4)
def skin_map(detail: int) -> SkinMap:
    """Return the shared masks at a detail; computed once a process."""
    head = g.head_grid()
    across, down = _finer(head.across, detail), _finer(head.down, detail)
    front = _finer(head.front, detail)
    x, y = np.abs(across), down
    gauss = g.gauss

    t = (x - g.EYE[0]) / g.EYE_HALF_WIDTH
    top, bottom = g.upper_lid(across), g.lower_lid(across)
    eye_span = g.ramp((1.10 - np.abs(t)) / 0.12)
    outer = g.ramp((t + 0.9) / 1.5)
    lash_top = eye_span * gauss((y - top + 0.004) / (0.010 + 0.005 * outer)) * (0.65 + 0.35 * outer)
    lash_bottom = eye_span * gauss((y - bottom - 0.004) / 0.008) * (0.3 + 0.5 * outer)
    wing = gauss((t - 1.08) / 0.10) * gauss((y - top + 0.008 - 0.02 * (1 - t)) / 0.012)
    crease = g.ramp((1.18 - np.abs(t)) / 0.35) * gauss((y - top + 0.036 + 0.012 * (1 - t * t)) / 0.011)

    mouth_span = g.ramp((1.03 - x / g.MOUTH_HALF_WIDTH) / 0.10)
    lips = mouth_span * soft_step(y - g.upper_lip(across), 0.012) * soft_step(g.lower_lip(across) - y, 0.014)
    lip_line = g.ramp((1.0 - x / g.MOUTH_HALF_WIDTH) / 0.08) * gauss((y - g.MOUTH_DOWN) / 0.009)

    # Fold from the wing of the nose to beyond the mouth corner.
    along = (y - 0.43) / (0.80 - 0.43)
    fold_x = 0.165 + 0.165 * np.clip(along, 0, 1.1) ** 0.85
    fold = gauss((x - fold_x) / 0.022) * g.ramp(along / 0.15) * g.ramp((1.05 - along) / 0.35)

    shade = {
        "socket": 0.16 * gauss((x - 0.28) / 0.19) * gauss((y + 0.05) / 0.085)
        + 0.22 * gauss((x - 0.165) / 0.055) * gauss((y + 0.005) / 0.07),
        "crease": 0.34 * crease,
        "under_eye": 0.10 * gauss((x - 0.29) / 0.13) * gauss((y - 0.095) / 0.030),
        "nostrils": 0.85 * gauss((x - 0.068) / 0.034) * gauss((y - 0.487) / 0.0145),
        "wing": 0.30 * gauss((x - 0.172) / 0.014) * gauss((y - 0.45) / 0.045)
        + 0.20 * gauss(x / 0.13) * gauss((y - 0.515) / 0.022),
        "nose_side": 0.10 * gauss((x - 0.135) / 0.04) * gauss((y - 0.25) / 0.14),
        "philtrum": 0.07 * gauss(x / 0.018) * gauss((y - 0.59) / 0.04),
        "corner": 0.35 * gauss((x - 0.268) / 0.022) * gauss((y - g.MOUTH_DOWN) / 0.022),
        "under_lip": 0.22 * gauss(x / 0.15) * gauss((y - 0.862) / 0.030),
        "under_jaw": 0.35 * g.ramp((y - 1.06) / 0.08),
    }
    forehead = sum(gauss((y - h - 0.02 * np.cos(4 * x)) / 0.013) for h in (-0.36, -0.435, -0.51))
    wrinkle = {
        "fold": fold,
        "forehead": np.asarray(forehead) * gauss(x / 0.36),
        "frown": gauss((x - 0.055 - 0.05 * (y + 0.2)) / 0.014) * gauss((y + 0.20) / 0.07),
        "crow": g.ramp((x - 0.485) / 0.03)
        * g.ramp((0.60 - x) / 0.06)
        * (0.5 + 0.5 * np.cos((y - 0.01) * 190)) ** 3
        * gauss((y - 0.01) / 0.06),
        "bunny": gauss((x - 0.075) / 0.05) * (gauss((y - 0.06) / 0.012) + gauss((y - 0.105) / 0.012)),
        "bags": gauss((y - 0.085 + 0.10 * (x - 0.3) ** 2) / 0.012) * gauss((x - 0.29) / 0.12),
        "chin": gauss((y - 0.905) / 0.018) * gauss(x / 0.13),
        "lip_line": lip_line,
        "dimple": gauss((x - 0.335) / 0.018) * gauss((y - 0.70) / 0.05),
    }
    brow_t = (x - 0.115) / 0.40
    # Upper edge of a beard: under the lower lip, around the mouth corner, up the cheek to the sideburn.
    edge_x = [0.0, 0.17, 0.25, 0.32, 0.42, 0.50, 0.56, 0.61, 0.66, 0.9]
    edge_y = [0.90, 0.87, 0.77, 0.75, 0.70, 0.58, 0.42, 0.14, -0.02, -0.02]
    steps = (-0.08, -0.04, 0.0, 0.04, 0.08)  # the edge is steep on the cheek: soften it sideways, too
    beard = sum(g.ramp((y - np.interp(x + step, edge_x, edge_y)) / 0.16 + 0.3) for step in steps) / len(steps)
    behind = np.cos(np.interp(np.arange(across.shape[1]) / detail, np.arange(g.COLUMNS), head.angle))[None, :]
    beard = np.asarray(beard) * g.ramp((behind - 0.02) / 0.30)
    chin_clear = 1 - 0.85 * gauss((x - 0.15) / 0.06) * gauss((y - 0.86) / 0.035)
    moustache = g.ramp((y - 0.525 - 0.30 * x) / 0.06) * g.ramp((0.33 - x) / 0.14) * soft_step(0.76 - y, 0.04)
    tint = {
        "cheek": gauss((x - 0.42) / 0.16) * gauss((y - 0.30) / 0.16),
        "nose": gauss(x / 0.13) * gauss((y - 0.42) / 0.09),
        "chin": 0.5 * gauss(x / 0.16) * gauss((y - 1.0) / 0.10),
        "lids": gauss((x - 0.31) / 0.17) * gauss((y + 0.01) / 0.10),
        "pale": gauss(x / 0.40) * gauss((y + 0.45) / 0.20),
        "lips": lips * front,
        "lash": np.clip(lash_top + wing, 0, 1),
        "lash_bottom": lash_bottom,
        "brow_t": brow_t,
        "brow_off": y - g.brow_line(across),
        "beard": np.clip(beard, 0, 1) * chin_clear * (1 - lips),
        "moustache": np.clip(moustache, 0, 1) * (1 - lips),
    }
    blotches, grain = _patterns(across, down)
    lines = np.stack([wrinkle[name] * front for name in WRINKLES]).astype(np.float32)
    return SkinMap(
        {k: (v * front).astype(np.float32) for k, v in shade.items()},
        lines,
        rows_of(lines),
        {k: v.astype(np.float32) for k, v in tint.items()},
        across.astype(np.float32),
        down.astype(np.float32),
        np.interp(np.arange(across.shape[1]) / detail, np.arange(g.COLUMNS), head.angle).astype(np.float32),
        blotches,
        grain,
        np.stack([tint["beard"], tint["moustache"]]).astype(np.float32) * (1 + 0.05 * grain[0]),
    )


def _patterns(across: g.Floats, down: g.Floats) -> tuple[F32, F32]:
    """Return coarse and fine patterns (BLOTCHES, H, W), half of them even in the mirror, half odd."""
    rng = generator("synthetic skin patterns", 1)
    out = []
    for cells in (14, 70):
        lattice = rng.standard_normal((BLOTCHES, cells + 1, 2 * cells + 2))
        flipped = lattice[:, :, ::-1]
        even, odd = (lattice + flipped) / np.sqrt(2), (lattice - flipped) / np.sqrt(2)
        both = np.concatenate([even[: BLOTCHES // 2], odd[BLOTCHES // 2 :]])
        u = np.clip((across / 1.6 + 1) / 2, 0, 1) * (2 * cells + 1)
        v = np.clip((down + 1.15) / 2.35, 0, 1) * cells
        c, r = np.minimum(u.astype(int), 2 * cells), np.minimum(v.astype(int), cells - 1)
        u, v = g.ramp(u - c), g.ramp(v - r)
        top = both[:, r, c] * (1 - u) + both[:, r, c + 1] * u
        bottom = both[:, r + 1, c] * (1 - u) + both[:, r + 1, c + 1] * u
        out.append((top * (1 - v) + bottom * v).astype(np.float32))
    return out[0], out[1]


def rows_of(masks: F32) -> npt.NDArray[np.int64]:
    """Return (K, 2) the first row and the row after the last in which masks (K, H, W) are above 1 %."""
    used = masks.max(axis=2) > 0.01
    return np.stack([used.argmax(axis=1), used.shape[1] - used[:, ::-1].argmax(axis=1)], axis=1).astype(
        np.int64
    )


def paint_identity(who: Identity, detail: int) -> F32:
    """Return the texture (H, W, 3) of a face at rest, shaved and without scalp hair."""
    m = skin_map(detail)
    skin = np.array(who.skin, dtype=np.float32)
    weights = np.array(who.blotches, dtype=np.float32)
    coarse = mix_patterns(m.blotches, weights)
    fine = mix_patterns(m.grain, weights)
    red = np.float32(who.redness) * (m.tint["cheek"] + m.tint["nose"] + m.tint["chin"]) + 0.5 * m.tint["lids"]
    red = red * (1 + 0.3 * coarse)
    texture = skin * (1 + 0.035 * coarse + 0.020 * fine + 0.05 * m.tint["pale"])[..., None]
    texture = texture * np.stack([1 - 0.02 * red, 1 - 0.17 * red, 1 - 0.15 * red], axis=-1)
    if who.freckles > 0.02:
        spots = np.clip(fine - 0.9, 0, 1) * (m.tint["cheek"] + m.tint["nose"] + 0.15)
        texture = texture * (
            1 - np.float32(who.freckles) * spots[..., None] * np.array([0.35, 0.5, 0.6], np.float32)
        )
    if who.beard_shadow > 0:
        stubble = np.maximum(m.tint["beard"], m.tint["moustache"]) * np.float32(0.34 * who.beard_shadow)
        texture = texture * (1 - stubble * (1 + 0.08 * fine))[..., None]
    for mole in who.moles:
        spot = np.exp(-((m.across - mole.across) ** 2 + (m.down - mole.down) ** 2) / mole.radius**2)
        texture = texture * (1 - np.float32(mole.strength * 0.8) * spot)[..., None]
    lips = m.tint["lips"][..., None] * np.float32(0.92)
    texture += (np.array(who.lip_colour, np.float32) * (1 + 0.05 * fine)[..., None] - texture) * lips
    dark = np.ones_like(m.across)
    for mask in m.shade.values():
        dark = dark * (1 - mask)
    texture *= soft_dark(dark)
    _blend(texture, brow_mask(m, who), np.array(who.brow_colour, np.float32))
    lash = np.clip(
        m.tint["lash"] * (0.45 + 0.5 * who.lashes) + 0.45 * m.tint["lash_bottom"] * who.lashes, 0, 0.95
    )
    _blend(texture, lash.astype(np.float32), np.array([0.012, 0.009, 0.008], np.float32))
    return np.asarray(texture, dtype=np.float32)


def soft_dark(light: F32) -> F32:
    """Return (H, W, 3) factors for skin that gets a share ``light`` of the light: shadow in skin is warm."""
    return np.asarray(np.stack([light**0.82, light**1.06, light**1.12], axis=-1), dtype=np.float32)


def mix_patterns(patterns: F32, weights: F32) -> F32:
    """Return the weighted sum of (K, H, W) patterns, scaled to keep their deviation."""
    norm = np.float32(1 / max(float(np.sqrt((weights**2).sum())), 1e-6))
    total = np.zeros_like(patterns[0])
    for pattern, weight in zip(patterns, weights, strict=True):
        total += pattern * (weight * norm)
    return np.asarray(total)


def brow_mask(m: SkinMap, who: Identity) -> F32:
    """Return the opacity (H, W) of the brows: thick near the nose, tapering outward, frayed at the edges."""
    t, off = m.tint["brow_t"].astype(np.float64), m.tint["brow_off"].astype(np.float64)
    span = g.ramp((t + 0.04) / 0.14) * g.ramp((1.03 - t) / 0.22)
    half = 0.031 * who.brow_thickness * (1.05 - 0.62 * np.clip(t, 0, 1) ** 1.5)
    hairs = 0.16 * np.sin(90 * t + 160 * off) * np.sin(47 * t - 60 * off + 1.0)
    edge = g.ramp((half - np.abs(off)) / (0.022 + 0.4 * half) + 0.55 + hairs)
    return np.asarray(edge * span * who.brow_density, dtype=np.float32)


def _blend(texture: F32, opacity: F32, colour: F32) -> None:
    texture += (colour - texture) * opacity[..., None]


def paint_moment(base: F32, who: Identity, actions: F32, beard: Beard, scalp: Hair, detail: int) -> F32:
    """Return the texture (H, W, 3) of one picture: wrinkles of the expression, beard, roots of the hair.

    Args:
        base: from :func:`paint_identity`.
        who: the person; age deepens the lines.
        actions: (len(ACTIONS),) strengths.
        beard: facial hair of the picture.
        scalp: hair of the picture, whose roots darken the scalp.
        detail: texels a grid cell.

    """
    m = skin_map(detail)
    strengths = line_strengths(who.age, actions)
    fresh = hair.root_line(scalp, m.angle)
    return wear(
        base,
        m.wrinkle,
        m.wrinkle_rows,
        strengths,
        m.hair_masks,
        np.array([beard.beard, beard.moustache], np.float32),
        np.array(beard.colour, np.float32),
        m.down,
        fresh,
        np.array(scalp.colour, np.float32),
    )


@compiled
def wear(
    base: F32,
    wrinkles: F32,
    wrinkle_rows: npt.NDArray[np.int64],
    strengths: F32,
    masks: F32,
    amounts: F32,
    beard: F32,
    down: F32,
    roots: F32,
    scalp: F32,
) -> F32:
    """Return a texture (H, W, 3) with what one picture adds to it.

    Args:
        base: (H, W, 3) skin at rest.
        wrinkles: (K, H, W) masks; ``strengths`` (K,) how deep each is.
        wrinkle_rows: (K, 2) first row of each mask and the row after its last.
        strengths: see ``wrinkles``.
        masks: (2, H, W) where beard and moustache grow; ``amounts`` (2,) how much of them is worn.
        amounts: see ``masks``.
        beard: (3,) colour.
        down: (H, W) heights of the texels.
        roots: (W,) height above which hair roots darken the scalp.
        scalp: (3,) colour of the hair.

    """
    out = np.empty_like(base)
    one = np.float32(1.0)
    light, worn, rooted = np.empty((3, base.shape[1]), dtype=np.float32)
    for r in range(base.shape[0]):
        light[:] = one
        for k in range(strengths.shape[0]):
            if r < wrinkle_rows[k, 0] or r >= wrinkle_rows[k, 1]:
                continue
            strength, line = strengths[k], wrinkles[k, r]
            for c in range(light.shape[0]):
                light[c] *= one - strength * line[c]
        for c in range(light.shape[0]):
            worn[c] = max(amounts[0] * masks[0, r, c], amounts[1] * masks[1, r, c]) * np.float32(0.9)
            t = min(max((roots[c] + np.float32(0.02) - down[r, c]) / np.float32(0.12), np.float32(0.0)), one)
            rooted[c] = np.float32(0.88) * t * t * (np.float32(3.0) - np.float32(2.0) * t)
        for k in range(3):
            # Creases in skin are warm: red light gets further into them.
            warm = np.float32(0.86) if k == 0 else np.float32(1.05)
            for c in range(light.shape[0]):
                value = base[r, c, k] * (one - warm * (one - light[c]))
                value += (beard[k] - value) * worn[c]
                out[r, c, k] = value + (scalp[k] * np.float32(0.75) - value) * rooted[c]
    return out


@cache
def detail_for(samples_per_unit: int) -> int:
    """Return the texels a grid cell that suit a picture of so many samples a head unit."""
    return 1 if samples_per_unit < 90 else 2 if samples_per_unit < 180 else 3
