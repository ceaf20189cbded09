"""What the packages agree on: the two contracts for a picture, and what an encoder is.

Pixels belong to the weights, the face crop belongs to the task. Both contracts are frozen values whose hashes
enter cache keys and result rows, so that a number can never be read without knowing how its pictures were
prepared. An encoder turns prepared pictures into patch tokens and perhaps a global token. This module imports
nothing heavy: task declarations use it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor


def content_hash(value: Any) -> str:
    """Return 16 hex digits of sha256 over the canonical JSON of a plain value."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class PixelContract:
    """What a set of weights expects of a prepared picture.

    Attributes:
        size: side of the square input in pixels.
        mean: per-channel mean subtracted after scaling to ``value_range``, in ``channels`` order.
        std: per-channel divisor, in ``channels`` order.
        channels: colour order.
        value_range: range that uint8 0..255 is mapped to before mean and std.
        interpolation: filter used to resize the task's canvas to ``size`` (always antialiased).

    """

    size: int
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    channels: Literal["RGB", "BGR"] = "RGB"
    value_range: tuple[float, float] = (0.0, 1.0)
    interpolation: Literal["bilinear", "bicubic"] = "bicubic"

    @property
    def hash(self) -> str:
        """Sixteen hex digits that change with any field."""
        return content_hash(asdict(self))


@dataclass(frozen=True)
class CropContract:
    """How a face is cut out of a photograph onto a square canvas.

    Attributes:
        rule: ``template`` maps five points by a similarity onto a named template; ``box`` takes the square
            around the centre of the record's box with side ``(1 + 2 * margin) * max(width, height)``;
            ``stretched`` draws out the box itself, each side widened by the margin, to a square;
            ``whole`` fits the whole photograph (letterboxed).
        template: name of the template in :mod:`paco_fr.faces.crop`, or of that which ``points`` are; only for rule
            ``template``.
        margin: share of the box's larger side added on each side, for rule ``box``; of either side for ``stretched``.
        canvas: side of the canvas in pixels.
        jitter: largest relative shift and scale change of a box crop, drawn from (seed, image); 0 for none.
        copies: number of jittered crops taken of one photograph.
        points: a template of one's own: left eye, right eye, nose tip, left and right mouth corner as shares of the
            canvas, (x, y) with (0, 0) its upper left and (1, 1) its lower right corner.
        warp: how much of the canvas's half side is squeezed by a hyperbolic tangent, so that all of the photograph
            lies on the canvas (FaRL's parsing has 0.8); 0 for none, see :func:`paco_fr.faces.crop.warped`.

    """

    rule: Literal["template", "box", "stretched", "whole"]
    template: str | None = None
    margin: float = 0.0
    canvas: int = 112
    jitter: float = 0.0
    copies: int = 1
    points: tuple[tuple[float, float], ...] = ()
    warp: float = 0.0

    def __post_init__(self) -> None:
        """Refuse combinations that mean nothing."""
        if (self.rule == "template") != (self.template is not None):
            raise ValueError(f"rule '{self.rule}' and template {self.template!r} do not fit together")
        if self.canvas < 8 or self.copies < 1 or self.jitter < 0 or not 0 <= self.warp <= 1:
            raise ValueError(f"canvas, copies, jitter or warp out of range in {self}")
        if self.points and (
            self.rule != "template" or len(self.points) != 5 or any(len(point) != 2 for point in self.points)
        ):
            raise ValueError(f"points are the five of a template, each (x, y), not {self.points!r}")
        object.__setattr__(self, "points", tuple((float(x), float(y)) for x, y in self.points))

    @property
    def hash(self) -> str:
        """Sixteen hex digits that change with any field; points and a warp that are not stated do not count."""
        fields = asdict(self)
        return content_hash({name: fields[name] for name in fields if name not in _LATER or fields[name]})

    @property
    def words(self) -> str:
        """What is cut out, in words; how large the canvas is, is not in them."""
        wide = 1 + 2 * self.margin
        grown = f", {wide:g} times as wide and as high" if self.margin else ""
        found = {
            "template": f"five points by a similarity onto the template '{self.template}'",
            "box": f"square around the box, {wide:g} times its larger side",
            "stretched": f"box{grown}, stretched to a square",
            "whole": "whole picture, letterboxed",
        }[self.rule]
        found += f", moved and scaled at random by up to {100 * self.jitter:g} %" if self.jitter else ""
        found += f", {self.copies} of each picture" if self.copies > 1 else ""
        return found + (f", tanh warp beyond {1 - self.warp:g} of the half side" if self.warp else "")

    def __str__(self) -> str:
        """Say it in words, for errors."""
        words = {
            "template": f"template {self.template}",
            "box": f"box with a margin of {self.margin:g}",
            "stretched": f"box with a margin of {self.margin:g}, stretched",
            "whole": "whole picture",
        }
        return f"{words[self.rule]} at {self.canvas} pixels"


_LATER = ("points", "warp")
"""Fields that came after rows had been stored: empty ones leave the hash as it was."""

EXPRESSIONS = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")
"""Canonical order of expression labels; datasets map their own codes onto it."""
BASIC_EXPRESSIONS = EXPRESSIONS[:7]
"""Those of sets that know no contempt."""

CROPS: dict[str, CropContract] = {
    "farl": CropContract("template", template="farl"),
    "arcface": CropContract("template", template="arcface"),
    "dlib": CropContract("template", template="dlib", canvas=150),
    "box": CropContract("box", margin=0.25),
    "whole": CropContract("whole"),
}
"""The named crops that tasks and ``--crops`` refer to."""


Diagnostics: TypeAlias = "Callable[..., Mapping[str, Tensor]]"
"""What an encoder may offer as ``diagnostics``: of prepared pictures (B, 3, size, size), what
:func:`paco_fr.model.diagnostics.diagnose` says of a codebook and the belief in it. A second argument, where given, holds
the pictures that masks are drawn from, so that a changed picture is looked at under the mask of the clean one."""


@dataclass(frozen=True)
class Tokens:
    """What an encoder says about a batch of B pictures at one block.

    Attributes:
        patches: (B, N, D) patch tokens in row-major grid order.
        pooled: (B, D) global token, or None where no loss trained one.

    """

    patches: Tensor
    pooled: Tensor | None = None


@runtime_checkable
class Encoder(Protocol):
    """A frozen face (or any image) encoder. Adapters only load weights and rename outputs.

    Attributes:
        name: as the user wrote it, e.g. ``paco:runs/a/checkpoint``.
        pixels: the pixel contract of the weights.
        weight_hash: sixteen hex digits of the weights; two encoders with equal hashes are equal.
        blocks: names of the blocks whose tokens can be had, first to last.
        default_block: the block to use where no validation split can choose.
        reductions: ways in which the tokens of a picture may be summarised, see paco_eval.features.extract.
        required_crop: crop that the weights cannot do without, or None.
        adapter_version: raised when the same weights would give other tokens.

    """

    name: str
    pixels: PixelContract
    weight_hash: str
    blocks: Sequence[str]
    default_block: str
    reductions: Sequence[str]
    required_crop: CropContract | None
    adapter_version: int
    parameters: int

    def tokens(self, images: Tensor, blocks: Sequence[str]) -> Mapping[str, Tokens]:
        """Return the tokens of the asked blocks for prepared images (B, 3, size, size)."""
        ...
