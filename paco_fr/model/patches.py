"""Pictures as grids of patches, in row-major order."""

from __future__ import annotations

import torch
from torch import Tensor


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


def join(first: Tensor, first_cells: Tensor, second: Tensor, second_cells: Tensor) -> Tensor:
    """Return (B, N, D) with each of two token sets at its own cells, which together are all N."""
    places = torch.cat([first_cells, second_cells], 1).argsort(1)
    return take(torch.cat([first, second.to(first.dtype)], 1), places)


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
    mean = patches.mean(-1, keepdim=True)
    deviation = torch.sqrt(patches.var(-1, keepdim=True) + 1e-4)
    return (patches - mean) / deviation
