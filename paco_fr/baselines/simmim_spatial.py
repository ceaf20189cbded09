"""SimMIM with what PaCo-FR has beside codebook, belief and masking: its spatial consistency, teacher and all.

Where PaCo-FR leads SimMIM but not this rival, the lead is the spatial term's, not the codebook's.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from paco_fr.baselines.simmim import SimMIM
from paco_fr.config import PretrainConfig
from paco_fr.model.losses import Spatial
from paco_fr.model.objective import Batch, Output
from paco_fr.model.patches import put, take


class SimMIMSpatial(SimMIM):
    """SimMIM plus the region-pair term of PaCo-FR, on pixels or on features."""

    def __init__(self, config: PretrainConfig) -> None:
        super().__init__(config)
        self.spatial = Spatial(config.loss, self.encoder)

    def forward(self, batch: Batch) -> Output:
        """Return reconstruction plus weighted spatial loss of one batch."""
        output, features, target = self.reconstruct(batch)
        repaired = put(target, batch.hidden, take(output.predicted, batch.hidden))
        everywhere = torch.arange(features.shape[1], device=features.device).expand(len(features), -1)
        spatial = self.spatial(batch.images, repaired, target, features, everywhere, batch.regions)
        terms = {**output.terms, **{name: term.detach() for name, term in spatial.items()}}
        return replace(output, loss=output.loss + self.config.loss.spatial * spatial["spatial"], terms=terms)

    def after_step(
        self, batch: Batch, output: Output, epoch: float, rng: np.random.Generator
    ) -> dict[str, float | Tensor]:
        """Let the teacher follow."""
        self.spatial.follow(self.encoder)
        return {}
