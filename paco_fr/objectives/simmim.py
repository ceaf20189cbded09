"""SimMIM, the second rival: every patch goes through the encoder, hidden ones as a mask token (arXiv 2111.09886).

The decoder is the one of the other objectives, not the paper's single linear layer, so that what differs
between rows is where the hidden patches enter; ``decoder.depth = 0`` comes nearest to the paper.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from paco_fr.config import PretrainConfig
from paco_fr.losses import reconstruction_loss, target_patches
from paco_fr.objectives import Batch, Output
from paco_fr.patches import patchify, put
from paco_fr.vit import Decoder, build_encoder


class SimMIM(nn.Module):
    """Masked image modelling on the full sequence, with one mask token for every hidden patch."""

    def __init__(self, config: PretrainConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = build_encoder(config.encoder)
        self.decoder = Decoder(config.decoder, config.encoder)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, config.encoder.dim))
        nn.init.trunc_normal_(self.mask_token, std=0.02)

    def forward(self, batch: Batch) -> Output:
        """Return the reconstruction loss of one batch."""
        patches = patchify(batch.images, self.config.encoder.patch)  # (B, N, D)
        vit = self.encoder
        blank = self.mask_token.expand(len(batch.hidden), batch.hidden.shape[1], -1)  # (B, M, C)
        tokens = put(vit.patch_embed(batch.images), batch.hidden, blank)  # (B, N, C)
        tokens = tokens + cast(Tensor, vit.pos_embed)
        for block in vit.blocks:
            tokens = block(tokens)
        predicted = self.decoder(self.decoder.embed(vit.norm(tokens)))  # (B, N, D)
        loss = reconstruction_loss(predicted, target_patches(patches, self.config.loss.target), batch.hidden)
        corrupted = put(patches, batch.hidden, patches.new_zeros(*batch.hidden.shape, patches.shape[-1]))
        return Output(loss, {"reconstruction": loss.detach()}, corrupted, predicted)

    def start(self, images: Tensor, rng: np.random.Generator) -> None:
        """Nothing to prepare."""

    def after_step(
        self, batch: Batch, output: Output, epoch: float, rng: np.random.Generator
    ) -> dict[str, float | Tensor]:
        """Nothing beside the gradient."""
        return {}
