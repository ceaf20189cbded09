"""Margin losses for recognition: a class centre for every training identity, cosines, a margin.

CosFace (Wang et al. 2018): the logit of the true class is ``scale * (cos - margin)``. ArcFace (Deng et al.
2019): it is ``scale * cos(angle + margin)``; where that would wrap past 180 degrees, beyond which a larger
angle would lose less, the tangent-free continuation ``cos - margin * sin(margin)`` takes over, as in the
authors' code. All other logits are ``scale * cos``; the loss is their cross entropy.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MarginName = Literal["cosface", "arcface"]

DEFAULTS: dict[MarginName, float] = {"cosface": 0.35, "arcface": 0.5}
"""Margins of the papers: a cosine and an angle in radians."""
SCALE = 64.0


def cosines(features: Tensor, centres: Tensor) -> Tensor:
    """Return the cosines (B, C) of features (B, D) with class centres (C, D), in float32 at least."""
    wide = torch.promote_types(features.dtype, torch.float32)
    return F.normalize(features.to(wide), dim=1) @ F.normalize(centres.to(wide), dim=1).T


def cosface_logits(cosine: Tensor, labels: Tensor, margin: float = 0.35, scale: float = SCALE) -> Tensor:
    """Return logits (B, C) with ``margin`` taken off the cosine of each true class."""
    return scale * (cosine - margin * F.one_hot(labels, cosine.shape[1]).to(cosine.dtype))


def arcface_logits(cosine: Tensor, labels: Tensor, margin: float = 0.5, scale: float = SCALE) -> Tensor:
    """Return logits (B, C) with ``margin`` added to the angle of each true class.

    The cosine is held a rounding away from +-1, where the sine has no gradient.
    """
    own = cosine.gather(1, labels[:, None])
    safe = own.clamp(-1.0 + 1e-7, 1.0 - 1e-7)
    turned = safe * math.cos(margin) - (1.0 - safe.square()).sqrt() * math.sin(margin)
    wrapped = safe <= math.cos(math.pi - margin)
    target = torch.where(wrapped, own - margin * math.sin(margin), turned)
    return scale * cosine.scatter(1, labels[:, None], target)


def margin_loss(
    cosine: Tensor, labels: Tensor, name: MarginName, margin: float, scale: float = SCALE
) -> Tensor:
    """Return the mean cross entropy () of the named margin's logits."""
    logits = cosface_logits if name == "cosface" else arcface_logits
    return F.cross_entropy(logits(cosine, labels, margin, scale), labels)


class CentreHead(nn.Module):
    """A centre for every training identity; once the encoder is trained, features pass as they are.

    Attributes:
        centres: (C, D).

    """

    def __init__(self, dim: int, classes: int) -> None:
        super().__init__()
        if classes < 2:
            raise ValueError(f"a margin needs two classes, got {classes}")
        self.centres = nn.Parameter(torch.randn(classes, dim) * 0.01)

    def forward(self, features: Tensor) -> Tensor:
        """Return, of features (B, D), their cosines (B, C) in training and themselves afterwards."""
        return cosines(features, self.centres) if self.training else features
