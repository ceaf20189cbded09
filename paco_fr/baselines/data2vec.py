"""data2vec 2.0, the third rival: hidden places predict what a slow teacher sees there (arXiv 2212.07525).

Self-distillation in place of pixels, the family of iBOT (arXiv 2111.07832) and data2vec (arXiv 2202.03555). The
encoder sees the visible patches only and a light decoder predicts, at hidden places, the tokens that a moving average
of the encoder gives to the whole picture: the mean over its blocks of each block's tokens, normalised. Ours: one mask
a picture and the decoder, crops, masks and order of data of the other objectives, so that only the target differs.
"""

from __future__ import annotations

from copy import deepcopy
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from paco_fr.config import PretrainConfig
from paco_fr.model.losses import follow
from paco_fr.model.objective import Batch, Objective, Output
from paco_fr.model.patches import beside, patchify, take
from paco_fr.model.vit import Decoder, build_encoder, embed, encode


class Data2Vec(Objective):
    """Masked prediction of a slow teacher's tokens."""

    def __init__(self, config: PretrainConfig) -> None:
        super().__init__(config)
        self.encoder = build_encoder(config.encoder)
        self.decoder = Decoder(config.decoder, config.encoder, values=config.encoder.dim)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, config.decoder.dim))
        nn.init.trunc_normal_(self.mask_token, std=0.02)
        self.teacher = deepcopy(self.encoder).requires_grad_(False)

    def forward(self, batch: Batch) -> Output:
        """Return the loss of one batch. What is predicted has no look: pictures of it are mid grey."""
        patches = patchify(batch.images, self.config.encoder.patch)  # (B, N, D)
        context = encode(self.encoder, take(patches, batch.visible), batch.visible)  # (B, V, C)
        blank = self.mask_token.expand(*batch.hidden.shape, -1)  # (B, M, dim)
        states = self.decoder(beside(self.decoder.embed(context), blank), batch.places)  # (B, N, dim)
        predicted = self.decoder.head(states[:, batch.visible.shape[1] :])  # (B, M, C)
        taught = take(self.taught(patches), batch.hidden)
        loss = F.mse_loss(predicted, taught)
        terms = {"reconstruction": loss.detach()}
        if batch.watched:
            terms["teacher_spread"] = taught.flatten(0, 1).std(0).mean()
        return Output(loss, terms, patches.new_zeros(*batch.hidden.shape, patches.shape[-1]))

    @torch.no_grad()
    def taught(self, patches: Tensor) -> Tensor:
        """Return the teacher's tokens (B, N, C) of whole pictures (B, N, D), the mean over its blocks."""
        tokens = embed(self.teacher, patches) + cast(Tensor, self.teacher.pos_embed)
        total = torch.zeros_like(tokens)
        for block in self.teacher.blocks:
            tokens = block(tokens)
            total = total + F.layer_norm(tokens, tokens.shape[-1:])
        return total / len(self.teacher.blocks)

    def after_step(
        self, batch: Batch, output: Output, epoch: float, rng: np.random.Generator
    ) -> dict[str, float | Tensor]:
        """Move the teacher a little towards the encoder."""
        follow(self.teacher, self.encoder, self.config.loss.teacher_rate)
        return {}
