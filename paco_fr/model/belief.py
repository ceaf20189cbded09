"""The belief predictor: which token of its place's codebook does a hidden patch most plausibly show?

It reads context and prior knowledge instead of one fixed mask token (paper). During incubation, the first
epoch, it may also see the original pixels of hidden patches, to learn the map from pixel space to codebook
space (paper); here they are shown with a probability that fades from one to zero (our choice: a hard
switch loses what was learned). The context are the encoder's tokens of the visible patches.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from paco_fr.config import BeliefConfig
from paco_fr.model.codebook import own_products
from paco_fr.model.objective import Batch
from paco_fr.model.patches import beside, put, take


class Belief(nn.Module):
    """Logits over the tokens of each hidden place, by how its state is like their embeddings."""

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
        return likeness(self.norm(states), hidden, embedded)


class Predictor(nn.Module):
    """A belief with a small transformer of its own, in place of the decoder's, and its own view of tokens."""

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

    def states(self, context: Tensor, batch: Batch, truth: Tensor) -> Tensor:
        """Return the states (B, M, dim) of the hidden places.

        Args:
            context: (B, V, context_dim) of the visible places.
            batch: says which places are hidden, and of which incubation lets the pixels through.
            truth: (B, M, D) true hidden patches; only those that are let through are read.

        """
        shown = torch.zeros_like(batch.hidden, dtype=torch.bool) if batch.shown is None else batch.shown
        unknown = torch.where(shown[..., None], self.pixels(truth), self.hidden_token)
        states = beside(self.context(context), unknown) + F.embedding(batch.places, self.positions[0])
        for block in self.blocks:
            states = block(states)
        return states[:, batch.visible.shape[1] :]

    def forward(self, states: Tensor, hidden: Tensor, tokens: Tensor) -> Tensor:
        """Return logits (B, M, K) of states (B, M, dim) at hidden places (B, M) over their tokens, of (S, K, D)."""
        return likeness(self.query(self.norm(states)), hidden, self.key(tokens.detach()))


def likeness(queries: Tensor, hidden: Tensor, keys: Tensor) -> Tensor:
    """Return scaled products (B, M, K) of queries (B, M, dim) at hidden places (B, M) with keys (S, K, dim)."""
    queries = queries / queries.shape[-1] ** 0.5
    if len(keys) == 1:
        return own_products(queries, keys)
    # Products of each place with its own tokens are taken for all places at once: one batched product.
    everywhere = queries.new_zeros(len(queries), len(keys), queries.shape[-1])
    return take(own_products(put(everywhere, hidden, queries), keys), hidden)


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
