"""No objective: the encoder as it is initialised, so that a grid of objectives has its floor in the same table."""

from __future__ import annotations

import torch

from paco_fr.config import PretrainConfig
from paco_fr.model.objective import Batch, Objective, Output
from paco_fr.model.patches import patchify, take
from paco_fr.model.vit import build_encoder, encode


class Untrained(Objective):
    """An encoder of which no step is ever taken, equal to ``random:RECIPE@SEED``."""

    def __init__(self, config: PretrainConfig) -> None:
        super().__init__(config)
        self.encoder = build_encoder(config.encoder)

    def forward(self, batch: Batch) -> Output:
        """Return mid grey for every hidden patch; the loss is zero, with a gradient of zero."""
        patches = patchify(batch.images, self.config.encoder.patch)  # (B, N, D)
        nothing = 0.0 * encode(self.encoder, take(patches, batch.visible), batch.visible).mean()
        return Output(
            nothing, {"reconstruction": nothing.detach()}, torch.zeros_like(take(patches, batch.hidden))
        )
