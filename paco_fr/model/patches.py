"""Pictures as grids of patches, in row-major order, and patches as structure, mean colour and contrast.

Most of what tells raw patches of one place apart is their colour, so a codebook of raw patches is largely
a palette. Codes for structure alone leave the colour to the visible neighbours (our choice).
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

COLOUR_REACH = 1.2
"""Square of the distance, in cells, at which a neighbour's say in a hidden patch's colour has fallen to 1/e."""


def patchify(images: Tensor, patch: int) -> Tensor:
    """Return patches (B, N, patch * patch * 3) of images (B, 3, H, W)."""
    B, C, H, W = images.shape
    grid = images.reshape(B, C, H // patch, patch, W // patch, patch)
    return grid.permute(0, 2, 4, 3, 5, 1).reshape(B, (H // patch) * (W // patch), patch * patch * C)


def unpatchify(patches: Tensor, patch: int) -> Tensor:
    """Return images (B, 3, H, W) of patches (B, N, patch * patch * 3) on a square grid."""
    B, N, _ = patches.shape
    side = round(N**0.5)
    grid = patches.reshape(B, side, side, patch, patch, 3)
    return grid.permute(0, 5, 1, 3, 2, 4).reshape(B, 3, side * patch, side * patch)


def take(tokens: Tensor, cells: Tensor) -> Tensor:
    """Return tokens (B, M, D) at ``cells`` (B, M) of tokens (B, N, D)."""
    B, N, D = tokens.shape
    return tokens.reshape(B * N, D).index_select(0, _rows(cells, N)).reshape(B, -1, D)


def put(tokens: Tensor, cells: Tensor, values: Tensor) -> Tensor:
    """Return a copy of tokens (B, N, D) with ``values`` (B, M, D) at ``cells`` (B, M), in the tokens' type."""
    B, N, D = tokens.shape
    rows = values.to(tokens.dtype).reshape(-1, D)
    return tokens.reshape(B * N, D).index_copy(0, _rows(cells, N), rows).reshape(B, N, D)


def beside(first: Tensor, second: Tensor) -> Tensor:
    """Return (B, V + M, D) tokens of visible and, after them, of hidden places; attention asks for no other order."""
    return torch.cat([first, second.to(first.dtype)], 1)


def everywhere(patches: Tensor) -> Tensor:
    """Return all places (B, N) of patches (B, N, D)."""
    return torch.arange(patches.shape[1], device=patches.device).expand(len(patches), -1)


def _rows(cells: Tensor, total: int) -> Tensor:
    """Return cells (B, M) as rows (B * M,) of all pictures' tokens, one below the other.

    Whole rows are copied several times faster than single numbers are gathered.
    """
    pictures = torch.arange(len(cells), device=cells.device)
    return (cells + total * pictures[:, None]).flatten()


def pick(numbers: Tensor, cells: Tensor) -> Tensor:
    """Return the entries (B, M) at ``cells`` (B, M) of one number a place (B, N)."""
    return numbers.gather(1, cells)


def normalise_patches(patches: Tensor) -> Tensor:
    """Return patches with zero mean and unit variance each, as MAE's normalised target."""
    return F.layer_norm(patches, patches.shape[-1:], eps=1e-4)


def split_colour(patches: Tensor) -> tuple[Tensor, Tensor]:
    """Return structure (B, N, D) and colour (B, N, 4) of patches (B, N, D), D = 3P².

    Colour is the mean of each channel and, last, the deviation of all values about them; structure is what
    is left when the means are taken away and the deviation is divided out.
    """
    flat = patches.flatten(0, -2)  # (B N, D)
    mean = flat.view(len(flat), -1, 3).mean(1)
    channels = torch.eye(3, dtype=patches.dtype, device=patches.device).repeat(1, patches.shape[-1] // 3)
    rest = torch.addmm(flat, mean, channels, alpha=-1)
    deviation = (torch.linalg.vector_norm(rest, dim=-1, keepdim=True).square() / rest.shape[-1] + 1e-4).sqrt()
    colour = torch.cat([mean, deviation], dim=-1)
    return rest.div_(deviation).view_as(patches), colour.view(*patches.shape[:-1], 4)


def add_colour(structure: Tensor, colour: Tensor) -> Tensor:
    """Return patches (B, M, D) of structure (B, M, D) and colour (B, M, 4); undoes :func:`split_colour`."""
    pixels = structure.reshape(*structure.shape[:-1], -1, 3) * colour[..., None, 3:] + colour[..., None, :3]
    return pixels.flatten(-2)


def borrowed_colour(colour: Tensor, visible: Tensor, hidden: Tensor) -> Tensor:
    """Return the colour (B, M, 4) that hidden places take from visible ones.

    The mean over visible places, weighted with exp(-d² / 1.2) of their distance d in cells; zero where all of them are so far
    away that these are nothing (ten cells in single precision).

    Args:
        colour: (B, N, 4) of all places; only the visible ones are read.
        visible: places (B, V).
        hidden: places (B, M).

    """
    B, N, _ = colour.shape
    seen = torch.zeros(
        B, N, 5, dtype=colour.dtype, device=colour.device
    )  # and a last column that counts the weights
    seen = put(seen, visible, F.pad(take(colour, visible), (0, 1), value=1.0))
    spread = take(_nearness(round(N**0.5)).to(seen) @ seen, hidden)  # (B, M, 5)
    return spread[..., :4] / spread[..., 4:].clamp_min(torch.finfo(spread.dtype).tiny)


@lru_cache
def _nearness(side: int) -> Tensor:
    """Return exp(-d² / 1.2) of every two places (N, N) of a square grid."""
    cells = torch.arange(side * side)
    places = torch.stack([cells // side, cells % side], -1).float()
    return torch.exp(-(places[:, None] - places).square().sum(-1) / COLOUR_REACH)
