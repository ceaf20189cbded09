"""The patch codebook: K tokens for each place on the aligned face, or for each face part, or for all places.

A token is a patch of (normalised) pixels, so a picture completed with tokens is again a picture (our
reading of "patch-pixel aligned"); as a switch, tokens lie where the encoder's patch embedding maps patches.
The codebook is learned end to end (paper): the gradient of the reconstruction reaches it through the
mixture, and because the gradient alone hardly moves it, each step also draws every token towards the
patches it is nearest to (EMA k-means, our choice, after VQ-VAE, arXiv 1711.00937, appendix A.1). Dead
tokens are revived from patches of the same place.

Shapes: B pictures, N places, S codebooks (N, the number of face parts, or 1), K tokens a codebook, T values
a token. ``books`` (B, N) says which codebook each place of each picture uses.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from paco_fr.config import CodebookConfig
from paco_fr.model.regions import REGIONS
from paco_fr.utils.errors import PacoError

LLOYD_ROUNDS = 10
"""Rounds of k-means where the first tokens are its centres; more change little."""


class Codebook(nn.Module):
    """Tokens (S, K, T) of S codebooks, with running shares (S, K) of how often each is nearest and believed."""

    usage: Tensor
    believed: Tensor

    def __init__(self, cells: int, values: int, config: CodebookConfig) -> None:
        super().__init__()
        self.config = config
        self.count = {"position": cells, "region": len(REGIONS), "shared": 1}[config.scope]
        self.tokens = nn.Parameter(
            torch.empty(self.count, config.tokens, values), requires_grad=config.gradient
        )
        self.register_buffer("usage", torch.full((self.count, config.tokens), 1.0 / config.tokens))
        self.register_buffer("believed", torch.full((self.count, config.tokens), 1.0 / config.tokens))
        nn.init.normal_(self.tokens, std=0.5)

    def books(self, regions: Tensor) -> Tensor:
        """Return the codebook (B, N) of each place, given its region (B, N)."""
        if self.config.scope == "region":
            return regions
        if self.config.scope == "shared":
            return torch.zeros_like(regions)
        return torch.arange(regions.shape[1], device=regions.device).expand_as(regions)

    @torch.no_grad()
    def start_from(self, patches: Tensor, books: Tensor, rng: np.random.Generator) -> None:
        """Set the tokens of each codebook to different real patches (B, N, T) of its places.

        Raises:
            PacoError: a codebook has more tokens than there are patches for it.

        """
        B, N, T = patches.shape
        K, flat = self.config.tokens, patches.reshape(B * N, T)
        if self.config.scope == "position":
            self._enough(B, "a place")
            chosen = torch.from_numpy(rng.permuted(np.tile(np.arange(B), (N, 1)), axis=1)[:, :K])
            self.tokens.copy_(patches[chosen, torch.arange(N)[:, None]])
        else:
            members = books.flatten().cpu().numpy()
            for book in np.unique(members):  # a face part that no crop shows keeps its random tokens
                own = np.flatnonzero(members == book)
                self._enough(len(own), "a codebook")
                self.tokens[book] = flat[torch.from_numpy(rng.choice(own, K, replace=False)).to(flat.device)]
        if self.config.start == "k-means":
            for _ in range(LLOYD_ROUNDS):
                assigned = self.assign(patches, books)
                counts, sums = self.counts(books, assigned), self.sums(patches, books, assigned)
                means = sums / counts.clamp_min(1)[..., None]
                self.tokens.copy_(torch.where(counts[..., None] > 0, means, self.tokens))

    def _enough(self, patches: int, whose: str) -> None:
        if patches < self.config.tokens:
            raise PacoError(
                f"codebook.tokens {self.config.tokens} exceed the {patches} patches of {whose} in the first pictures. "
                "Give data.source more pictures or choose fewer tokens."
            )

    def assign(self, patches: Tensor, books: Tensor) -> Tensor:
        """Return the nearest token (B, N) of each patch (B, N, T), among the tokens of its codebook.

        Never in half precision, whose rounding is larger than the distance between neighbouring tokens.
        """
        tokens = self.tokens.detach()
        with torch.autocast(patches.device.type, enabled=False):
            offsets = 0.5 * tokens.square().sum(-1)
            offsets = offsets if self.config.scope == "position" else offsets[books]
            return (own_products(patches.float(), tokens, books) - offsets).argmax(-1)

    def mix(self, books: Tensor, chosen: Tensor, weights: Tensor) -> Tensor:
        """Return the mixed tokens (B, M, T): the weighted sum of k chosen tokens for each of M places.

        Args:
            books: codebook of each place (B, M).
            chosen: indices of candidates (B, M, k) in that codebook.
            weights: their weights (B, M, k), summing to one.

        """
        B, M, k = chosen.shape
        rows = (books[..., None] * self.config.tokens + chosen).reshape(B * M, k)
        shares = weights.reshape(B * M, k).to(self.tokens.dtype)
        mixed = F.embedding_bag(rows, self.tokens.flatten(0, 1), per_sample_weights=shares, mode="sum")
        return mixed.reshape(B, M, -1)

    @torch.no_grad()
    def counts(self, books: Tensor, chosen: Tensor) -> Tensor:
        """Return how often each token was chosen, (S, K), for codebooks (B, M) and choices (B, M)."""
        rows = (books * self.config.tokens + chosen).flatten()
        return torch.bincount(rows, minlength=self.usage.numel()).view_as(self.usage).to(self.usage)

    @torch.no_grad()
    def sums(self, patches: Tensor, books: Tensor, assigned: Tensor) -> Tensor:
        """Return the sum (S, K, T) of the patches (B, N, T) assigned to each token.

        A sum, so that several processes add theirs before :meth:`follow`.
        """
        rows = (books * self.config.tokens + assigned).flatten()
        flat = patches.new_zeros(self.usage.numel(), patches.shape[-1])
        return flat.index_add_(0, rows, patches.flatten(0, 1)).view_as(self.tokens)

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
    def remember(self, assigned: Tensor, believed: Tensor) -> None:
        """Update the running shares of nearest and of believed tokens from counts (S, K) of each."""
        for running, counts in ((self.usage, assigned), (self.believed, believed)):
            met = counts.sum(1, keepdim=True)
            running.lerp_(torch.where(met > 0, counts / met.clamp_min(1), running), self.config.memory)

    @torch.no_grad()
    def revive(self, patches: Tensor, books: Tensor, rng: np.random.Generator) -> int:
        """Restart dead tokens at random patches (B, N, T) of their codebook; return how many there were."""
        dead = self.usage < self.config.revive_below / self.config.tokens
        owners, tokens = dead.nonzero(as_tuple=True)
        if len(owners):
            pictures = torch.from_numpy(rng.integers(0, len(patches), size=len(owners))).to(patches.device)
            fits = books[pictures] == owners[:, None]  # (dead, N)
            lots = torch.from_numpy(rng.random(fits.shape)).to(patches.device)
            places = torch.where(fits, lots, -1.0).argmax(1)
            found = fits.any(1)  # a picture may lack a face part: its token waits for the next step
            owners, tokens, pictures, places = owners[found], tokens[found], pictures[found], places[found]
            self.tokens[owners, tokens] = patches[pictures, places]
            self.usage[owners, tokens] = 1.0 / self.config.tokens
        return len(owners)


def own_products(vectors: Tensor, tokens: Tensor, books: Tensor) -> Tensor:
    """Return the products (B, N, K) of vectors (B, N, T) with the tokens (S, K, T) of their own codebook."""
    if len(tokens) == vectors.shape[1]:  # each place its own; with so many codebooks the other way is slow
        return torch.einsum("bnd,nkd->bnk", vectors, tokens)
    S, K, _ = tokens.shape
    products = vectors @ tokens.flatten(0, 1).T
    products = products.reshape(*products.shape[:-1], S, K)  # (B, N, S, K)
    return products.gather(2, books[..., None, None].expand(-1, -1, 1, K)).squeeze(2)


def perplexity(shares: Tensor) -> Tensor:
    """Return the effective number of tokens (S,) of shares (S, K): exp of the entropy."""
    shares = shares / shares.sum(-1, keepdim=True)
    return (-(shares * shares.clamp_min(1e-9).log()).sum(-1)).exp()


@torch.no_grad()
def codebook_health(book: Codebook) -> dict[str, float | Tensor]:
    """Return how many tokens are in use, by the running shares of nearest and of believed ones."""
    alive = book.config.revive_below / book.config.tokens
    return {
        "perplexity": perplexity(book.usage).mean(),
        "belief_perplexity": perplexity(book.believed).mean(),
        "tokens_used": (book.usage > alive).float().mean(),
        "tokens_believed": (book.believed > alive).float().mean(),
    }
