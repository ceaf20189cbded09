"""A pixel contract that does not fit the weights is caught where the weights remember anything."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from paco_eval.encoders._contract_check import check_contract, training_colour
from paco_eval.encoders.timm import build
from paco_eval.features.forward import reference_pictures
from paco_fr.contracts import PixelContract
from paco_fr.faces.pixels import prepare
from paco_fr.utils.errors import PacoError

IMAGENET = PixelContract(64)
CONTRACTS = {
    "imagenet": IMAGENET,
    "arcface": PixelContract(64, (0.0,) * 3, (1.0,) * 3, value_range=(-1.0, 1.0)),
    "raw": PixelContract(64, (0.0,) * 3, (1.0,) * 3, value_range=(0.0, 255.0)),
    "caffe": PixelContract(64, (103.9, 116.8, 123.7), (1.0,) * 3, channels="BGR", value_range=(0.0, 255.0)),
}


def network(contract: PixelContract, *, bias: bool = False) -> nn.Module:
    """Return a network whose batch norm has seen pictures under a contract."""
    torch.manual_seed(0)
    convolution = nn.Conv2d(3, 16, 5, stride=2, padding=2, bias=bias)
    model = nn.Sequential(convolution, nn.BatchNorm2d(16, momentum=None), nn.ReLU()).train()
    model(prepare(reference_pictures(64, 16), contract))
    return model.eval()


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name", CONTRACTS)
def test_the_mean_colour_of_the_training_pictures_is_recovered(name, bias):
    contract = CONTRACTS[name]
    colour = training_colour(network(contract, bias=bias))
    seen = prepare(reference_pictures(64, 16), contract).mean((0, 2, 3))
    scale = (contract.value_range[1] - contract.value_range[0]) / min(contract.std)
    torch.testing.assert_close(colour, seen, rtol=0, atol=0.05 * scale)
    assert "mean colour" in check_contract(name, contract, network(contract, bias=bias))


@pytest.mark.parametrize("name", CONTRACTS)
def test_swapped_channels_are_caught(name):
    contract = CONTRACTS[name]
    other = "BGR" if contract.channels == "RGB" else "RGB"
    swapped = replace(contract, channels=other, mean=contract.mean[::-1], std=contract.std[::-1])
    with pytest.raises(PacoError, match="colour order is wrong"):
        check_contract(name, swapped, network(contract))


@pytest.mark.parametrize(
    ("trained", "declared"),
    [("raw", "arcface"), ("raw", "imagenet"), ("imagenet", "raw"), ("arcface", "raw"), ("caffe", "raw")],
)
def test_a_wrong_range_is_caught(trained, declared):
    with pytest.raises(PacoError, match="range is wrong"):
        check_contract("x", CONTRACTS[declared], network(CONTRACTS[trained]))


@pytest.mark.parametrize(
    "contract",
    [replace(IMAGENET, value_range=(0.0, 255.0)), replace(IMAGENET, mean=(123.7, 116.8, 103.9)),
     replace(IMAGENET, mean=(123.7,) * 3, std=(58.4,) * 3)],
)  # fmt: skip
def test_a_contract_in_two_units_contradicts_itself(contract):
    with pytest.raises(PacoError, match=r"different units|outside the range"):
        check_contract("x", contract)


def test_a_real_architecture_is_understood_and_a_transformer_says_that_it_remembers_nothing():
    model, contract = build("resnet10t", pretrained=False)
    stem = model.get_submodule("conv1")
    first = stem[0] if isinstance(stem, nn.Sequential) else stem
    assert training_colour(model) is None  # untrained: nothing seen
    norm = next(module for module in model.modules() if isinstance(module, nn.BatchNorm2d))
    with torch.no_grad():
        norm.running_mean = first(prepare(reference_pictures(64, 8), contract)).mean((0, 2, 3))
    assert "mean colour" in check_contract("x", contract, model)
    vit, contract = build("vit_tiny_patch16_224", pretrained=False)
    assert "remembers no pictures" in check_contract("x", contract, vit)


def test_reference_pictures_are_coloured_like_photographs_of_faces():
    pictures = reference_pictures(32, 4)
    red, green, blue = (float(value) for value in pictures.mean((0, 1, 2)))
    assert pictures.shape == (4, 32, 32, 3) and pictures.dtype == np.uint8 and red > green > blue
    assert pictures.std() > 20 and np.array_equal(pictures, reference_pictures(32, 4))
