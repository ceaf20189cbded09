"""Pretraining objectives behind one interface: PaCo-FR and its rivals under the same loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from paco_fr.config import PretrainConfig


@dataclass(frozen=True)
class Batch:
    """One step's pictures and what randomness decided about them.

    Attributes:
        images: (B, 3, S, S) pixels under the encoder's pixel contract.
        hidden: (B, M) sorted cells that are hidden.
        visible: (B, N - M) sorted cells that stay.
        shown: (B, M) bool, hidden cells whose pixels incubation lets through.
        regions: (B, N) region of each cell.

    """

    images: Tensor
    hidden: Tensor
    visible: Tensor
    shown: Tensor
    regions: Tensor


@dataclass(frozen=True)
class Output:
    """What a forward pass gives the loop.

    Attributes:
        loss: scalar to minimise.
        terms: named scalars for the log, detached.
        corrupted: (B, N, 3P²) what stood in for the picture, for reconstruction sheets.
        predicted: (B, N, 3P²) the decoder's patches.
        assigned: (B, N) nearest token of each true patch, or None without a codebook.
        believed: (B, M) the most believed token of each hidden patch, or None without a codebook.

    """

    loss: Tensor
    terms: dict[str, Tensor]
    corrupted: Tensor
    predicted: Tensor
    assigned: Tensor | None = None
    believed: Tensor | None = None


class Objective(Protocol):
    """A module with an encoder that the loop can train."""

    encoder: VisionTransformer

    def __call__(self, batch: Batch) -> Output:
        """Return the loss of one batch."""
        ...

    def start(self, images: Tensor, rng: np.random.Generator) -> None:
        """Look at first pictures (B, 3, S, S) before training, e.g. to fill a codebook."""
        ...

    def after_step(
        self, batch: Batch, output: Output, epoch: float, rng: np.random.Generator
    ) -> dict[str, float]:
        """Update what no gradient updates; return further numbers for the log."""
        ...


def build_objective(config: PretrainConfig) -> Objective:
    """Return the untrained objective that a configuration names."""
    if config.objective == "paco":
        from paco_fr.model import PaCo

        return PaCo(config)
    from paco_fr.objectives.mae import MAE

    return MAE(config)
