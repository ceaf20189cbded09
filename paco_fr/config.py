"""Every open choice of a pretraining run as a typed field with a default and a reason.

A recipe is a TOML file with these fields; ``--set section.key=value`` overrides single ones. Unknown keys
and impossible combinations are refused. "Paper" marks what arXiv 2508.09691 states; all else is our choice.
"""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from paco_fr.contracts import PixelContract, content_hash
from paco_fr.errors import PacoError, unknown_name


class Section(BaseModel):
    """A frozen group of settings that knows its fields and no others."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class EncoderConfig(Section):
    """The vision transformer that is pretrained and later evaluated."""

    size: int = Field(64, gt=0, description="input side in pixels")
    patch: int = Field(8, gt=0, description="patch side in pixels")
    dim: int = Field(96, gt=0, description="token width")
    depth: int = Field(4, gt=0, description="number of blocks")
    heads: int = Field(3, gt=0, description="attention heads")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.size % self.patch:
            raise ValueError(f"size {self.size} is not divisible by patch {self.patch}")
        if self.dim % self.heads:
            raise ValueError(f"dim {self.dim} is not divisible by heads {self.heads}")
        return self

    @property
    def grid(self) -> int:
        """Patches per side."""
        return self.size // self.patch

    @property
    def cells(self) -> int:
        """Patches per picture."""
        return self.grid**2

    @property
    def pixels(self) -> PixelContract:
        """The pixel contract of every encoder trained here."""
        return PixelContract(size=self.size, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))


class DecoderConfig(Section):
    """The light decoder that turns tokens into patches; thrown away after pretraining."""

    dim: int = Field(96, gt=0)
    depth: int = Field(1, ge=0)
    heads: int = Field(3, gt=0)


class MaskingConfig(Section):
    """Which patches are hidden. Structured masking is the paper's, the rule is ours."""

    strategy: Literal["random", "block", "region"] = "region"
    ratio: float = Field(0.6, gt=0, lt=1, description="share of hidden patches, met exactly")
    region_share: float = Field(0.5, ge=0, le=1, description="share of the budget for whole regions")


class CodebookConfig(Section):
    """Patch tokens in pixel space, one small codebook for each place on the aligned face."""

    tokens: int = Field(64, gt=1, description="K, tokens per position")
    candidates: int = Field(4, gt=0, description="k, tokens mixed for one hidden patch (paper: several)")
    temperature: float = Field(0.5, gt=0, description="tau of the belief's softmax; 1 blurs")
    incubation_rate: float = Field(0.1, ge=0, le=1, description="EMA rate in the first epoch")
    rate: float = Field(0.005, ge=0, le=1, description="EMA rate afterwards; the gradient moves codes too")
    memory: float = Field(0.05, gt=0, le=1, description="EMA rate of the usage statistics")
    revive_below: float = Field(0.02, ge=0, description="share of 1/K under which a token is dead")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.candidates > self.tokens:
            raise ValueError(f"candidates {self.candidates} exceed tokens {self.tokens}")
        return self


class BeliefConfig(Section):
    """The predictor that chooses tokens for hidden patches from their context."""

    place: Literal["visible", "two-pass", "separate"] = Field(
        "visible",
        description="visible: reads the encoder's visible tokens, chosen tokens enter the decoder; "
        "two-pass: the same, then the encoder sees the completed picture; separate: a network of its own",
    )
    dim: int = Field(96, gt=0)
    depth: int = Field(1, ge=1)
    heads: int = Field(3, gt=0)
    incubation_epochs: float = Field(1.0, ge=0, description="hidden pixels fade out over these (paper: 1)")


class LossConfig(Section):
    """Terms of the loss."""

    target: Literal["pixels", "normalised"] = "pixels"
    belief: float = Field(0.5, ge=0, description="weight of the cross-entropy; off means collapse")
    spatial: float = Field(1.0, ge=0, description="weight of the region-pair consistency")


