"""Every open choice of a pretraining run as a typed field with a default and a reason.

A recipe is a TOML file with these fields; ``--set section.key=value`` overrides single ones. Unknown keys
and impossible combinations are refused. "Paper" marks what arXiv 2508.09691 states; all else is our choice.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from paco_fr.contracts import PixelContract, content_hash
from paco_fr.utils.errors import FormatError, PacoError, unknown_name
from paco_fr.utils.untrusted import RECIPE, first_problem, parse_json, parse_toml, read_text


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

    dim: int = Field(96, gt=0, description="token width")
    depth: int = Field(1, ge=0, description="number of blocks; 0: a linear layer")
    heads: int = Field(3, gt=0, description="attention heads")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.dim % self.heads:
            raise ValueError(f"dim {self.dim} is not divisible by heads {self.heads}")
        return self


class MaskingConfig(Section):
    """Which patches are hidden. Structured masking is the paper's, the rule is ours."""

    strategy: Literal["random", "block", "region"] = Field(
        "random", description="what is hidden together: nothing, rectangles, or parts of a face (paper)"
    )
    ratio: float = Field(0.6, gt=0, lt=1, description="share of hidden patches, met exactly")
    region_share: float = Field(0.5, ge=0, le=1, description="share of the budget for whole regions")


class CodebookConfig(Section):
    """Patch tokens: whose they are, what they are made of, how they are mixed and how they learn."""

    scope: Literal["position", "shared"] = Field(
        "position", description="each grid cell has a codebook of its own, or all share one"
    )
    content: Literal["raw", "structure"] = Field(
        "structure",
        description="structure: free of mean and contrast, which visible neighbours lend to a chosen token",
    )
    tokens: int = Field(32, gt=1, description="K, tokens per codebook")
    candidates: int = Field(4, gt=0, description="k, tokens mixed for one hidden patch (paper: several)")
    temperature: float = Field(0.5, gt=0, description="tau of the belief's softmax; 1 blurs")
    incubation_rate: float = Field(0.1, ge=0, le=1, description="EMA rate in the first epoch; 0: off")
    rate: float = Field(0.005, ge=0, le=1, description="EMA rate afterwards; 0: off")
    memory: float = Field(0.05, gt=0, le=1, description="EMA rate of the usage statistics")
    revive: Literal["incubation", "always", "never"] = Field("incubation", description="dead tokens restart")
    revive_below: float = Field(0.02, ge=0, description="share of 1/K under which a token is dead")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.candidates > self.tokens:
            raise ValueError(f"candidates {self.candidates} exceed tokens {self.tokens}")
        return self


class BeliefConfig(Section):
    """The predictor that chooses tokens for hidden patches from their context."""

    place: Literal["trunk", "two-pass"] = Field(
        "trunk",
        description="where its tokens go. trunk: into the states that chose them; two-pass: into the picture, which encoder "
        "and decoder then see completed (paper)",
    )
    incubation_epochs: float = Field(0.0, ge=0, description="length of incubation (paper: 1); 0: none")
    sees: Literal["context", "pixels"] = Field(
        "context", description="after incubation; pixels: hidden ones for the whole run, the leak ablation"
    )


class LossConfig(Section):
    """Terms of the loss."""

    target: Literal["pixels", "normalised"] = Field(
        "normalised", description="normalised: each patch by itself"
    )
    belief: float = Field(1.0, ge=0, description="weight of the cross-entropy; off means collapse")
    spatial: float = Field(0.0, ge=0, description="weight of the region-pair consistency; 0: off")
    spatial_on: Literal["pixels", "features"] = Field(
        "pixels",
        description="what region pairs are compared on: the repaired and the true picture, or the encoder's tokens "
        "and those of a slow teacher that sees the whole picture",
    )
    teacher_rate: float = Field(
        0.004, gt=0, le=1, description="EMA rate at which a teacher follows the encoder"
    )


