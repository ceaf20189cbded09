"""Pictures as encoders take them, and back: what a pixel contract says, carried out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from paco_fr.contracts import PixelContract

IN_CACHE = 600_000
"""Values prepared at once on a CPU, whose cache holds as many: a batch of large pictures would go through memory."""


def prepare(images: npt.NDArray[np.uint8] | Tensor, contract: PixelContract) -> Tensor:
    """Return float pictures (B, 3, S, S) under a pixel contract, of uint8 RGB (B, S, S, 3)."""
    if not isinstance(images, Tensor):
        images = torch.from_numpy(np.require(images, requirements=["C", "W"]))
    if contract.channels == "BGR":
        images = images.flip(-1)
    pixels = torch.empty(images.shape, device=images.device)
    low, high = contract.value_range
    mean, std = (
        torch.tensor(values, device=images.device).repeat(images.shape[2])
        for values in (contract.mean, contract.std)
    )
    few = max(1, len(images) if images.is_cuda else IN_CACHE // images.shape[1:].numel())
    # In place, on rows of S * 3 values: a constant for each of 3 adjacent channels would be no loop to vectorise.
    for part, made in zip(torch.split(images, few), torch.split(pixels, few), strict=True):
        rows = made.view(-1, made.shape[2] * 3)
        rows.copy_(part.reshape(rows.shape))
        rows /= 255
        if (low, high) != (0.0, 1.0):
            rows *= high - low
            rows += low
        rows -= mean
        rows /= std
    return pixels.permute(0, 3, 1, 2)


def unprepare(pixels: Tensor, contract: PixelContract) -> npt.NDArray[np.uint8]:
    """Return uint8 RGB pictures (B, S, S, 3) of prepared ones; the inverse of :func:`prepare`, clipped."""
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (contract.mean, contract.std))
    low, high = contract.value_range
    shades = ((pixels * std + mean - low) / (high - low) * 255).round().clamp(0, 255)
    if contract.channels == "BGR":
        shades = shades.flip(1)
    return shades.to(torch.uint8).permute(0, 2, 3, 1).numpy()