class DataConfig(Section):
    """Where faces come from and how they are cut."""

    source: str = "synthetic:identities=2000,images_per_identity=5,seed=1"
    crops: dict[Literal["aligned", "box", "whole"], float] = {"aligned": 0.7, "box": 0.3}
    template: Literal["farl", "arcface"] = "arcface"
    jitter: float = Field(0.05, ge=0, lt=0.5, description="largest relative shift and scale change")
    flip: bool = True

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.crops or min(self.crops.values()) <= 0 or abs(sum(self.crops.values()) - 1) > 1e-6:
            raise ValueError(f"crops must be positive shares that sum to 1, got {self.crops}")
        return self


class OptimiserConfig(Section):
    """AdamW with warm-up and cosine decay."""

    learning_rate: float = Field(1e-3, gt=0, description="at batch 64; scaled linearly with the batch")
    batch: int = Field(64, gt=0, description="pictures per step over all processes")
    presentations: int = Field(200_000, gt=0, description="pictures shown in the whole run")
    warmup: float = Field(0.05, ge=0, lt=1, description="share of the run")
    weight_decay: float = Field(0.05, ge=0)
    betas: tuple[float, float] = (0.9, 0.95)
    clip: float = Field(3.0, gt=0, description="largest gradient norm")


class PretrainConfig(Section):
    """One pretraining run, whole."""

    name: str = "tiny"
    objective: Literal["paco", "mae"] = "paco"
    seed: int = Field(0, ge=0)
    encoder: EncoderConfig = EncoderConfig()
    decoder: DecoderConfig = DecoderConfig()
    masking: MaskingConfig = MaskingConfig()
    codebook: CodebookConfig = CodebookConfig()
    belief: BeliefConfig = BeliefConfig()
    loss: LossConfig = LossConfig()
    data: DataConfig = DataConfig()
    optimiser: OptimiserConfig = OptimiserConfig()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not 0 < self.hidden_cells < self.encoder.cells:
            raise ValueError(
                f"masking.ratio {self.masking.ratio} hides {self.hidden_cells} of {self.encoder.cells} patches; "
                "at least one must stay visible and one hidden"
            )
        return self

    @property
    def hidden_cells(self) -> int:
        """Exact number of hidden patches in every picture."""
        return round(self.masking.ratio * self.encoder.cells)

    @property
    def hash(self) -> str:
        """Sixteen hex digits that change with any field."""
        return content_hash(self.model_dump(mode="json"))


def recipes() -> list[str]:
    """Return the names of the recipes that ship."""
    return sorted(
        entry.name.removesuffix(".toml")
        for entry in files("paco_fr.recipes").iterdir()
        if entry.name.endswith(".toml")
    )


def load_recipe(name_or_path: str, overrides: dict[str, Any] | None = None) -> PretrainConfig:
    """Return the configuration of a named recipe or TOML file, with ``section.key`` overrides applied."""
    if name_or_path.endswith(".toml"):
        path = Path(name_or_path)
        if not path.is_file():
            raise PacoError(f"No recipe file {path}.")
        text = path.read_text(encoding="utf-8")
    elif name_or_path in recipes():
        text = files("paco_fr.recipes").joinpath(f"{name_or_path}.toml").read_text(encoding="utf-8")
    else:
        raise unknown_name("recipe", name_or_path, recipes())
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PacoError(f"Recipe {name_or_path} is not valid TOML: {error}.") from error
    for key, value in (overrides or {}).items():
        *sections, field = key.split(".")
        target = values
        for section in sections:
            target = target.setdefault(section, {})
        target[field] = value
    return parse_config(values, f"recipe {name_or_path}")


def parse_config(values: dict[str, Any], where: str) -> PretrainConfig:
    """Return the checked configuration, or raise naming ``where``, the key and what is wrong with it."""
    try:
        return PretrainConfig.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise PacoError(f"In {where}: {key + ': ' if key else ''}{first['msg']}.") from error
