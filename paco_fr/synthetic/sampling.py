"""Drawing of all parameters from a spec: identities by (seed, identity), the rest by (seed, image).

Each group of numbers has its own generator, so that a spec which changes one of them (another light, a
severity) leaves the others as they were. The image number counts from the first identity of all, not of
the spec: faces of disjoint identity ranges share no draw.
"""

from __future__ import annotations

import numpy as np

from paco_fr.synthetic import palette
from paco_fr.synthetic.parameters import (
    Background,
    Beard,
    Clothes,
    FaceParameters,
    Framing,
    Hair,
    Identity,
    Lighting,
    Mole,
    Occluder,
    Patch,
    Pose,
)
from paco_fr.synthetic.shape import expression
from paco_fr.synthetic.shape.identity import shape_names
from paco_fr.synthetic.spec import FaceSpec, Level, Range
from paco_fr.utils.random import generator

BLOTCHES = 8
FRONTAL_SHARE = 0.45
"""Share of poses drawn around frontal; the others are even over the range."""


EXPOSURE_SPREAD, WARMTH_SPREAD = 0.20, 0.12
"""Deviations in log exposure and in log red over green: what skin looks like must not name a person."""

SHAPE_SPREAD = 0.75
"""Deviation of the shape numbers: with all of them at 1 faces would be caricatures."""


def identity_numbers(seed: int, number: int) -> Identity:
    """Return the person with this number under this seed."""
    rng = generator("synthetic identity", seed, number)
    shape = np.clip(SHAPE_SPREAD * rng.standard_normal(len(shape_names())), -2.0, 2.0)
    tone = rng.uniform()
    skin = palette.along(palette.SKIN, tone)
    skin = skin * np.exp(0.10 * rng.standard_normal()) * np.exp([0.03, 0.045, 0.06] * rng.standard_normal(3))
    light_eyes = rng.uniform() < max(0.0, 1 - 1.9 * tone)
    iris = rng.choice(len(palette.IRIS), p=palette.IRIS_SHARE) if light_eyes else rng.integers(0, 2)
    brow = palette.along(palette.HAIR[:5], rng.uniform() ** 1.5 * (1 - 0.8 * tone))
    lip = skin * np.array([rng.uniform(0.72, 0.95), rng.uniform(0.38, 0.62), rng.uniform(0.42, 0.68)])
    man = rng.uniform() < 0.5
    moles = tuple(
        Mole(
            *(
                float(v)
                for v in (
                    rng.uniform(-0.55, 0.55),
                    rng.uniform(-0.55, 1.0),
                    rng.uniform(0.010, 0.020),
                    rng.uniform(0.35, 0.85),
                )
            )
        )
        for _ in range(rng.integers(0, 4))
    )
    return Identity(
        shape=tuple(float(v) for v in shape),
        skin=palette.colour(np.clip(skin, 0.015, 0.9)),
        redness=float(rng.uniform(0.2, 1.0)),
        brow_colour=palette.colour(brow),
        brow_thickness=float(np.exp(0.28 * rng.standard_normal()) * (1.15 if man else 0.85)),
        brow_density=float(rng.uniform(0.55, 0.95)),
        lip_colour=palette.colour(lip),
        iris=palette.toned(rng, palette.linear(palette.IRIS[iris]), 0.15, 0.04),
        iris_radius=float(rng.uniform(0.058, 0.065)),
        lashes=float(rng.uniform(0.35, 0.7) if man else rng.uniform(0.5, 1.0)),
        age=float(rng.uniform() ** 1.6),
        freckles=float(rng.uniform() ** 4),
        blotches=tuple(float(v) for v in rng.standard_normal(BLOTCHES)),
        beard_shadow=float(rng.uniform(0.1, 0.8) if man else 0.0),
        moles=moles,
    )


