"""PaCo-FR, read top to bottom: hide, believe, replace, encode and decode, learn.

"Paper" marks what arXiv 2508.09691 states; the rest is our reading, with its switches in
:mod:`paco_fr.config`. Shapes: B pictures, N = G x G places, M hidden, V = N - M visible, K tokens a place,
k candidates, D = 3P² values a patch, C encoder width.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from paco_fr.belief import Belief, candidates
from paco_fr.codebook import Codebook, perplexity
from paco_fr.config import PretrainConfig
from paco_fr.distributed import gathered, summed
from paco_fr.losses import belief_loss, reconstruction_loss, spatial_loss, target_patches
from paco_fr.objectives import Batch, Output
from paco_fr.patches import join, patchify, put, take, unpatchify
from paco_fr.vit import Decoder, build_encoder, encode


class PaCo(nn.Module):
    """Masked image modelling in which hidden patches are replaced by believed tokens of a learned codebook."""

    def __init__(self, config: PretrainConfig) -> None:
        super().__init__()
        self.config = config
        cells, values = config.encoder.cells, config.encoder.patch**2 * 3
        self.encoder = build_encoder(config.encoder)
        self.codebook = Codebook(cells, values, config.codebook)
        own_network = config.belief.place == "separate"
        self.belief = Belief(config.belief, cells, values if own_network else config.encoder.dim, values)
        self.decoder = Decoder(config.decoder, config.encoder)
        if config.belief.place == "visible":
            self.token_embed = nn.Linear(values, config.decoder.dim)

    def forward(self, batch: Batch) -> Output:
        """Return the loss of one batch and what it was made of."""
        patch, place = self.config.encoder.patch, self.config.belief.place
        patches = patchify(batch.images, patch)  # (B, N, D)

        # Believe: which tokens do the hidden patches show, judged by the visible ones (paper)?
        if place == "separate":
            context = take(patches, batch.visible)  # (B, V, D)
        else:
            context = encode(self.encoder, batch.images, batch.visible)  # (B, V, C)
        logits = self.belief(
            context, batch.visible, batch.hidden, batch.shown, patches, self.codebook.tokens
        )  # (B, M, K)

        # Replace: the k most believed tokens, mixed, are the patch (paper: several candidates).
        chosen, weights = candidates(
            logits, self.config.codebook.candidates, self.config.codebook.temperature
        )
        tokens = self.codebook.mix(batch.hidden, chosen, weights)  # (B, M, D)
        completed = put(patches, batch.hidden, tokens)  # (B, N, D), again a picture

        # Encode and decode the completed picture (paper), or let the tokens meet the decoder only (ours).
        if place == "visible":
            seen = self.decoder.embed(context)
            decoded = self.decoder(join(seen, batch.visible, self.token_embed(tokens), batch.hidden))
        else:
            decoded = self.decoder(self.decoder.embed(encode(self.encoder, unpatchify(completed, patch))))

        # Learn.
        target = target_patches(patches, self.config.loss.target)
        assigned = self.codebook.assign(patches)  # (B, N)
        truth = assigned.gather(1, batch.hidden)  # (B, M)
        repaired = put(target, batch.hidden, take(decoded, batch.hidden))
        reconstruction = reconstruction_loss(decoded, target, batch.hidden)
        belief = belief_loss(logits, truth)
        spatial = spatial_loss(repaired, target, batch.regions)
        loss = reconstruction + self.config.loss.belief * belief + self.config.loss.spatial * spatial
        terms = {"reconstruction": reconstruction, "belief": belief, "spatial": spatial}
        with torch.no_grad():
            terms |= self._health(logits, truth, tokens, take(patches, batch.hidden), weights, batch.hidden)
        detached = {name: term.detach() for name, term in terms.items()}
        return Output(loss, detached, completed, decoded, assigned, chosen[..., 0])

    def start(self, images: Tensor, rng: np.random.Generator) -> None:
        """Fill the codebook with real patches of each place."""
        self.codebook.start_from(patchify(images, self.config.encoder.patch), rng)

    def after_step(
        self, batch: Batch, output: Output, epoch: float, rng: np.random.Generator
    ) -> dict[str, float]:
        """Let the tokens follow their patches; revive dead ones while the codebook incubates."""
        assert output.assigned is not None and output.believed is not None
        book, settings = self.codebook, self.config.codebook
        patches = patchify(batch.images, self.config.encoder.patch)
        everywhere = torch.arange(patches.shape[1], device=patches.device).expand(len(patches), -1)
        assigned = summed(book.counts(everywhere, output.assigned))
        believed = summed(book.counts(batch.hidden, output.believed))
        incubating = epoch < self.config.belief.incubation_epochs
        book.follow(
            assigned,
            summed(book.sums(patches, output.assigned)),
            settings.incubation_rate if incubating else settings.rate,
        )
        book.remember(assigned, believed, settings.memory)
        revived = book.revive(gathered(patches), rng) if incubating else 0
        alive = settings.revive_below / settings.tokens
        return {
            "revived": float(revived),
            "perplexity": perplexity(book.usage).mean().item(),
            "belief_perplexity": perplexity(book.believed).mean().item(),
            "tokens_used": (book.usage > alive).float().mean().item(),
            "tokens_believed": (book.believed > alive).float().mean().item(),
        }

    def _health(
        self, logits: Tensor, truth: Tensor, tokens: Tensor, patches: Tensor, weights: Tensor, hidden: Tensor
    ) -> dict[str, Tensor]:
        """Numbers that tell a good belief from a leak.

        A token error below the quantisation error means that hidden pixels reached the belief.
        """
        nearest = self.codebook.tokens[hidden, truth]
        return {
            "belief_accuracy": (logits.argmax(-1) == truth).float().mean(),
            "token_error": (tokens - patches).square().mean(),
            "quantisation_error": (nearest - patches).square().mean(),
            "candidate_entropy": -(weights * weights.clamp_min(1e-9).log()).sum(-1).mean(),
        }
