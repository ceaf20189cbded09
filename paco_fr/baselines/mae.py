"""MAE, the first rival: visible tokens only, one mask token for every hidden patch (arXiv 2111.06377)."""

from __future__ import annotations

import torch
from torch import nn

from paco_fr.config import PretrainConfig
from paco_fr.model.losses import reconstruction_loss, target_patches
from paco_fr.model.objective import Batch, Objective, Output, blanked
from paco_fr.model.patches import join, patchify
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
        losses, hidden = self.config.loss, batch.hidden
        patches = patchify(batch.images, self.config.encoder.patch)  # (B, N, D)
        seen = self.decoder.embed(encode(self.encoder, batch.images, batch.visible))  # (B, V, dim)
        blank = self.mask_token.expand(*hidden.shape, -1)  # (B, M, dim)
        predicted = self.decoder(join(seen, batch.visible, blank, hidden))  # (B, N, D)
        target = target_patches(patches, losses.target)
        loss = reconstruction_loss(predicted, target, hidden, losses.patches)
        return Output(loss, {"reconstruction": loss.detach()}, blanked(patches, hidden), predicted)
