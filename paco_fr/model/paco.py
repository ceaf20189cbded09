"""PaCo-FR, read top to bottom: hide, believe, replace, encode and decode, learn.

"Paper" marks what arXiv 2508.09691 states; the rest is our reading, with its switches in
:mod:`paco_fr.config`. Shapes: B pictures, N = G x G places, M hidden, V = N - M visible, S codebooks of K
tokens, k candidates, D = 3P² values a patch and a token, C encoder width.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from paco_fr.config import PretrainConfig
from paco_fr.model.belief import Belief, belief_health, candidates
from paco_fr.model.codebook import Codebook, codebook_health
from paco_fr.model.losses import Spatial, belief_loss, reconstruction_loss, target_patches
from paco_fr.model.objective import Batch, Objective, Output
from paco_fr.model.patches import (
    add_colour,
    borrowed_colour,
    everywhere,
    join,
    patchify,
    pick,
    put,
    split_colour,
    take,
    unpatchify,
)  # fmt: skip
from paco_fr.model.vit import Decoder, build_encoder, encode
from paco_fr.utils.distributed import gathered, summed


class PaCo(Objective):
    """Masked image modelling in which hidden patches are replaced by believed tokens of a learned codebook."""

    def __init__(self, config: PretrainConfig) -> None:
        super().__init__(config)
        cells, values = config.encoder.cells, config.encoder.patch**2 * 3
        self.encoder = build_encoder(config.encoder)
        self.codebook = Codebook(cells, values, config.codebook)
        self.belief = Belief(config.belief, cells, config.encoder.dim, values)
        self.decoder = Decoder(config.decoder, config.encoder)
        if config.belief.place == "visible":
            self.token_embed = nn.Linear(values, config.decoder.dim)
        self.spatial = Spatial(config.loss, self.encoder)

    def forward(self, batch: Batch) -> Output:
        """Return the loss of one batch and what it was made of."""
        settings, losses, patch = self.config.codebook, self.config.loss, self.config.encoder.patch
        book, hidden, visible = self.codebook, batch.hidden, batch.visible

        # Hide: the encoder sees the visible patches alone.
        patches = patchify(batch.images, patch)  # (B, N, D)
        context = encode(self.encoder, batch.images, visible)  # (B, V, C)

        # Believe: which tokens do the hidden patches show, judged by the visible ones (paper)?
        logits = self.belief(context, visible, hidden, batch.shown, patches, book.tokens)  # (B, M, K)

        # Replace: the k most believed tokens, mixed, are the patch (paper: several candidates).
        matter, colour = self.matter(patches)  # (B, N, D), (B, N, 4)
        chosen, weights = candidates(logits, settings.candidates, settings.temperature)  # (B, M, k)
        tokens = book.mix(hidden, chosen, weights)  # (B, M, D)
        filling = tokens if colour is None else add_colour(tokens, borrowed_colour(colour, visible, hidden))
        completed = put(patches, hidden, filling)  # (B, N, D), again a picture

        # Encode and decode the completed picture (paper), or let the tokens meet the decoder only (ours).
        if self.config.belief.place == "two-pass":
            features, cells = encode(self.encoder, unpatchify(completed, patch)), everywhere(patches)
            states = self.decoder.embed(features)
        else:
            features, cells = context, visible
            states = join(self.decoder.embed(context), visible, self.token_embed(filling), hidden)
        decoded = self.decoder(states)  # (B, N, D)

        # Learn: the pixels, the tokens nearest to the truth, and how the parts of the face relate.
        target = target_patches(patches, losses.target)
        assigned = book.assign(matter)  # (B, N)
        truth = pick(assigned, hidden)  # (B, M)
        repaired = put(target, hidden, take(decoded, hidden))
        reconstruction = reconstruction_loss(decoded, target, hidden, losses.patches)
        belief = belief_loss(logits, truth)
        spatial = self.spatial(batch.images, repaired, target, features, cells, batch.regions)
        loss = reconstruction + losses.belief * belief + losses.spatial * spatial["spatial"]

        nearest = book.tokens[book.books(hidden), truth]  # (B, M, D)
        health = belief_health(logits, truth, tokens, nearest, take(matter, hidden), weights)
        terms = {"reconstruction": reconstruction, "belief": belief, **spatial, **health}
        detached = {name: term.detach() for name, term in terms.items()}
        return Output(loss, detached, completed, decoded, assigned, logits.argmax(-1), tokens.detach())

    def matter(self, patches: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return what tokens are likened to (B, N, D), and the colour (B, N, 4) that it leaves out, if it does."""
        if self.config.codebook.content == "structure":
            return split_colour(patches)
        return patches, None

    def start(self, batch: Batch, rng: np.random.Generator) -> None:
        """Fill the codebook with real patches of each place."""
        self.codebook.start_from(self._matter_of(batch), rng)

    @torch.no_grad()
    def after_step(
        self, batch: Batch, output: Output, epoch: float, rng: np.random.Generator
    ) -> dict[str, float | Tensor]:
        """Let the tokens follow their patches, revive dead ones, and let the teacher follow."""
        assert output.assigned is not None and output.believed is not None
        book, settings, matter = self.codebook, self.config.codebook, self._matter_of(batch)
        places = everywhere(matter)
        assigned = summed(book.counts(places, output.assigned))
        believed = summed(book.counts(batch.hidden, output.believed))
        incubating = epoch < self.config.belief.incubation_epochs
        rate = settings.incubation_rate if incubating else settings.rate
        book.follow(assigned, summed(book.sums(places, output.assigned, matter)), rate)
        book.remember(assigned, believed)
        revived = 0
        if settings.revive == "always" or (settings.revive == "incubation" and incubating):
            revived = book.revive(gathered(matter), rng)
        self.spatial.follow(self.encoder)
        return {"revived": float(revived), **codebook_health(book)}

    def _matter_of(self, batch: Batch) -> Tensor:
        return self.matter(patchify(batch.images, self.config.encoder.patch))[0]
