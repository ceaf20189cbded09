"""Spatial consistency: how the parts of the face relate must survive the hiding (paper; the formula is ours).

On pixels, the repaired picture is held against the true one; this cannot collapse, because the truth does
not move. On features, the encoder's tokens of the corrupted picture are held against those that a slow
teacher, a moving average of the encoder, gives to the whole picture (our choice, after iBOT, arXiv
2111.07832, and data2vec, arXiv 2202.03555). No gradient reaches the teacher and relations are centred;
``spatial_spread`` tells when all relations become alike nevertheless.
"""

from __future__ import annotations

from copy import deepcopy

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from paco_fr.config import LossConfig
from paco_fr.model.losses import relation_spread, spatial_loss
from paco_fr.model.patches import pick, take
from paco_fr.model.vit import encode


class Spatial(nn.Module):
    """The spatial term of the loss, with its teacher where it is on features."""

    def __init__(self, config: LossConfig, encoder: VisionTransformer) -> None:
        super().__init__()
        self.config = config
        if config.spatial_on == "features" and config.spatial > 0:
            self.teacher = deepcopy(encoder).requires_grad_(False)

    def forward(
        self,
        images: Tensor,
        repaired: Tensor,
        target: Tensor,
        features: Tensor,
        cells: Tensor,
        regions: Tensor,
    ) -> dict[str, Tensor]:
        """Return the loss ``spatial`` and the spread of the relations that it is held to.

        Args:
            images: (B, 3, S, S) the true pictures.
            repaired: (B, N, D) patches of the picture with the decoder's patches in its holes.
            target: (B, N, D) true patches.
            features: (B, V, C) the encoder's tokens of what it saw.
            cells: (B, V) places of these tokens; the teacher, too, is read there only.
            regions: (B, N) region of each place.

        """
        if self.config.spatial_on == "pixels" or self.config.spatial == 0:
            return {
                "spatial": spatial_loss(repaired, target, regions),
                "spatial_spread": relation_spread(target, regions),
            }
        with torch.no_grad():
            taught = take(encode(self.teacher, images), cells)
        seen = pick(regions, cells)
        return {
            "spatial": spatial_loss(features, taught, seen),
            "spatial_spread": relation_spread(taught, seen),
        }

    @torch.no_grad()
    def follow(self, encoder: nn.Module) -> None:
        """Move the teacher a little towards the encoder, if there is one."""
        if hasattr(self, "teacher"):
            for slow, fast in zip(self.teacher.parameters(), encoder.parameters(), strict=True):
                slow.lerp_(fast, self.config.teacher_rate)
