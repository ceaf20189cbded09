"""PaCo-FR, read top to bottom: hide, believe, replace, encode and decode, learn.

"Paper" marks what arXiv 2508.09691 states; the rest is our reading, with its switches in
:mod:`paco_fr.config`. Shapes: B pictures, N = G x G places, M hidden, V = N - M visible, S codebooks of K
tokens, k candidates, D = 3P² values a patch, T values a token (D, or C where tokens are embeddings), C
encoder width.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from paco_fr.config import PretrainConfig
from paco_fr.model.belief import Belief, belief_health, candidates, gumbel, temperature
from paco_fr.model.codebook import Codebook, codebook_health, own_products
from paco_fr.model.losses import Spatial, belief_loss, reconstruction_loss, target_patches
from paco_fr.model.objective import Batch, Objective, Output, blanked
from paco_fr.model.patches import (
    add_colour,
    borrowed_colour,
    join,
    patchify,
    pick,
    put,
    split_colour,
    take,
    unpatchify,
)
from paco_fr.model.vit import Decoder, build_encoder, encode, encode_embedded
from paco_fr.utils.distributed import gathered, summed


class PaCo(Objective):
    """Masked image modelling in which hidden patches are replaced by believed tokens of a learned codebook."""

    def __init__(self, config: PretrainConfig) -> None:
        super().__init__(config)
        cells, values = config.encoder.cells, config.encoder.patch**2 * 3
        token_values = config.encoder.dim if config.codebook.space == "embedding" else values
        own_network = config.belief.place == "separate"
        context = values if own_network else config.encoder.dim
        self.encoder = build_encoder(config.encoder)
        self.codebook = Codebook(cells, token_values, config.codebook)
        self.belief = Belief(config.belief, cells, context, values, token_values)
        self.decoder = Decoder(config.decoder, config.encoder)
        if config.belief.place == "visible":
            self.token_embed = nn.Linear(token_values, config.decoder.dim)
        if config.loss.codes:
            self.codes = nn.Linear(config.encoder.dim, token_values)
        self.spatial = Spatial(config.loss, self.encoder)

    def forward(self, batch: Batch) -> Output:
        """Return the loss of one batch and what it was made of."""
        settings, losses, place = self.config.codebook, self.config.loss, self.config.belief.place
        hidden, visible = batch.hidden, batch.visible
        patches = patchify(batch.images, self.config.encoder.patch)  # (B, N, D)
        matter = self.matter(batch.images, patches)  # (B, N, T)
        books = self.codebook.books(batch.regions)  # (B, N)

        # Believe: which tokens do the hidden patches show, judged by the visible ones (paper)?
        if place == "separate":
            context = take(patches, visible)  # (B, V, D)
        else:
            context = encode(self.encoder, batch.images, visible)  # (B, V, C)
        logits = self.belief(
            context, visible, hidden, batch.shown, patches, self.codebook.tokens, books
        )  # (B, M, K)

        # Replace: the k most believed tokens, mixed, are the patch (paper: several candidates).
        tau = temperature(settings, batch.progress)
        drawn = logits
        if settings.selection == "gumbel" and self.training:
            drawn = logits + tau * gumbel(batch.seeds, *logits.shape[1:])
        chosen, weights = candidates(drawn, settings.candidates, tau, sharp=settings.selection != "soft")
        tokens = self.codebook.mix(pick(books, hidden), chosen, weights)  # (B, M, T)
        filling = tokens
        if settings.content == "structure":
            filling = add_colour(tokens, borrowed_colour(split_colour(patches)[1], visible, hidden))
        if settings.space == "pixel":
            completed = put(patches, hidden, filling)  # (B, N, D), again a picture
        else:
            completed = blanked(patches, hidden)  # for sheets alone: an embedding has no look

        # Encode and decode the completed picture (paper), or let the tokens meet the decoder only (ours).
        if place == "visible":
            features, cells = context, visible
            decoded = self.decoder(
                join(self.decoder.embed(context), visible, self.token_embed(filling), hidden)
            )  # (B, N, D)
        else:
            if settings.space == "pixel":
                features = encode(self.encoder, unpatchify(completed, self.config.encoder.patch))  # (B, N, C)
            else:
                embedded = put(self.encoder.patch_embed(batch.images), hidden, filling)
                features = encode_embedded(self.encoder, embedded)
            cells = torch.arange(patches.shape[1], device=patches.device).expand(len(patches), -1)
            decoded = self.decoder(self.decoder.embed(features))  # (B, N, D)

        # Learn.
        target = target_patches(patches, losses.target)
        assigned = self.codebook.assign(matter, books)  # (B, N)
        truth = pick(assigned, hidden)  # (B, M)
        repaired = put(target, hidden, take(decoded, hidden))
        reconstruction = reconstruction_loss(decoded, target, hidden, losses.patches)
        belief = belief_loss(logits, truth)
        spatial = self.spatial(batch.images, repaired, target, features, cells, batch.regions)
        loss = reconstruction + losses.belief * belief + losses.spatial * spatial["spatial"]
        terms = {"reconstruction": reconstruction, "belief": belief, **spatial}
        if losses.codes:  # the features that are read later, too, must know what was hidden
            terms["codes"] = belief_loss(take(self.code_logits(features, books), hidden), truth)
            loss = loss + losses.codes * terms["codes"]
        nearest = self.codebook.tokens[pick(books, hidden), truth]  # (B, M, T)
        terms |= belief_health(logits, truth, tokens, nearest, take(matter, hidden), weights)
        detached = {name: term.detach() for name, term in terms.items()}
        return Output(loss, detached, completed, decoded, assigned, logits.argmax(-1), tokens.detach())

    def code_logits(self, features: Tensor, books: Tensor) -> Tensor:
        """Return logits (B, N, K) of each place's tokens by the encoder's features (B, N, C)."""
        return own_products(self.codes(features), self.codebook.tokens.detach(), books)

    def matter(self, images: Tensor, patches: Tensor) -> Tensor:
        """Return what tokens are likened to (B, N, T): patches, their structure, or their embeddings."""
        if self.config.codebook.space == "embedding":
            embedded: Tensor = self.encoder.patch_embed(images)
            return embedded.detach()
        if self.config.codebook.content == "structure":
            return split_colour(patches)[0]
        return patches

    def start(self, batch: Batch, rng: np.random.Generator) -> None:
        """Fill the codebook with real patches of each place."""
        patches = patchify(batch.images, self.config.encoder.patch)
        matter = self.matter(batch.images, patches)
        self.codebook.start_from(matter, self.codebook.books(batch.regions), rng)

    @torch.no_grad()
    def after_step(
        self, batch: Batch, output: Output, epoch: float, rng: np.random.Generator
    ) -> dict[str, float | Tensor]:
        """Let the tokens follow their patches, revive dead ones, and let the teacher follow."""
        assert output.assigned is not None and output.believed is not None
        book, settings = self.codebook, self.config.codebook
        matter = self.matter(batch.images, patchify(batch.images, self.config.encoder.patch))
        books = book.books(batch.regions)
        assigned = summed(book.counts(books, output.assigned))
        believed = summed(book.counts(pick(books, batch.hidden), output.believed))
        incubating = epoch < self.config.belief.incubation_epochs
        rate = settings.incubation_rate if incubating else settings.rate
        book.follow(assigned, summed(book.sums(matter, books, output.assigned)), rate)
        book.remember(assigned, believed)
        revived = 0
        if settings.revive == "always" or (settings.revive == "incubation" and incubating):
            revived = book.revive(gathered(matter), gathered(books), rng)
        self.spatial.follow(self.encoder)
        return {"revived": float(revived), **codebook_health(book)}
