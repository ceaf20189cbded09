"""The belief predictor: which token of its place's codebook does a hidden patch most plausibly show?

It reads context and prior knowledge instead of one fixed mask token (paper). During incubation, the first
epoch, it may also see the original pixels of hidden patches, to learn the map from pixel space to codebook
space (paper); here they are shown with a probability that fades from one to zero (our choice: a hard
switch loses what was learned). The context are the encoder's tokens of the visible patches.
"""

from __future__ import annotations

import torch
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from paco_fr.config import BeliefConfig
from paco_fr.model.codebook import own_products
from paco_fr.model.patches import join, take


class Belief(nn.Module):
    """A small transformer over all places, giving logits over the K tokens of each hidden place."""

    def __init__(self, config: BeliefConfig, cells: int, context_dim: int, values: int) -> None:
        super().__init__()
        self.context = nn.Linear(context_dim, config.dim)
        self.pixels = nn.Linear(values, config.dim)
        self.hidden_token = nn.Parameter(torch.zeros(1, 1, config.dim))
        self.positions = nn.Parameter(torch.zeros(1, cells, config.dim))
        self.blocks = nn.ModuleList(
            Block(config.dim, config.heads, qkv_bias=True) for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(config.dim)
        self.query = nn.Linear(config.dim, config.dim)
        self.key = nn.Linear(values, config.dim)
        nn.init.trunc_normal_(self.positions, std=0.02)
        nn.init.trunc_normal_(self.hidden_token, std=0.02)

    def forward(
        self,
        context: Tensor,
        visible: Tensor,
        hidden: Tensor,
        shown: Tensor,
        patches: Tensor,
        tokens: Tensor,
    ) -> Tensor:
        """Return logits (B, M, K).

        Args:
            context: (B, V, context_dim) of the visible places.
            visible: places (B, V).
            hidden: places (B, M).
            shown: (B, M) bool, hidden places whose pixels incubation lets through; all False afterwards.
            patches: (B, N, D) original patches; of hidden places only the shown ones are read.
            tokens: (S, K, D) the codebooks; logits compare each hidden place with the tokens of its own.

        """
        unknown = torch.where(shown[..., None], self.pixels(take(patches, hidden)), self.hidden_token)
        states = join(self.context(context), visible, unknown, hidden) + self.positions
        for block in self.blocks:
            states = block(states)
        queries = self.query(self.norm(states))
        keys = self.key(tokens.detach())
        logits = own_products(queries, keys) / queries.shape[-1] ** 0.5
        return take(logits, hidden)


def candidates(logits: Tensor, count: int, temperature: float) -> tuple[Tensor, Tensor]:
    """Return the ``count`` most believed tokens (..., k) and their renormalised weights (..., k).

    Args:
        logits: (..., K).
        count: k.
        temperature: tau of the softmax.

    """
    best, chosen = logits.topk(count, dim=-1)
    return chosen, torch.softmax(best / temperature, dim=-1)


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
        weights: (B, M, k) of the mixture.

    """
    return {
        "belief_accuracy": (logits.argmax(-1) == truth).float().mean(),
        "token_error": (tokens - matter).square().mean(),
        "quantisation_error": (nearest - matter).square().mean(),
        "candidate_entropy": -(weights * weights.clamp_min(1e-9).log()).sum(-1).mean(),
    }