def face_parameters(spec: FaceSpec, index: int) -> FaceParameters:
    """Return everything about picture ``index`` of a spec.

    Pictures are ordered by identity: ``images_per_identity`` of the first one, then of the next.
    """
    if not 0 <= index < len(spec):
        raise IndexError(f"image {index} of {len(spec)}")
    number = spec.first_identity + index // spec.images_per_identity
    image = spec.first_identity * spec.images_per_identity + index
    ranges = spec.ranges()

    def rng(purpose: str) -> np.random.Generator:
        return generator(f"synthetic {purpose}", spec.seed, image)

    identity = identity_numbers(spec.seed, number)
    label, intensity, actions, asymmetry = _expression(rng("expression"), spec.expressions, ranges.intensity)
    hair = _hair(rng("hair"))
    return FaceParameters(
        identity_name=f"s{spec.seed}-{number}",
        image_id=f"s{spec.seed}-{number}-{index % spec.images_per_identity}",
        identity=identity,
        expression=label,
        intensity=intensity,
        actions=actions,
        asymmetry=asymmetry,
        gaze=_gaze(rng("gaze")),
        pose=_pose(rng("pose"), ranges),
        framing=_framing(rng("framing"), ranges, spec.photo_size),
        lighting=_lighting(rng("light"), spec.lights, spec.light_severity),
        hair=hair,
        beard=_beard(rng("beard"), identity, hair),
        clothes=_clothes(rng("clothes")),
        background=_background(rng("background")),
        occluder=_occluder(rng("occluder"), spec),
    )


def _between(rng: np.random.Generator, bounds: Range) -> float:
    return float(rng.uniform(bounds[0], bounds[1]))


def _expression(
    rng: np.random.Generator, names: tuple[str, ...], intensity_range: Range
) -> tuple[str, float, tuple[float, ...], float]:
    """Return label, intensity, action strengths and asymmetry."""
    label = names[int(rng.integers(len(names)))]
    intensity = _between(rng, intensity_range)
    own = np.clip(1 + 0.15 * rng.standard_normal(len(expression.ACTIONS)), 0.6, 1.4)
    stray = np.abs(0.05 * rng.standard_normal(len(expression.ACTIONS)))
    # Lips at rest are closed, but one face in six speaks.
    speaks = rng.uniform() < 1 / 6
    for name in ("lips_part", "jaw_drop"):
        stray[expression.ACTIONS.index(name)] *= 4.0 if speaks else 0.0
    strengths = np.clip(intensity * expression.prototype(label) * own + stray, 0, 1.25)
    jaw, blink = expression.ACTIONS.index("jaw_drop"), expression.ACTIONS.index("lid_close")
    strengths[jaw] = min(strengths[jaw], 1.0)
    if rng.uniform() < 0.03:
        strengths[blink] = 1.0
    return (
        label,
        intensity,
        tuple(float(v) for v in strengths),
        float(np.clip(0.10 * rng.standard_normal(), -0.3, 0.3)),
    )


def _gaze(rng: np.random.Generator) -> tuple[float, float]:
    turn = np.clip(rng.standard_normal(2) * [9.0, 5.0], [-22, -12], [22, 12])
    return float(turn[0]), float(turn[1])


def _angle(rng: np.random.Generator, bounds: Range, frontal: bool) -> float:
    """Draw around the middle of the range or evenly over it; both draws are made, so they stay in step."""
    even, normal = rng.uniform(*bounds), rng.standard_normal()
    near = (bounds[0] + bounds[1]) / 2 + 0.13 * (bounds[1] - bounds[0]) * normal
    return float(np.clip(near, *bounds) if frontal else even)


def _pose(rng: np.random.Generator, ranges: Level) -> Pose:
    frontal = bool(rng.uniform() < FRONTAL_SHARE)
    yaw, pitch = _angle(rng, ranges.yaw, frontal), _angle(rng, ranges.pitch, frontal)
    roll = _angle(rng, ranges.roll, frontal or bool(rng.uniform() < 0.5))
    follow = rng.uniform(0.1, 0.9)
    return Pose(yaw, pitch, roll, float(yaw * follow + 8 * rng.standard_normal()))


