"""Pretraining objectives behind one interface: PaCo-FR and its rivals under the same loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from operator import itemgetter
from typing import Any

import numpy as np
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from paco_fr.config import PretrainConfig
from paco_fr.model.patches import put


@dataclass(frozen=True)
class Batch:
    """One step's pictures and what randomness decided about them.

    Attributes:
        images: (B, 3, S, S) pixels under the encoder's pixel contract.
        hidden: (B, M) sorted cells that are hidden.
        visible: (B, N - M) sorted cells that stay.
        regions: (B, N) region of each cell.
        shown: (B, M) bool, hidden cells whose pixels incubation lets through; None once it lets none through.
        watched: whether health numbers are wanted, which cost passes that training does not need.

    """

    images: Tensor
    hidden: Tensor
    visible: Tensor
    regions: Tensor
    shown: Tensor | None = None
    watched: bool = False

    @property
    def places(self) -> Tensor:
        """Cells (B, N) in the order in which tokens go through blocks: visible ones, then hidden ones."""
        return torch.cat([self.visible, self.hidden], 1)

    def each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """Return the batch with every tensor changed."""
        parts: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        changed: dict[str, Any] = {n: change(p) if isinstance(p, Tensor) else p for n, p in parts.items()}
        return Batch(**changed)

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device; from pinned memory the copies overlap with what the device does."""
        return self.each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Batch:
        """Return the batch in page-locked memory; torch's data loader calls this."""
        return self.each(Tensor.pin_memory)

    def parts(self, count: int) -> list[Batch]:
        """Return ``count`` batches of consecutive pictures, equally many in each."""
        size = len(self.images) // count
        starts = range(0, len(self.images), size)
        return [self.each(itemgetter(slice(start, start + size))) for start in starts]


@dataclass(frozen=True)
class Output:
    """What a forward pass gives the loop.

    Attributes:
        loss: scalar to minimise.
        terms: named scalars for the log, detached.
        predicted: (B, M, D) the hidden patches as the decoder gives them, D = 3P².
        filling: (B, M, D) what stood in for them, in pixels; None for a mask token, which has no look, and in training
            where nobody watches.
        matter: (B, N, D) patches as tokens see them, or None without a codebook.
        assigned: (B, N) nearest token of each true patch, or None without a codebook.
        believed: (B, M) the most believed token of each hidden patch, or None without a codebook.
        tokens: (B, M, D) what was put in the hidden places; None without a codebook, and where nobody watches.

    """

    loss: Tensor
    terms: dict[str, Tensor]
    predicted: Tensor
    filling: Tensor | None = None
    matter: Tensor | None = None
    assigned: Tensor | None = None
    believed: Tensor | None = None
    tokens: Tensor | None = None

    def detached(self) -> Output:
        """Return the output with the gradient of its loss and prediction alone."""
        terms = {name: term.detach() for name, term in self.terms.items()}
        filling, tokens = (None if t is None else t.detach() for t in (self.filling, self.tokens))
        return replace(self, terms=terms, filling=filling, tokens=tokens)

    @staticmethod
    def joined(parts: list[Output]) -> Output:
        """Return the output of a batch worked through in equal parts, without what no later step reads.

        Loss and terms are means; the tokens of all parts are kept, the pictures of the last part only.
        """
        if len(parts) == 1:
            return parts[0]
        last = parts[-1]
        return replace(
            last,
            loss=torch.stack([part.loss.detach() for part in parts]).mean(),
            terms={name: torch.stack([part.terms[name] for part in parts]).mean() for name in last.terms},
            matter=_cat([part.matter for part in parts]),
            assigned=_cat([part.assigned for part in parts]),
            believed=_cat([part.believed for part in parts]),
        )


def _cat(tensors: list[Tensor | None]) -> Tensor | None:
    present = [tensor for tensor in tensors if tensor is not None]
    return torch.cat(present) if present else None


class Objective(nn.Module):
    """A module with an encoder that the loop can train."""

    encoder: VisionTransformer

    def __init__(self, config: PretrainConfig) -> None:
        super().__init__()
        self.config = config

    def forward(self, batch: Batch) -> Output:
        """Return the loss of one batch."""
        raise NotImplementedError

    def start(self, batch: Batch, rng: np.random.Generator) -> None:
        """Look at first pictures before training, e.g. to fill a codebook."""

    def after_step(
        self, batch: Batch, output: Output, epoch: float, rng: np.random.Generator
    ) -> dict[str, float | Tensor]:
        """Update what no gradient updates; return further numbers for the log."""
        return {}


def completed(patches: Tensor, batch: Batch, output: Output) -> Tensor:
    """Return patches (B, N, D) with what stood in at hidden places: believed tokens, or mid grey for a mask token."""
    filling = output.filling
    if filling is None:
        filling = patches.new_zeros(*batch.hidden.shape, patches.shape[-1])
    return put(patches, batch.hidden, filling)