class DataConfig(Section):
    """Where faces come from and how they are cut. ``source`` is any SOURCE, or a folder of `data pack`."""

    source: str = Field(
        "synthetic:identities=2000,images_per_identity=5,seed=1",
        description="where faces come from: drawn ones, a folder, parquet, hf:OWNER/NAME",
    )
    crops: dict[Literal["aligned", "box", "whole"], float] = Field(
        {"aligned": 0.7, "box": 0.3}, description="share of each kind of crop, so that an encoder knows both"
    )
    template: Literal["farl", "arcface"] = Field(
        "arcface", description="where aligned crops put the five points"
    )
    jitter: float = Field(0.05, ge=0, lt=0.5, description="largest relative shift and scale change")
    flip: bool = Field(True, description="mirror every other picture")
    light: float = Field(
        0.0,
        ge=0,
        le=4,
        description="largest change of exposure, and of light across the picture, in stops; 0: none",
    )
    max_broken: float = Field(
        0.1, ge=0, le=1, description="share of unusable pictures past which a run stops"
    )
    shuffle_buffer: int = Field(
        65_536,
        gt=0,
        description="packed faces: pictures of whole shards among which the order is shuffled at once",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.crops or min(self.crops.values()) <= 0 or abs(sum(self.crops.values()) - 1) > 1e-6:
            raise ValueError(f"crops must be positive shares that sum to 1, got {self.crops}")
        return self


class OptimiserConfig(Section):
    """AdamW with warm-up and cosine decay."""

    learning_rate: float = Field(2e-3, gt=0, description="at batch 64; scaled linearly with the batch")
    batch: int = Field(64, gt=0, description="pictures per step over all processes")
    presentations: int = Field(200_000, gt=0, description="pictures shown in the whole run")
    warmup: float = Field(0.05, ge=0, lt=1, description="share of the run")
    weight_decay: float = Field(0.05, ge=0, description="of matrices, as for masked autoencoders")
    betas: tuple[float, float] = Field((0.9, 0.95), description="of AdamW, as for masked autoencoders")
    clip: float = Field(3.0, gt=0, description="largest gradient norm")
    accumulate: int = Field(
        1, gt=0, description="parts in which each process works through its share of a batch"
    )
    precision: Literal["fp32", "bf16"] = Field(
        "fp32", description="bf16: autocast; weights and sums stay fp32"
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.batch % self.accumulate:
            raise ValueError(f"batch {self.batch} is not divisible by accumulate {self.accumulate}")
        return self


class RunConfig(Section):
    """How a run is carried out: nothing here changes what is learned, and a resumed run may change any of it."""

    compile: Literal["auto", "on", "off"] = Field(
        "auto",
        description="transformer blocks by torch.compile; auto: on a GPU. On a CPU it takes ten seconds or more and a C++ "
        "compiler, then gains an eighth of a step in bf16 and nothing in fp32 (recipe tiny)",
    )
    workers: int = Field(
        0, ge=0, description="processes beside each trainer that prepare batches; 0: the trainer itself"
    )
    save_seconds: float = Field(60.0, ge=0, description="a state is saved when this much time went by")
    keep_states: int = Field(2, gt=0, description="the newest states that stay; older ones are removed")
    verify: bool = Field(True, description="hold packed shards against their checksums before training")
    trackers: tuple[Literal["tensorboard", "wandb"], ...] = Field((), description="that are told, too")


class PretrainConfig(Section):
    """One pretraining run, whole."""

    name: str = Field("tiny", description="of the recipe; methods in tables are OBJECTIVE/NAME")
    objective: Literal["paco", "mae", "simmim", "data2vec", "untrained"] = Field(
        "paco", description="untrained: no step is taken"
    )
    seed: int = Field(0, ge=0, description="of weights, order, crops and masks")
    encoder: EncoderConfig = EncoderConfig()
    decoder: DecoderConfig = DecoderConfig()
    masking: MaskingConfig = MaskingConfig()
    codebook: CodebookConfig = CodebookConfig()
    belief: BeliefConfig = BeliefConfig()
    loss: LossConfig = LossConfig()
    data: DataConfig = DataConfig()
    optimiser: OptimiserConfig = OptimiserConfig()
    run: RunConfig = RunConfig()

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
        """Sixteen hex digits that change with any field, but those that say only how a run is carried out."""
        return content_hash(self.model_dump(mode="json", exclude={"run"}))


REMOVED: dict[str, Any] = {
    "masking.regions": "template",
    "masking.pairs": False,
    "codebook.space": "pixel",
    "codebook.selection": "soft",
    "codebook.temperature_end": None,
    "codebook.start": "patches",
    "codebook.gradient": True,
    "belief.incubation": "faded",
    "loss.codes": 0.0,
    "loss.patches": "hidden",
}
"""Settings of earlier versions, and the one value of each that is still what is done."""

UNREAD = ("run.fused", "belief.dim", "belief.depth", "belief.heads")
"""Settings of earlier versions that change nothing of what is still done, whatever they say."""


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
        text = read_text(path, RECIPE, "Name a recipe, or write it anew.")
    elif name_or_path in recipes():
        text = files("paco_fr.recipes").joinpath(f"{name_or_path}.toml").read_text(encoding="utf-8")
    else:
        raise unknown_name("recipe", name_or_path, recipes())
    values = parse_toml(text, f"Recipe {name_or_path}")
    for key, value in (overrides or {}).items():
        *sections, field = key.split(".")
        target = values
        for section in sections:
            target = target.setdefault(section, {})
        target[field] = value
    return parse_config(values, f"recipe {name_or_path}")


def set_fields(pairs: Iterable[str], option: str = "--set") -> dict[str, Any]:
    """Return ``section.key=value`` pairs with values read as JSON where they are JSON, else as text.

    Raises:
        PacoError: a pair without an equals sign; it names the ``option``.

    """
    found: dict[str, Any] = {}
    for pair in pairs:
        key, separator, text = pair.partition("=")
        if not separator or not key:
            raise PacoError(f"{option}: '{pair}' is not of the form key=value.")
        try:
            found[key] = parse_json(text, option, expect=None)
        except FormatError:
            found[key] = text
    return found


def parse_config(values: dict[str, Any], where: str) -> PretrainConfig:
    """Return the checked configuration, or raise naming ``where``, the key and what is wrong with it."""
    try:
        return PretrainConfig.model_validate(without_removed(values))
    except ValidationError as error:
        key = ".".join(str(part) for part in error.errors()[0]["loc"])
        said = first_problem(error)
        if key in REMOVED:
            said = (
                f"{key}: no longer a setting, what is done is {json.dumps(REMOVED[key])}. Take it out of a recipe; a "
                "checkpoint trained with it still gives its encoder, but not its codebook, belief or training"
            )
        elif error.errors()[0]["type"] == "extra_forbidden":
            raise PacoError(f"In {where}: {unknown_name('setting', key, fields())}") from error
        raise PacoError(f"In {where}: {said}.") from error


def fields() -> list[str]:
    """Return every setting of a run, as ``section.key``."""
    return [key for section, found in _sections() for key in (f"{section}{name}" for name in found)]


def _sections() -> Iterable[tuple[str, list[str]]]:
    for name, field in PretrainConfig.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield f"{name}.", list(field.annotation.model_fields)
        else:
            yield "", [name]


def without_removed(values: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration without the settings of earlier versions that say what is still done.

    One that asks for something else stays, to be refused by name.
    """
    kept = {name: dict(value) if isinstance(value, dict) else value for name, value in values.items()}
    rival = values.get("objective", "paco") != "paco"  # has no belief, whose place was "visible" by default
    removed = REMOVED | ({"belief.place": "visible"} if rival else {})
    for key in [*removed, *UNREAD]:
        section, field = key.split(".")
        settings = kept.get(section)
        if not isinstance(settings, dict) or field not in settings:
            continue
        if key in UNREAD or settings[field] == removed[key]:
            del settings[field]
    return kept
