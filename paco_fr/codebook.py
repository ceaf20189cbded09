"""The patch codebook: K tokens for each place on the aligned face, living in pixel space.

A token is a patch of (normalised) pixels, so a picture completed with tokens is again a picture (our
reading of "patch-pixel aligned"). The codebook is learned end to end (paper): the gradient of the
reconstruction reaches it through the mixture, and because the gradient alone hardly moves it, each step
also draws every token towards the patches it is nearest to (EMA k-means, our choice, after VQ-VAE,
arXiv 1711.00937, appendix A.1). Dead tokens are revived from patches of the same place.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from paco_fr.config import CodebookConfig


class Codebook(nn.Module):
    """Tokens (N, K, D) of N places, K tokens a place, D = 3P² values a token."""

    usage: Tensor
    believed: Tensor

    def __init__(self, cells: int, values: int, config: CodebookConfig) -> None:
        super().__init__()
        self.config = config
        self.tokens = nn.Parameter(torch.empty(cells, config.tokens, values))
        self.register_buffer("usage", torch.full((cells, config.tokens), 1.0 / config.tokens))
        self.register_buffer("believed", torch.full((cells, config.tokens), 1.0 / config.tokens))
        nn.init.normal_(self.tokens, std=0.5)

    @torch.no_grad()
    def start_from(self, patches: Tensor, rng: np.random.Generator) -> None:
        """Set the tokens of each place to real patches of that place, (B, N, D) with B >= K."""
        B, N, _ = patches.shape
        chosen = rng.permuted(np.tile(np.arange(B), (N, 1)), axis=1)[:, : self.config.tokens]
        self.tokens.copy_(patches[torch.from_numpy(chosen), torch.arange(N)[:, None]])

    def assign(self, patches: Tensor) -> Tensor:
        """Return the nearest token (B, N) of each patch (B, N, D), among the tokens of its place."""
        tokens = self.tokens.detach()
        similarity = torch.einsum("bnd,nkd->bnk", patches, tokens) - 0.5 * tokens.square().sum(-1)
        return similarity.argmax(-1)

    def mix(self, cells: Tensor, chosen: Tensor, weights: Tensor) -> Tensor:
        """Return the mixed patches (B, M, D): the weighted sum of k chosen tokens of each place.

        Args:
            cells: places (B, M).
            chosen: indices of candidates (B, M, k) in the codebook of their place.
            weights: their weights (B, M, k), summing to one.

        """
        B, M, k = chosen.shape
        rows = (cells[..., None] * self.config.tokens + chosen).reshape(B * M, k)
        mixed = F.embedding_bag(
            rows, self.tokens.flatten(0, 1), per_sample_weights=weights.reshape(B * M, k), mode="sum"
        )
        return mixed.reshape(B, M, -1)

    @torch.no_grad()
    def counts(self, cells: Tensor, chosen: Tensor) -> Tensor:
        """Return how often each token was chosen, (N, K), for places (B, M) and choices (B, M)."""
        rows = (cells * self.config.tokens + chosen).flatten()
        return torch.bincount(rows, minlength=self.usage.numel()).view_as(self.usage).to(self.usage)

    @torch.no_grad()
    def sums(self, patches: Tensor, assigned: Tensor) -> Tensor:
        """Return the sum (N, K, D) of the patches (B, N, D) assigned to each token.

        A sum, so that several processes add theirs before :meth:`follow`.
        """
        B, N, D = patches.shape
        rows = (torch.arange(N, device=patches.device) * self.config.tokens + assigned).flatten()
        flat = patches.new_zeros(self.usage.numel(), D).index_add_(0, rows, patches.reshape(B * N, D))
        return flat.view(N, -1, D)

    @torch.no_grad()
    def follow(self, counts: Tensor, sums: Tensor, rate: float) -> None:
        """Draw each token towards the mean of its patches, in proportion to how many it has.

        A token with its fair share of the batch moves by ``rate``.
        """
        shares = counts / counts.sum(1, keepdim=True).clamp_min(1)
        step = (rate * shares * self.config.tokens).clamp_max(1.0)[..., None]
        means = sums / counts.clamp_min(1)[..., None]
        self.tokens.add_(step * (means - self.tokens))

    @torch.no_grad()
    def remember(self, assigned: Tensor, believed: Tensor, rate: float) -> None:
        """Update the running shares of nearest and of believed tokens from counts (N, K) of each."""
        for running, counts in ((self.usage, assigned), (self.believed, believed)):
            met = counts.sum(1, keepdim=True)
            running.lerp_(torch.where(met > 0, counts / met.clamp_min(1), running), rate)

    @torch.no_grad()
    def revive(self, patches: Tensor, rng: np.random.Generator) -> int:
        """Restart dead tokens at random patches (B, N, D) of their place; return how many there were."""
        dead = self.usage < self.config.revive_below / self.config.tokens
        places, tokens = dead.nonzero(as_tuple=True)
        if len(places):
            source = torch.from_numpy(rng.integers(0, len(patches), size=len(places))).to(patches.device)
            self.tokens[places, tokens] = patches[source, places]
            self.usage[places, tokens] = 1.0 / self.config.tokens
        return len(places)


def perplexity(shares: Tensor) -> Tensor:
    """Return the effective number of tokens (N,) of shares (N, K): exp of the entropy."""
    shares = shares / shares.sum(-1, keepdim=True)
    return (-(shares * shares.clamp_min(1e-9).log()).sum(-1)).exp()
