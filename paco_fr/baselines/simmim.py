"""SimMIM, the second rival: every patch goes through the encoder, hidden ones as a mask token (arXiv 2111.09886).

The decoder is the one of the other objectives, not the paper's single linear layer, so that what differs
between rows is where the hidden patches enter; ``decoder.depth = 0`` comes nearest to the paper. Masks
follow ``masking.strategy`` like everyone's: ``random`` is SimMIM's own, ``region`` gives it PaCo-FR's.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from paco_fr.config import PretrainConfig
from paco_fr.model.losses import target_patches
from paco_fr.model.objective import Batch, Objective, Output
from paco_fr.model.patches import beside, patchify, take
from paco_fr.model.vit import Decoder, attend, build_encoder, embed


class SimMIM(Objective):
    """Masked image modelling on the full sequence, with one mask token for every hidden patch."""

    def __init__(self, config: PretrainConfig) -> None:
        super().__init__(config)
        self.encoder = build_encoder(config.encoder)
        self.decoder = Decoder(config.decoder, config.encoder)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, config.encoder.dim))
        nn.init.trunc_normal_(self.mask_token, std=0.02)

    def forward(self, batch: Batch) -> Output:
        """Return the reconstruction loss of one batch."""
        patches = patchify(batch.images, self.config.encoder.patch)  # (B, N, D)
        blank = self.mask_token.expand(*batch.hidden.shape, -1)  # (B, M, C)
        embedded = beside(embed(self.encoder, take(patches, batch.visible)), blank)  # (B, N, C)
        features = attend(self.encoder, embedded, batch.places)  # (B, N, C)
        states = self.decoder(self.decoder.embed(features), batch.places)  # (B, N, dim)
        predicted = self.decoder.head(states[:, batch.visible.shape[1] :])  # (B, M, D)
        target = target_patches(take(patches, batch.hidden), self.config.loss.target)
        loss = F.mse_loss(predicted, target)
        return Output(loss, {"reconstruction": loss.detach()}, predicted)
