"""Does a pixel contract fit the weights? What can be told before a single picture is scored.

Two things can be told. A contract can contradict itself: values of 0..255 divided by a standard deviation
meant for 0..1. And where the first layer is a convolution followed by a batch norm, the norm remembers the
mean response over the training pictures, which is linear in their mean colour; least squares over the
channels gives that colour back. Read through the declared contract it must be a colour between black and
white, and, as the mean of photographs is everywhere, not bluer than red. A layer norm remembers nothing, so
vision transformers pass unchecked: there the adapter's contract is all there is. The idea is ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor, nn

from paco_fr.contracts import PixelContract
from paco_fr.utils.errors import PacoError

SPREAD = (0.1, 300.0)
"""Values between black and white after preparation: 1 or 2 for [0, 1] or [-1, 1], 4.4 for ImageNet's std, 255 raw."""
SHADES = (0.1, 0.9)
"""Mean colours that training pictures have; COCO, ImageNet and face sets lie between 0.35 and 0.6."""
BLUER = 0.02
"""How much bluer than red a mean colour must be to prove swapped channels."""
UNCERTAIN = 0.1
"""Largest share of the remembered means that a mean colour may leave unexplained."""


def check_contract(name: str, contract: PixelContract, model: nn.Module | None = None) -> str:
    """Return what was checked, for the encoder's facts.

    Raises:
        PacoError: the contract contradicts itself or the statistics in the weights.

    """
    low, high = contract.value_range
    for mean, std in zip(contract.mean, contract.std, strict=True):
        if not SPREAD[0] <= (high - low) / std <= SPREAD[1]:
            raise PacoError(
                f"{name}: pixels of {low:g}..{high:g} divided by std {std:g} spread over {(high - low) / std:.3g}; "
                "range and std are in different units."
            )
        if not low - (high - low) / 2 <= mean <= high + (high - low) / 2:
            raise PacoError(f"{name}: mean {mean:g} lies far outside the range {low:g}..{high:g}.")
    colour = training_colour(model) if model is not None else None
    if colour is None:
        return "consistent with itself; the first layer remembers no pictures"
    scaled = colour * torch.tensor(contract.std) + torch.tensor(contract.mean)
    shade = ((scaled - low) / (high - low)).tolist()
    shown = ", ".join(f"{value:.2f}" for value in shade)
    if not all(SHADES[0] <= value <= SHADES[1] for value in shade):
        raise PacoError(
            f"{name}: the first batch norm remembers training pictures whose mean colour would be ({shown}) under the "
            f"declared range {low:g}..{high:g}, mean and std; it should be near (0.5, 0.5, 0.5). The range is wrong."
        )
    red, blue = (shade[0], shade[2]) if contract.channels == "RGB" else (shade[2], shade[0])
    if blue - red > BLUER:
        raise PacoError(
            f"{name}: the first batch norm remembers training pictures that would be bluer ({blue:.2f}) than red "
            f"({red:.2f}) under the declared order {contract.channels}. The colour order is wrong."
        )
    return f"mean colour of the training pictures by the first batch norm: ({shown})"


def training_colour(model: nn.Module) -> Tensor | None:
    """Return the mean input (3,) that the first batch norm remembers, None where none follows the first layer."""
    pair = next(_first_layers(model), None)
    if pair is None:
        return None
    convolution, norm = pair
    if (
        norm.running_mean is None
        or not norm.running_mean.any()
        or convolution.out_channels != norm.num_features
    ):
        return None
    weights = convolution.weight.detach().double().cpu().sum((2, 3))  # (out, 3): a flat picture's response
    bias = convolution.bias.detach().double().cpu() if convolution.bias is not None else 0.0
    remembered = norm.running_mean.detach().double().cpu() - bias
    solution = torch.linalg.lstsq(weights, remembered[:, None]).solution[:, 0]
    left = (weights @ solution - remembered).norm() / remembered.norm().clamp_min(1e-12)
    singular = torch.linalg.svdvals(weights)
    if left > UNCERTAIN or singular[-1] < 1e-2 * singular[0]:
        return None
    colour: Tensor = solution.float()
    return colour


def _first_layers(model: nn.Module) -> Iterator[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Yield the first convolution of three channels and the module after it, if that is a batch norm."""
    leaves = [
        module
        for module in model.modules()
        if not list(module.children()) or isinstance(module, nn.BatchNorm2d)
    ]
    for module, following in pairwise(leaves):
        if isinstance(module, nn.Conv2d) and module.in_channels == 3:
            if isinstance(following, nn.BatchNorm2d) and module.groups == 1:
                yield module, following
            return
