"""Everything about one picture, as frozen numbers that can be stored as JSON and mirrored.

Lengths are head units (10 cm), colours linear light in 0..1, angles degrees unless named otherwise.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from paco_fr.synthetic.shape.expression import ACTIONS
from paco_fr.synthetic.shape.identity import SKEWS, shape_names

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Mole:
    """A dark spot on the skin at face coordinates, with its radius and strength 0..1."""

    across: float
    down: float
    radius: float
    strength: float


@dataclass(frozen=True)
class Identity:
    """What stays with a person: form, skin and marks. Drawn from (seed, identity) alone."""

    shape: tuple[float, ...]
    """One number for each of :func:`identity.shape_names`, in standard deviations."""
    skin: Colour
    redness: float
    brow_colour: Colour
    brow_thickness: float
    brow_density: float
    lip_colour: Colour
    iris: Colour
    iris_radius: float
    lashes: float
    age: float
    freckles: float
    blotches: tuple[float, ...]
    """Weights of the skin patterns of :mod:`appearance`, the second half of them odd in the mirror."""
    beard_shadow: float
    """How dark shaved skin stays, 0 none."""
    moles: tuple[Mole, ...]

    def mirrored(self) -> Identity:
        """Return the person seen in a mirror."""
        turned = [-v if name in SKEWS else v for name, v in zip(shape_names(), self.shape, strict=True)]
        half = len(self.blotches) // 2
        blotches = self.blotches[:half] + tuple(-v for v in self.blotches[half:])
        moles = tuple(replace(mole, across=-mole.across) for mole in self.moles)
        return replace(self, shape=tuple(turned), blotches=blotches, moles=moles)


@dataclass(frozen=True)
class Pose:
    """Head angles by :mod:`paco_fr.faces.rotation`, and how far the body turns along."""

    yaw: float
    pitch: float
    roll: float
    body_yaw: float


@dataclass(frozen=True)
class Framing:
    """Where the camera stands and what it frames; see :func:`camera.framing_camera`."""

    distance: float
    framing: float
    shift: tuple[float, float]
    photo_size: int


@dataclass(frozen=True)
class Lighting:
    """One far light and its surround. ``direction`` points from the head to the light, camera frame."""

    regime: str
    severity: float
    direction: tuple[float, float, float]
    key: Colour
    ambient: Colour
    exposure: float
    noise: float
    """Standard deviation of the sensor noise in sRGB units 0..1."""
    noise_seed: int


@dataclass(frozen=True)
class Hair:
    """The hair of one picture. It changes between the pictures of a person."""

    colour: Colour
    thickness: float
    hairline: float
    """Face height of the hairline in the middle (negative is up)."""
    length: float
    """Face height down to which side and back hair falls; below 0.3 it is cropped above the ears."""
    fringe: float
    """How far hair falls over the forehead below the hairline."""
    parting: float
    """-1 to 1: across which side the fringe is swept; its sign is also that of the strand pattern."""
    wave: float
    """0 straight to 1 curly."""
    recession: float
    """0 to 1: how far the hairline steps back above the temples."""
    lift: float
    """0 to 1: how far hair stands off right from the hairline."""
    baldness: float
    """0 full hair to 1 none on top."""


@dataclass(frozen=True)
class Beard:
    """Facial hair of one picture: amounts 0..1 of the full beard and of the moustache, and its colour."""

    beard: float
    moustache: float
    colour: Colour


@dataclass(frozen=True)
class Clothes:
    """Collar ("crew", "v", "shirt", "high") and colours."""

    collar: str
    colour: Colour
    second: Colour
    stripes: float
    width: float


@dataclass(frozen=True)
class Patch:
    """A soft rectangle or disc of the background; place and size as shares of the photo."""

    x: float
    y: float
    half_width: float
    half_height: float
    softness: float
    round: bool
    colour: Colour


@dataclass(frozen=True)
class Background:
    """A vertical and horizontal gradient with patches over it."""

    top: Colour
    bottom: Colour
    side: float
    """Brightening toward the picture's right, -1..1."""
    patches: tuple[Patch, ...]


@dataclass(frozen=True)
class Occluder:
    """What hides part of the face. ``numbers`` are uniform draws whose meaning belongs to the kind."""

    kind: str
    severity: float
    colour: Colour
    second: Colour
    side: float
    """-1 or 1: from which side of the picture it comes."""
    numbers: tuple[float, ...]


@dataclass(frozen=True)
class FaceParameters:
    """One synthetic face: who, how, where, in which light."""

    identity_name: str
    image_id: str
    identity: Identity
    expression: str
    intensity: float
    actions: tuple[float, ...]
    """Strength of each of :data:`expression.ACTIONS`."""
    asymmetry: float
    gaze: tuple[float, float]
    """Turn of the eyes to the picture's right and down against the head, in degrees."""
    pose: Pose
    framing: Framing
    lighting: Lighting
    hair: Hair
    beard: Beard
    clothes: Clothes
    background: Background
    occluder: Occluder

    def __post_init__(self) -> None:
        if len(self.actions) != len(ACTIONS):
            raise ValueError(f"{len(ACTIONS)} action strengths are needed, got {len(self.actions)}")

    def mirrored(self) -> FaceParameters:
        """Return the parameters of the mirrored picture. Sensor noise is not mirrored."""
        pose, frame, light = self.pose, self.framing, self.lighting
        patches = tuple(replace(patch, x=1 - patch.x) for patch in self.background.patches)
        return replace(
            self,
            identity=self.identity.mirrored(),
            asymmetry=-self.asymmetry,
            gaze=(-self.gaze[0], self.gaze[1]),
            pose=replace(pose, yaw=-pose.yaw, roll=-pose.roll, body_yaw=-pose.body_yaw),
            framing=replace(frame, shift=(-frame.shift[0], frame.shift[1])),
            lighting=replace(light, direction=(-light.direction[0], *light.direction[1:])),
            hair=replace(self.hair, parting=-self.hair.parting),
            background=replace(self.background, side=-self.background.side, patches=patches),
            occluder=replace(self.occluder, side=-self.occluder.side),
        )

    def as_json(self) -> dict[str, Any]:
        """Return plain lists, numbers and strings, actions and shape by name."""
        plain = asdict(self)
        plain["actions"] = dict(zip(ACTIONS, self.actions, strict=True))
        plain["identity"]["shape"] = dict(zip(shape_names(), self.identity.shape, strict=True))
        return plain
