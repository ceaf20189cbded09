"""The patch codebook: K tokens for each place on the aligned face, or for all places together.

A token is a patch of (normalised) pixels, so a picture completed with tokens is again a picture (our
reading of "patch-pixel aligned"). The codebook is learned end to end (paper): the gradient of the
reconstruction reaches it through the mixture, and because the gradient alone hardly moves it, each step
also draws every token towards the patches it is nearest to (EMA k-means, our choice, after VQ-VAE, arXiv
1711.00937, appendix A.1). Dead tokens are revived from patches of the same place.

Shapes: B pictures, N places, S codebooks (N, or 1 for all), K tokens a codebook, D values a patch and a token.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from paco_fr.config import CodebookConfig
from paco_fr.utils.errors import PacoError


class Codebook(nn.Module):
    """Tokens (S, K, D) of S codebooks, with running shares (S, K) of how often each is nearest and believed."""

    usage: Tensor
    believed: Tensor

    def __init__(self, cells: int, values: int, config: CodebookConfig) -> None:
        super().__init__()
        self.config = config
        count = cells if config.scope == "position" else 1
        self.tokens = nn.Parameter(torch.empty(count, config.tokens, values))
        self.register_buffer("usage", torch.full((count, config.tokens), 1.0 / config.tokens))
        self.register_buffer("believed", torch.full((count, config.tokens), 1.0 / config.tokens))
        nn.init.normal_(self.tokens, std=0.5)

    def books(self, cells: Tensor) -> Tensor:
        """Return the codebook (B, M) of each place (B, M): its own, or the one that all share."""
        return cells if self.config.scope == "position" else torch.zeros_like(cells)

    @torch.no_grad()
    def start_from(self, patches: Tensor, rng: np.random.Generator) -> None:
        """Set the tokens of each codebook to different real patches (B, N, D) of its places.

        Raises:
            PacoError: a codebook has more tokens than there are patches for it.

        """
        B, N, D = patches.shape
        K, own = self.config.tokens, B if self.config.scope == "position" else B * N
        if own < K:
            raise PacoError(
                f"codebook.tokens {K} exceed the {own} patches of a codebook in the first pictures. "
                "Give data.source more pictures or choose fewer tokens."
            )
        if self.config.scope == "position":
            chosen = torch.from_numpy(rng.permuted(np.tile(np.arange(B), (N, 1)), axis=1)[:, :K])
            self.tokens.copy_(patches[chosen, torch.arange(N)[:, None]])
        else:
            chosen = torch.from_numpy(rng.choice(B * N, K, replace=False)).to(patches.device)
            self.tokens.copy_(patches.reshape(B * N, D)[chosen][None])

    def assign(self, patches: Tensor) -> Tensor:
        """Return the nearest token (B, N) of each patch (B, N, D), among the tokens of its codebook.

        Never in half precision, whose rounding is larger than the distance between neighbouring tokens.
        """
        tokens = self.tokens.detach()
        offsets: Tensor = 0.5 * torch.linalg.vector_norm(tokens, dim=-1).square()  # (S, K)
        return (own_products(patches, None, tokens.mT) - offsets).max(-1).indices  # faster than argmax

    @torch.no_grad()
    def counts(self, cells: Tensor, chosen: Tensor) -> Tensor:
        """Return how often each token was chosen, (S, K), for places (B, M) and choices (B, M)."""
        rows = self.rows(cells, chosen).flatten()
        return torch.bincount(rows, minlength=self.usage.numel()).view_as(self.usage).to(self.usage)

    @torch.no_grad()
    def sums(self, cells: Tensor, chosen: Tensor, patches: Tensor) -> Tensor:
        """Return the sum (S, K, D) of the patches (B, M, D) for which each token was chosen.

        A sum, so that several processes add theirs before :meth:`follow`.
        """
        rows = self.rows(cells, chosen).flatten()
        flat = patches.new_zeros(self.usage.numel(), patches.shape[-1])
        return flat.index_add_(0, rows, patches.flatten(0, 1)).view_as(self.tokens)

    def rows(self, cells: Tensor, chosen: Tensor) -> Tensor:
        """Return the numbers of chosen tokens, counted through all codebooks, for places and choices (B, M)."""
        return self.books(cells) * self.config.tokens + chosen

    @torch.no_grad()
    def follow(self, counts: Tensor, sums: Tensor, rate: float) -> None:
        """Draw each token towards the mean of its patches, in proportion to how many it has.

        A token with its fair share of the batch moves by ``rate``.
        """
        shares = counts / counts.sum(1, keepdim=True).clamp_min(1)
        step = (rate * shares * self.config.tokens).clamp_max(1.0)[..., None]
        self.tokens.lerp_(sums / counts.clamp_min(1)[..., None], step)

    @torch.no_grad()
    def remember(self, assigned: Tensor, believed: Tensor) -> None:
        """Update the running shares of nearest and of believed tokens from counts (S, K) of each."""
        for running, counts in ((self.usage, assigned), (self.believed, believed)):
            met = counts.sum(1, keepdim=True)
            running.lerp_(torch.where(met > 0, counts / met.clamp_min(1), running), self.config.memory)

    @torch.no_grad()
    def revive(self, patches: Tensor, rng: np.random.Generator) -> int:
        """Restart dead tokens at random patches (B, N, D) of their places; return how many there were."""
        dead = self.usage < self.config.revive_below / self.config.tokens
        places, tokens = dead.nonzero(as_tuple=True)
        books = places
        if len(books):
            B, N, _ = patches.shape
            pictures = torch.from_numpy(rng.integers(0, B, size=len(books))).to(patches.device)
            if self.config.scope == "shared":
                places = torch.from_numpy(rng.random((len(books), N)).argmax(1)).to(patches.device)
            self.tokens[books, tokens] = patches[pictures, places].to(self.tokens)  # bf16 under autocast
            self.usage[books, tokens] = 1.0 / self.config.tokens
        return len(books)


def own_products(vectors: Tensor, cells: Tensor | None, matrices: Tensor) -> Tensor:
    """Return the products (B, M, E) of vectors with the matrix of their own codebook, in its precision.

    Args:
        vectors: (B, M, D).
        cells: their places (B, M), all different in a picture; None for all places in order.
        matrices: (S, D, E), one for each codebook.

    """
    B, M, D = vectors.shape
    vectors = vectors.to(matrices.dtype)
    with torch.autocast(vectors.device.type, enabled=False):
        if len(matrices) == 1:
            return vectors @ matrices[0]
        if cells is None:
            return (vectors.transpose(0, 1) @ matrices).transpose(0, 1)
        # All places in one batched product: rows of hidden ones lie place by place.
        rows = (cells * B + torch.arange(B, device=cells.device)[:, None]).flatten()
        laid = vectors.new_zeros(len(matrices) * B, D).index_copy(0, rows, vectors.reshape(B * M, D))
        products = laid.view(-1, B, D) @ matrices  # (N, B, E)
        return products.flatten(0, 1).index_select(0, rows).view(B, M, -1)


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
