"""The belief predictor: which token of its place's codebook does a hidden patch most plausibly show?

It reads context and prior knowledge instead of one fixed mask token (paper). During incubation, the first
epoch, it may also see the original pixels of hidden patches, to learn the map from pixel space to codebook
space (paper); here they are shown with a probability that fades from one to zero (our choice: a hard
switch loses what was learned). The context are the encoder's tokens of the visible patches, read by the decoder's
blocks (ours): whose states judge what is hidden also repair it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from paco_fr.model.codebook import own_products


class Belief(nn.Module):
    """Logits over the tokens of each hidden place: scaled products of its state with their embeddings."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)

    def forward(self, states: Tensor, hidden: Tensor, embedded: Tensor) -> Tensor:
        """Return logits (B, M, K).

        Args:
            states: (B, M, dim) of the hidden places.
            hidden: places (B, M).
            embedded: (S, K, dim) tokens of all codebooks; each hidden place is likened to those of its own.

        """
        queries = self.norm(states) / states.shape[-1] ** 0.5
        return own_products(queries, hidden, embedded.mT)


def candidates(logits: Tensor, count: int, temperature: float) -> tuple[Tensor, Tensor]:
    """Return the most believed token (...) and the weights (..., K): a softmax over ``count`` of them, zero for others.

    Args:
        logits: (..., K).
        count: k.
        temperature: tau of the softmax.

    """
    best, chosen = logits.topk(count, dim=-1)
    weights = torch.softmax(best / temperature, dim=-1)
    return chosen[..., 0], weights.new_zeros(logits.shape).scatter(-1, chosen, weights)


@torch.no_grad()
def belief_health(
    logits: Tensor, truth: Tensor, tokens: Tensor, nearest: Tensor, matter: Tensor, weights: Tensor
) -> dict[str, Tensor]:
    """Return how well hidden patches are believed.

    A token error below the quantisation error means that hidden pixels reached the belief.

    Args:
        logits: (B, M, K).
        truth: (B, M) nearest token of each true patch.
        tokens: (B, M, D) what was put in its place.
        nearest: (B, M, D) the nearest tokens themselves.
        matter: (B, M, D) true patches as tokens see them.
        weights: (B, M, K) of the mixture.

    """
    return {
        "belief_accuracy": (logits.argmax(-1) == truth).float().mean(),
        "token_error": (tokens - matter).square().mean(),
        "quantisation_error": (nearest - matter).square().mean(),
        "candidate_entropy": -(weights * weights.clamp_min(1e-9).log()).sum(-1).mean(),
    }
