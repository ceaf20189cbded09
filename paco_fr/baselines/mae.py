"""MAE, the first rival: visible tokens only, one mask token for every hidden patch (arXiv 2111.06377)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from paco_fr.config import PretrainConfig
from paco_fr.model.losses import target_patches
from paco_fr.model.objective import Batch, Objective, Output
from paco_fr.model.patches import beside, patchify, take
from paco_fr.model.vit import Decoder, build_encoder, encode


class MAE(Objective):
    """Masked autoencoder with the same encoder, decoder, crops, masks and data order as PaCo-FR."""

    def __init__(self, config: PretrainConfig) -> None:
        super().__init__(config)
        self.encoder = build_encoder(config.encoder)
        self.decoder = Decoder(config.decoder, config.encoder)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, config.decoder.dim))
        nn.init.trunc_normal_(self.mask_token, std=0.02)

    def forward(self, batch: Batch) -> Output:
        """Return the reconstruction loss of one batch."""
        patches = patchify(batch.images, self.config.encoder.patch)  # (B, N, D)
        context = encode(self.encoder, take(patches, batch.visible), batch.visible)  # (B, V, C)
        blank = self.mask_token.expand(*batch.hidden.shape, -1)  # (B, M, dim)
        states = self.decoder(beside(self.decoder.embed(context), blank), batch.places)  # (B, N, dim)
        predicted = self.decoder.head(states[:, batch.visible.shape[1] :])  # (B, M, D)
        target = target_patches(take(patches, batch.hidden), self.config.loss.target)
        loss = F.mse_loss(predicted, target)
        return Output(loss, {"reconstruction": loss.detach()}, predicted)
