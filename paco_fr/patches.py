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
    return tokens.gather(1, cells[..., None].expand(-1, -1, tokens.shape[-1]))


def put(tokens: Tensor, cells: Tensor, values: Tensor) -> Tensor:
    """Return a copy of tokens (B, N, D) with ``values`` (B, M, D) at ``cells`` (B, M), in the tokens' type."""
    return tokens.scatter(1, cells[..., None].expand(-1, -1, tokens.shape[-1]), values.to(tokens.dtype))


def join(first: Tensor, first_cells: Tensor, second: Tensor, second_cells: Tensor) -> Tensor:
    """Return (B, N, D) with each of two token sets at its own cells, which together are all N."""
    blank = first.new_zeros(first.shape[0], first.shape[1] + second.shape[1], first.shape[2])
    return put(put(blank, first_cells, first), second_cells, second)


def pick(numbers: Tensor, cells: Tensor) -> Tensor:
    """Return the entries (B, M) at ``cells`` (B, M) of one number a place (B, N)."""
    return numbers.gather(1, cells)


def normalise_patches(patches: Tensor) -> Tensor:
    """Return patches with zero mean and unit variance each, as MAE's normalised target."""
    mean = patches.mean(-1, keepdim=True)
    deviation = torch.sqrt(patches.var(-1, keepdim=True) + 1e-4)
    return (patches - mean) / deviation
