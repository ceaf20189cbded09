"""What to render: the frozen description of a set of synthetic faces and its fingerprint.

A spec and the renderer version determine every picture. The module needs neither numpy nor numba.
"""

from __future__ import annotations

import hashlib
import json
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

RENDERER_VERSION = 2
"""Raised with every change that alters a picture or its truth."""

Expression = Literal["neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger"]
EXPRESSION_NAMES: tuple[Expression, ...] = (
    "neutral",
    "happiness",
    "sadness",
    "surprise",
    "fear",
    "disgust",
    "anger",
)
"""Expressions with a prototype, named as in :data:`paco_fr.contracts.EXPRESSIONS`."""

Occluder = Literal["none", "box", "hair", "glasses", "sunglasses", "surgical_mask", "scarf", "hand"]
Light = Literal["soft", "directional", "side", "top", "below", "dim", "overexposed", "coloured"]

TRAIN_OCCLUDERS: tuple[Occluder, ...] = ("box", "hair")
"""Kinds that pretraining may show; the others are kept for tests."""
TEST_OCCLUDERS: tuple[Occluder, ...] = ("glasses", "sunglasses", "surgical_mask", "scarf", "hand")
TRAIN_LIGHTS: tuple[Light, ...] = ("soft", "directional")
"""Light regimes that pretraining may show; the others are kept for tests."""
TEST_LIGHTS: tuple[Light, ...] = ("side", "top", "below", "dim", "overexposed", "coloured")

Range = tuple[float, float]


class Level(BaseModel):
    """Ranges that make a set of faces easy or hard. Angles in degrees, the rest as fractions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    yaw: Range
    pitch: Range
    roll: Range
    intensity: Range
    """Strength of the expression, 1 is the full prototype."""
    framing: Range
    """Longer side of the box of the 68 points of the face at rest as a share of the photograph."""
    shift: float
    """Largest displacement of the box centre as a share of the photograph."""


LEVELS = {
    "normal": Level(
        yaw=(-40, 40),
        pitch=(-20, 20),
        roll=(-15, 15),
        intensity=(0.65, 1.0),
        framing=(0.48, 0.58),
        shift=0.03,
    ),
    "hard": Level(
        yaw=(-75, 75),
        pitch=(-30, 30),
        roll=(-20, 20),
        intensity=(0.35, 1.0),
        framing=(0.43, 0.56),
        shift=0.06,
    ),
}


class FaceSpec(BaseModel):
    """A set of synthetic faces: how many, of whom, and what may happen to them.

    Two specs that differ only in a severity show the same faces in the same poses, so that levels of
    occlusion and light are paired.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    identities: int = Field(gt=0)
    images_per_identity: int = Field(gt=0)
    seed: int = Field(ge=0)
    first_identity: int = Field(default=0, ge=0)
    """Number of the first identity: disjoint ranges under one seed are disjoint people."""
    level: Literal["normal", "hard"] = "normal"
    expressions: tuple[Expression, ...] = Field(default=EXPRESSION_NAMES, min_length=1)
    occluders: tuple[Occluder, ...] = ("none",)
    occluder_share: float = Field(default=0.0, ge=0, le=1)
    """Share of pictures with an occluder, of a kind drawn evenly from ``occluders`` less "none"."""
    occluder_severity: float | None = Field(default=None, ge=0, le=1)
    """How much of the face the occluder hides, 0 little, 1 most; None draws it evenly."""
    lights: tuple[Light, ...] = Field(default=TRAIN_LIGHTS, min_length=1)
    light_severity: float | None = Field(default=None, ge=0, le=1)
    """How extreme the regime is, 0 mild, 1 extreme; None draws it evenly."""
    yaw: Range | None = None
    pitch: Range | None = None
    roll: Range | None = None
    intensity: Range | None = None
    framing: Range | None = None
    """Explicit ranges replace those of the level."""
    photo_size: int = Field(default=128, ge=16, le=2048)

    @model_validator(mode="after")
    def _occluders_exist(self) -> Self:
        if self.occluder_share > 0 and not self.occluder_kinds:
            raise ValueError("occluder_share is above 0 but occluders names no kind beside 'none'")
        for name in ("yaw", "pitch", "roll", "intensity", "framing"):
            bounds = getattr(self, name)
            if bounds is not None and bounds[0] > bounds[1]:
                raise ValueError(f"{name} must be (low, high), got {bounds}")
        return self

    @property
    def occluder_kinds(self) -> tuple[Occluder, ...]:
        """The kinds that may cover a face, without "none"."""
        return tuple(kind for kind in self.occluders if kind != "none")

    def __len__(self) -> int:
        """Number of pictures."""
        return self.identities * self.images_per_identity

    def ranges(self) -> Level:
        """Return the ranges of the level with the explicit ones in their place."""
        given = {name: getattr(self, name) for name in ("yaw", "pitch", "roll", "intensity", "framing")}
        return LEVELS[self.level].model_copy(update={k: v for k, v in given.items() if v is not None})

    def fingerprint(self) -> str:
        """Return the sha256 of renderer version and spec: equal prints, equal pictures."""
        text = json.dumps([RENDERER_VERSION, self.model_dump(mode="json")], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()
