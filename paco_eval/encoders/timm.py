"""Any timm model, with the preprocessing that belongs to its weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import timm
import torch
from accelerate import PartialState
from timm.data import resolve_model_data_config
from torch import Tensor, nn

from paco_fr.checkpoint import weight_hash
from paco_fr.contracts import CropContract, PixelContract
from paco_fr.encoder import Tokens
from paco_fr.errors import PacoError, unknown_name


@dataclass
class TimmEncoder:
    """A timm model whose intermediate features are the patch tokens. See :class:`paco_fr.encoder.Encoder`."""

    name: str
    model: nn.Module
    pixels: PixelContract
    has_global: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    reductions: Sequence[str] = ("mean", "grid4")
    required_crop: CropContract | None = None
    adapter_version: int = 1

    def __post_init__(self) -> None:
        """Freeze the model and read off it what the harness asks for."""
        self.device = PartialState().device
        self.model.eval().requires_grad_(False).to(self.device)
        self.weight_hash = weight_hash(self.model)
        self.parameters = sum(parameter.numel() for parameter in self.model.parameters())
        depth = len(self.model.feature_info)
        self.blocks = tuple(str(block) for block in sorted({depth // 2, (3 * depth) // 4, depth} - {0}))
        self.default_block = str(depth)
        if self.has_global:
            self.reductions = (*self.reductions, "global")

    @torch.inference_mode()
    def tokens(self, images: Tensor, blocks: Sequence[str]) -> Mapping[str, Tokens]:
        """Return tokens of blocks counted from 1, after the model's final norm."""
        indices = [int(block) - 1 for block in blocks]
        maps = self.model.forward_intermediates(
            images.to(self.device), indices=indices, norm=True, intermediates_only=True
        )
        found = {}
        for block, feature_map in zip(blocks, maps, strict=True):
            patches = feature_map.flatten(2).transpose(1, 2)
            found[block] = Tokens(patches, patches.mean(1) if self.has_global else None)
        return found


def build(name: str, *, pretrained: bool) -> tuple[nn.Module, PixelContract]:
    """Return a timm model and its pixel contract; say so where name or weights are not to be had."""
    if not timm.is_model(name):
        raise unknown_name("timm model", name, timm.list_models())
    try:
        model = timm.create_model(name, pretrained=pretrained, num_classes=0)
    except Exception as error:  # timm raises whatever its download backend raises
        raise PacoError(f"timm:{name} could not be loaded ({type(error).__name__}: {error}). "
                        "Its weights must be in the Hugging Face cache or the network reachable.") from error  # fmt: skip
    if not hasattr(model, "forward_intermediates"):
        raise PacoError(
            f"timm:{name} gives no intermediate features; choose a model with forward_intermediates."
        )
    config = resolve_model_data_config(model)
    side = config["input_size"][-1]
    interpolation = "bilinear" if config["interpolation"] == "bilinear" else "bicubic"
    return model, PixelContract(
        side, tuple(config["mean"]), tuple(config["std"]), interpolation=interpolation
    )


def load(name: str) -> TimmEncoder:
    """Return ``timm:NAME`` with its pretrained weights."""
    model, pixels = build(name.removeprefix("timm:"), pretrained=True)
    return TimmEncoder(name, model, pixels)
