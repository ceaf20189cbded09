"""MAE, the first rival: visible tokens only, one mask token for every hidden patch (arXiv 2111.06377)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from paco_fr.config import PretrainConfig
from paco_fr.losses import reconstruction_loss, target_patches
from paco_fr.objectives import Batch, Output
from paco_fr.patches import join, patchify, put
from paco_fr.vit import Decoder, build_encoder, encode


class MAE(nn.Module):
    """Masked autoencoder with the same encoder, decoder, crops, masks and data order as PaCo-FR."""

    def __init__(self, config: PretrainConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = build_encoder(config.encoder)
        self.decoder = Decoder(config.decoder, config.encoder)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, config.decoder.dim))
        nn.init.trunc_normal_(self.mask_token, std=0.02)

    def forward(self, batch: Batch) -> Output:
        """Return the reconstruction loss of one batch."""
        patches = patchify(batch.images, self.config.encoder.patch)
        seen = self.decoder.embed(encode(self.encoder, batch.images, batch.visible))
        blank = self.mask_token.expand(len(batch.hidden), batch.hidden.shape[1], -1)
        predicted = self.decoder(join(seen, batch.visible, blank, batch.hidden))
        loss = reconstruction_loss(predicted, target_patches(patches, self.config.loss.target), batch.hidden)
        corrupted = put(patches, batch.hidden, patches.new_zeros(*batch.hidden.shape, patches.shape[-1]))
        return Output(loss, {"reconstruction": loss.detach()}, corrupted, predicted)

    def start(self, images: Tensor, rng: np.random.Generator) -> None:
        """Nothing to prepare."""

    def after_step(
        self, batch: Batch, output: Output, epoch: float, rng: np.random.Generator
    ) -> dict[str, float]:
        """Nothing beside the gradient."""
        return {}
