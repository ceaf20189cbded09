"""Patches taken apart into structure, mean colour and contrast, and put together again.

Most of what tells raw patches of one place apart is their colour, so a codebook of raw patches is largely
a palette. Codes for structure alone leave the colour to the visible neighbours (our choice).
"""

from __future__ import annotations

import torch
from torch import Tensor

from paco_fr.model.patches import take

REACH = 1.2
"""Square of the distance, in cells, at which a neighbour's say has fallen to 1/e."""


def split_colour(patches: Tensor) -> tuple[Tensor, Tensor]:
    """Return structure (B, N, D) and colour (B, N, 4) of patches (B, N, D), D = 3P².

    Colour is the mean of each channel and, last, the deviation of all values about them; structure is what
    is left when the means are taken away and the deviation is divided out.
    """
    pixels = patches.reshape(*patches.shape[:-1], -1, 3)  # (B, N, P², 3)
    mean = pixels.mean(-2, keepdim=True)
    rest = pixels - mean
    contrast = (rest.square().mean((-2, -1), keepdim=True) + 1e-4).sqrt()
    colour = torch.cat([mean[..., 0, :], contrast[..., 0, :]], dim=-1)
    return (rest / contrast).flatten(-2), colour


def add_colour(structure: Tensor, colour: Tensor) -> Tensor:
    """Return patches (B, M, D) of structure (B, M, D) and colour (B, M, 4); undoes :func:`split_colour`."""
    pixels = structure.reshape(*structure.shape[:-1], -1, 3) * colour[..., None, 3:] + colour[..., None, :3]
    return pixels.flatten(-2)


def borrowed_colour(colour: Tensor, visible: Tensor, hidden: Tensor) -> Tensor:
    """Return the colour (B, M, 4) that hidden places take from visible ones.

    The mean over visible places, weighted with exp(-d² / 1.2) of their distance d in cells.

    Args:
        colour: (B, N, 4) of all places; only the visible ones are read.
        visible: places (B, V).
        hidden: places (B, M).

    """
    side = round(colour.shape[1] ** 0.5)
    here, there = (torch.stack([cells // side, cells % side], -1).float() for cells in (hidden, visible))
    distance = (here[:, :, None] - there[:, None]).square().sum(-1)  # (B, M, V)
    weights = torch.softmax(-distance / REACH, dim=-1)
    return weights.to(colour.dtype) @ take(colour, visible)