def _framing(rng: np.random.Generator, ranges: Level, photo_size: int) -> Framing:
    distance = float(np.exp(rng.uniform(np.log(6.0), np.log(16.0))))
    share = _between(rng, ranges.framing)
    shift = rng.uniform(-ranges.shift, ranges.shift, 2)
    return Framing(distance, share, (float(shift[0]), float(shift[1])), photo_size)


def _lighting(rng: np.random.Generator, regimes: tuple[str, ...], severity: float | None) -> Lighting:
    """Return the light. Directions are given as angles around (0 is from the camera) and above the eyes."""
    regime = regimes[int(rng.integers(len(regimes)))]
    drawn = float(rng.uniform())
    s = drawn if severity is None else severity
    around, above = rng.uniform(-35, 35), rng.uniform(5, 50)
    side = 1.0 if rng.uniform() < 0.5 else -1.0
    key, ambient = rng.uniform(0.50, 0.68), rng.uniform(0.42, 0.56)
    exposure = float(np.exp(EXPOSURE_SPREAD * rng.standard_normal()))
    noise = float(rng.uniform(0.002, 0.014))
    warmth = WARMTH_SPREAD * rng.standard_normal()
    spread = rng.uniform(-1, 1)
    hue = float(rng.uniform())
    if regime == "directional":
        around, key, ambient = around * 1.5, 0.85 + 0.25 * s, 0.42 - 0.17 * s
    elif regime == "side":
        around, above = side * (62 + 24 * s + 4 * spread), 15 + 15 * spread
        key, ambient = 1.05 + 0.25 * s, 0.34 - 0.31 * s
    elif regime == "top":
        around, above, key, ambient = around * 0.5, 62 + 16 * s, 1.0 + 0.35 * s, 0.34 - 0.29 * s
    elif regime == "below":
        around, above, key, ambient = around * 0.7, -35 - 20 * s, 0.80 + 0.25 * s, 0.36 - 0.30 * s
    elif regime == "dim":
        exposure *= 0.50 - 0.36 * s
        noise += 0.008 + 0.030 * s
    elif regime == "overexposed":
        exposure *= 1.7 + 2.3 * s
    tint = np.exp([warmth, 0.0, -warmth])
    key_colour = key * tint
    if regime == "coloured":
        strong = palette.hue(hue, 0.35 + 0.6 * s, 1.0)
        key_colour, ambient = 1.1 * key * strong, ambient * (1 - 0.6 * s)
    a, e = np.radians(around), np.radians(above)
    direction = (float(np.sin(a) * np.cos(e)), float(-np.sin(e)), float(-np.cos(a) * np.cos(e)))
    return Lighting(
        regime=regime,
        severity=s,
        direction=direction,
        key=_plain(key_colour),
        ambient=_plain(ambient * np.exp(-0.5 * np.array([warmth, 0.0, -warmth]))),
        exposure=exposure,
        noise=noise,
        noise_seed=int(rng.integers(2**31)),
    )


def _plain(values: np.ndarray) -> tuple[float, float, float]:
    r, g, b = (float(v) for v in values)
    return r, g, b


def _hair(rng: np.random.Generator) -> Hair:
    base = palette.linear(palette.HAIR[int(rng.choice(len(palette.HAIR), p=palette.HAIR_SHARE))])
    style = rng.choice(["cropped", "short", "long", "bald"], p=[0.22, 0.36, 0.34, 0.08])
    ranges = {"cropped": (0.015, 0.04), "short": (0.05, 0.20), "long": (0.06, 0.15), "bald": (0.015, 0.03)}
    fringed = rng.uniform() < {"cropped": 0.0, "short": 0.33, "long": 0.35, "bald": 0.0}[str(style)]
    return Hair(
        colour=palette.toned(rng, base, 0.18, 0.03),
        thickness=float(rng.uniform(*ranges[str(style)])),
        hairline=float(rng.uniform(-0.74, -0.60)),
        length=float(rng.uniform(0.6, 2.4)) if style == "long" else 0.0,
        fringe=float(rng.uniform(0.10, 0.34)) if fringed else 0.0,
        parting=float(rng.uniform(0.1, 1.0)) * (1.0 if rng.uniform() < 0.5 else -1.0),
        wave=float(rng.uniform() ** 2),
        recession=float(rng.uniform() ** 2),
        lift=float(rng.uniform()),
        baldness=float(rng.uniform(0.6, 1.0)) if style == "bald" else 0.0,
    )


