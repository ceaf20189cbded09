"""The conformance suite for encoders: ours pass, and each way of being broken is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import nn

from paco_eval.encoders import load_encoder
from paco_eval.features.forward import reference_pictures
from paco_eval.testing import check_encoder
from paco_fr.contracts import PixelContract, Tokens
from paco_fr.faces.pixels import prepare
from tasks.testing import ConformanceError


@pytest.mark.parametrize("name", ["random:tiny", "random:resnet10t", "pixels", "constant"])
def test_encoders_of_this_package_conform(name):
    check_encoder(load_encoder(name))


def network() -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 6, 8, 8), nn.BatchNorm2d(6, momentum=None), nn.Dropout(0.5))
    with torch.no_grad():
        model(prepare(reference_pictures(32, 16), PixelContract(32)))  # the batch norm remembers RGB of 0..1
    return model


@dataclass
class Small:
    """A sound encoder of one convolution; each case below spoils something."""

    name: str = "small"
    pixels: PixelContract = field(default_factory=lambda: PixelContract(32))
    weight_hash: str = "0123456789abcdef"
    blocks: tuple[str, ...] = ("a", "b")
    default_block: str = "b"
    reductions: tuple[str, ...] = ("mean", "grid4", "global")
    required_crop: None = None
    adapter_version: int = 1
    parameters: int = 1000
    training: bool = False
    model: Any = field(default_factory=network)

    def __post_init__(self) -> None:
        self.model.train(self.training)

    def forward(self, images):
        return self.model(images)

    @torch.no_grad()
    def tokens(self, images, blocks):
        patches = self.forward(images).flatten(2).transpose(1, 2)
        return {block: Tokens(patches * (1 + (block == "b")), patches.mean(1)) for block in blocks}


class Noisy(Small):
    def forward(self, images):
        return self.model(images) + torch.rand(1)


class Mixing(Small):
    def forward(self, images):
        return self.model(images) - self.model(images).mean(0)


class Writing(Small):
    def forward(self, images):
        return self.model(images.mul_(0.5))


class Blind(Small):
    def forward(self, images):
        return self.model(torch.ones_like(images)).mean((2, 3), keepdim=True).expand(-1, -1, 4, 4)


class Infinite(Small):
    def forward(self, images):
        return self.model(images) / 0


class Flat(Small):
    def tokens(self, images, blocks):
        return {block: Tokens(self.forward(images).flatten(1)) for block in blocks}


class Graded(Small):
    def tokens(self, images, blocks):
        patches = self.forward(images).flatten(2).transpose(1, 2)
        return {block: Tokens(patches, patches.mean(1)) for block in blocks}


class Forgetful(Small):
    def tokens(self, images, blocks):
        return super().tokens(images, blocks[:1])


class Jealous(Small):
    def tokens(self, images, blocks):
        found = super().tokens(images, blocks)
        return {block: Tokens(tokens.patches / len(blocks), tokens.pooled) for block, tokens in found.items()}


class Failing(Small):
    def forward(self, images):
        raise RuntimeError("expected 224")


class Tokenless(Small):
    def tokens(self, images, blocks):
        return {block: Tokens(tokens.patches) for block, tokens in super().tokens(images, blocks).items()}


def test_the_sound_one_conforms():
    check_encoder(Small())


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (lambda: Noisy(), "other tokens the second time"),
        (lambda: Mixing(), "alone gives other tokens than in a batch"),
        (lambda: Small(training=True), "in training mode"),
        (lambda: Writing(), "writes to the pictures"),
        (lambda: Blind(), "pictures do not matter"),
        (lambda: Infinite(), "not finite"),
        (lambda: Flat(), r"patches are \(1, 96\)"),
        (lambda: Graded(), "a gradient is kept"),
        (lambda: Forgetful(), r"returns blocks \['a'\]"),
        (lambda: Jealous(), "asked alone"),
        (lambda: Failing(), "fails on pictures.*expected 224"),
        (lambda: Tokenless(), "'global' is declared and cannot be had"),
        (lambda: Small(blocks=("a", "a")), "different names"),
        (lambda: Small(default_block="c"), "none of its blocks"),
        (lambda: Small(reductions=("middle",)), "must be some of mean"),
        (lambda: Small(weight_hash="abc"), "sixteen hex digits"),
        (lambda: Small(pixels=PixelContract(32, value_range=(0.0, 255.0))), "different units"),
        (lambda: Small(pixels=PixelContract(32, channels="BGR")), "colour order is wrong"),
    ],
)  # fmt: skip
def test_each_way_of_being_broken_is_told(encoder, message):
    with pytest.raises(ConformanceError, match=message):
        check_encoder(encoder())
