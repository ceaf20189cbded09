"""Encoders that learned nothing: raw pixels and a constant. Always in the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from paco_fr.contracts import CropContract, PixelContract, Tokens, content_hash
from paco_fr.utils.errors import unknown_name


@dataclass
class Pixels:
    """The picture itself, at 16 x 16 and 32 x 32; a token is the RGB value of one pixel."""

    name: str = "pixels"
    pixels: PixelContract = field(
        default_factory=lambda: PixelContract(32, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    )
    weight_hash: str = content_hash("pixels")
    blocks: Sequence[str] = ("16x16", "32x32")
    default_block: str = "32x32"
    reductions: Sequence[str] = ("flat",)
    required_crop: CropContract | None = None
    adapter_version: int = 1
    parameters: int = 0
    flops: float = 0.0
    facts: dict[str, Any] = field(default_factory=lambda: {"objective": "none"})

    def tokens(self, images: Tensor, blocks: Sequence[str]) -> Mapping[str, Tokens]:
        """Return (B, 256, 3) and (B, 1024, 3)."""
        sides = {block: int(block.partition("x")[0]) for block in blocks}
        return {
            block: Tokens(F.interpolate(images, size=side, mode="area").flatten(2).transpose(1, 2))
            for block, side in sides.items()
        }


@dataclass
class Constant:
    """The same token for every picture: what a head can do without seeing anything."""

    name: str = "constant"
    pixels: PixelContract = field(default_factory=lambda: PixelContract(8))
    weight_hash: str = content_hash("constant")
    blocks: Sequence[str] = ("none",)
    default_block: str = "none"
    reductions: Sequence[str] = ("flat",)
    required_crop: CropContract | None = None
    adapter_version: int = 1
    parameters: int = 0
    flops: float = 0.0
    facts: dict[str, Any] = field(default_factory=lambda: {"objective": "none"})

    def tokens(self, images: Tensor, blocks: Sequence[str]) -> Mapping[str, Tokens]:
        """Return zeros (B, 1, 1)."""
        return {block: Tokens(torch.zeros(len(images), 1, 1)) for block in blocks}


def load(name: str) -> Pixels | Constant:
    """Return ``pixels`` or ``constant``."""
    baselines: dict[str, type[Pixels | Constant]] = {"pixels": Pixels, "constant": Constant}
    if name not in baselines:
        raise unknown_name("encoder", name, baselines)
    return baselines[name]()