def _beard(rng: np.random.Generator, identity: Identity, hair: Hair) -> Beard:
    """Beards grow on those whose skin shows a beard shadow; how long they are worn changes."""
    kind = rng.choice(["none", "stubble", "moustache", "beard"], p=[0.50, 0.22, 0.08, 0.20])
    amount = float(rng.uniform(0.5, 1.0))
    shade = float(rng.uniform(0.6, 1.0))
    can = identity.beard_shadow > 0.25
    beard = {"none": 0.0, "stubble": 0.35, "moustache": 0.0, "beard": 1.0}[str(kind)] * amount * can
    moustache = {"none": 0.0, "stubble": 0.35, "moustache": 1.0, "beard": 0.9}[str(kind)] * amount * can
    return Beard(float(beard), float(moustache), palette.colour(np.array(hair.colour) * shade))


def _clothes(rng: np.random.Generator) -> Clothes:
    collar = str(rng.choice(["crew", "v", "shirt", "high"], p=[0.35, 0.2, 0.3, 0.15]))
    first, second = palette.cloth(rng), palette.cloth(rng)
    stripes = float(rng.uniform(0.3, 1.0)) if rng.uniform() < 0.2 else 0.0
    return Clothes(collar, first, second, stripes, float(rng.uniform(0.9, 1.12)))


def _background(rng: np.random.Generator) -> Background:
    """Return a wall, a room or the open air, out of focus."""
    base = np.array(palette.wall(rng))
    kind = rng.choice(["plain", "room", "outdoors"], p=[0.3, 0.45, 0.25])
    patches = []
    for _ in range(
        {"plain": 0, "room": int(rng.integers(2, 7)), "outdoors": int(rng.integers(4, 9))}[str(kind)]
    ):
        soft = float(rng.uniform(0.01, 0.06) if kind == "room" else rng.uniform(0.04, 0.15))
        width = rng.uniform(0.04, 0.30) if kind == "room" else rng.uniform(0.05, 0.25)
        height = rng.uniform(0.08, 0.60) if kind == "room" else rng.uniform(0.05, 0.25)
        place = rng.uniform(0, 1, 2)
        shade = np.array(palette.wall(rng)) * 0.7 + base * 0.3
        patches.append(
            Patch(
                float(place[0]),
                float(place[1]),
                float(width),
                float(height),
                soft,
                kind == "outdoors",
                palette.colour(shade),
            )
        )
    drop = rng.uniform(0.55, 1.0)
    return Background(
        top=palette.colour(base),
        bottom=palette.colour(base * drop * np.exp(0.05 * rng.standard_normal(3))),
        side=float(rng.uniform(-0.4, 0.4)),
        patches=tuple(patches),
    )


def _occluder(rng: np.random.Generator, spec: FaceSpec) -> Occluder:
    kinds = spec.occluder_kinds
    shown = bool(kinds) and bool(rng.uniform() < spec.occluder_share)
    pick = int(rng.integers(max(len(kinds), 1)))
    drawn = float(rng.uniform())
    return Occluder(
        kind=kinds[pick] if shown else "none",
        severity=drawn if spec.occluder_severity is None else spec.occluder_severity,
        colour=palette.cloth(rng),
        second=palette.cloth(rng),
        side=1.0 if rng.uniform() < 0.5 else -1.0,
        numbers=tuple(float(v) for v in rng.uniform(size=8)),
    )
