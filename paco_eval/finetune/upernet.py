"""FaRL's head: heat maps or class maps from four blocks of a transformer (Zheng et al. 2022, its released recipe).

Maps of tokens at a third, a half, two thirds and all of the depth are brought to 4, 2, 1 and 1/2 times their
resolution; UPerNet (Xiao et al. 2018) joins them, coarse to fine, into one map a point, or a class, at 4 times the
resolution of the tokens. A point is the mean place under the sigmoid of its map. The loss is the mean distance of the
points plus the binary cross entropy of the map, brought to 128 x 128, with a Gaussian of a quarter of five cells, cut
off at five.

Where the recipe has 768 channels, which is the width of its ViT-B, ours has the width of the encoder; its four
resolutions are meant for patches of 14 or 16 pixels and are the same here for any.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

POOLS = (1, 2, 3, 6)
"""Sides of the grids that the coarsest map is pooled to."""
MAP = 128
RADIUS = 5.0
DROPOUT = 0.1


def depths(blocks: int) -> tuple[int, int, int, int]:
    """Return which of so many blocks, counted from 1, give the maps: 4, 6, 8 and 12 of 12, as in FaRL."""
    return max(1, round(blocks / 3)), max(1, round(blocks / 2)), max(1, round(2 * blocks / 3)), blocks


def _convolved(inside: int, outside: int, side: int) -> nn.Sequential:
    convolution = nn.Conv2d(inside, outside, side, padding=side // 2, bias=False)
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    return nn.Sequential(convolution, nn.BatchNorm2d(outside), nn.ReLU())


def _doubled(width: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(width, width, 2, stride=2)


def _sized(maps: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(maps, like.shape[-2:], mode="bilinear", align_corners=False)


class UperHead(nn.Module):
    """Logits of one map a point from four maps of tokens; see the head of this file."""

    def __init__(self, width: int, points: int) -> None:
        super().__init__()
        self.scaled = nn.ModuleList([
            nn.Sequential(_doubled(width), nn.BatchNorm2d(width), nn.GELU(), _doubled(width)),
            _doubled(width), nn.Identity(), nn.MaxPool2d(2),
        ])  # fmt: skip
        self.pooled = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(side), _convolved(width, width, 1)) for side in POOLS
        )
        self.coarsest = _convolved(width * (1 + len(POOLS)), width, 3)
        self.lateral = nn.ModuleList(_convolved(width, width, 1) for _ in range(3))
        self.smoothed = nn.ModuleList(_convolved(width, width, 3) for _ in range(3))
        self.joined = _convolved(4 * width, width, 3)
        self.dropout = nn.Dropout2d(DROPOUT)
        self.maps = nn.Conv2d(width, points, 1)
        nn.init.normal_(self.maps.weight, std=0.01)
        self.maps.bias = nn.Parameter(torch.zeros(points))

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Return logits (B, L, 4 g, 4 g) of four maps (B, D, g, g), from the first block to the last."""
        *fine, last = (scale(part) for scale, part in zip(self.scaled, maps, strict=True))
        pyramid = [last, *(_sized(pool(last), last) for pool in self.pooled)]
        levels = [lateral(part) for lateral, part in zip(self.lateral, fine, strict=True)]
        levels.append(self.coarsest(torch.cat(pyramid, dim=1)))
        for at in (2, 1, 0):
            levels[at] = levels[at] + _sized(levels[at + 1], levels[at])
        levels[:3] = [smooth(part) for smooth, part in zip(self.smoothed, levels[:3], strict=True)]
        joined = self.joined(torch.cat([_sized(part, levels[0]) for part in levels], dim=1))
        logits: Tensor = self.maps(self.dropout(joined))
        return logits


def centres(side: int, device: torch.device | None = None) -> Tensor:
    """Return the centres (side) of the cells of the unit interval."""
    return (torch.arange(side, device=device) + 0.5) / side


def points_of(logits: Tensor) -> Tensor:
    """Return points (B, L, 2), x y from 0 to 1, of logits (B, L, S, S): mean places under the sigmoid."""
    weights = logits.float().sigmoid()
    total = weights.sum((2, 3)).clamp_min(1e-6)
    place = centres(logits.shape[-1], logits.device)
    x, y = (weights.sum(2) * place).sum(2) / total, (weights.sum(3) * place).sum(2) / total
    return torch.stack([x, y], dim=2)


def heatmaps(points: Tensor, side: int = MAP, radius: float = RADIUS) -> Tensor:
    """Return maps (B, L, side, side) with a Gaussian at each point (B, L, 2), zero from ``radius`` cells on."""
    place = centres(side, points.device)
    away = [(place - points[..., axis, None]).square() * side**2 for axis in (0, 1)]
    square = away[1][..., :, None] + away[0][..., None, :]
    return torch.where(square <= radius**2, torch.exp(-8.0 * square / radius**2), 0.0)


def landmark_loss(logits: Tensor, points: Tensor) -> Tensor:
    """Return the loss (B,) of logits (B, L, S, S) against points (B, L, 2), 0 to 1 inside the picture."""
    far = (points_of(logits) - points).norm(dim=2).mean(1)
    drawn = F.interpolate(logits.float(), (MAP, MAP), mode="bilinear", align_corners=False)
    each = F.binary_cross_entropy_with_logits(drawn, heatmaps(points), reduction="none")
    loss: Tensor = far + each.mean((1, 2, 3))
    return loss
