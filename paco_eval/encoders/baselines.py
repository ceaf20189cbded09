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
    """The picture itself, at 16 x 16 and 32 x 32; a token is the RGB value of one pixel.

    Centred values lie around the middle of grey, -2 to 2; uncentred ones are 0 to 1, so that the cosine of two pictures
    grows with what they have in common in brightness. Which of the two is the harder floor depends on the set (uncentred
    under the lights of Extended Yale B, centred on even light), so validation chooses. Version 1 had the centred ones alone.
    """

    name: str = "pixels"
    pixels: PixelContract = field(
        default_factory=lambda: PixelContract(32, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    )
    weight_hash: str = content_hash("pixels 2")
    blocks: Sequence[str] = ("16x16", "32x32", "16x16 uncentred", "32x32 uncentred")
    default_block: str = "32x32"
    reductions: Sequence[str] = ("flat",)
    required_crop: CropContract | None = None
    adapter_version: int = 2
    parameters: int = 0
    flops: float = 0.0
    facts: dict[str, Any] = field(default_factory=lambda: {"objective": "none"})

    def tokens(self, images: Tensor, blocks: Sequence[str]) -> Mapping[str, Tokens]:
        """Return (B, 256, 3) and (B, 1024, 3)."""
        mean, std = (
            torch.tensor(value).view(3, 1, 1).to(images) for value in (self.pixels.mean, self.pixels.std)
        )
        found = {}
        for block in blocks:
            shown = images * std + mean if block.endswith("uncentred") else images
            side = int(block.partition("x")[0])
            found[block] = Tokens(F.interpolate(shown, size=side, mode="area").flatten(2).transpose(1, 2))
        return found


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
