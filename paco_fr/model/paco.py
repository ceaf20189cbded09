"""PaCo-FR, read top to bottom: hide, believe, replace, encode and decode, learn.

"Paper" marks what arXiv 2508.09691 states; the rest is our reading, with its switches in
:mod:`paco_fr.config`. Shapes: B pictures, N = G x G places, M hidden, V = N - M visible, S codebooks of K
tokens, k candidates, D = 3P² values a patch and a token, C encoder width.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from paco_fr.config import PretrainConfig
from paco_fr.model.belief import Belief, belief_health, candidates
from paco_fr.model.codebook import Codebook, codebook_health, own_products
from paco_fr.model.losses import Spatial, belief_loss, target_patches
from paco_fr.model.objective import Batch, Objective, Output
from paco_fr.model.patches import (
    add_colour,
    beside,
    borrowed_colour,
    everywhere,
    patchify,
    pick,
    split_colour,
    take,
)  # fmt: skip
from paco_fr.model.vit import Decoder, build_encoder, encode
from paco_fr.utils.distributed import gathered, summed


class PaCo(Objective):
    """Masked image modelling in which hidden patches are replaced by believed tokens of a learned codebook."""

    def __init__(self, config: PretrainConfig) -> None:
        super().__init__(config)
        cells, values, dim = config.encoder.cells, config.encoder.patch**2 * 3, config.decoder.dim
        self.place = config.belief.place
        self.encoder = build_encoder(config.encoder)
        self.codebook = Codebook(cells, values, config.codebook)
        self.belief = Belief(dim)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, dim))
        nn.init.trunc_normal_(self.mask_token, std=0.02)
        self.decoder = Decoder(config.decoder, config.encoder)
        self.token_embed = nn.Linear(values, dim)
        if self.place == "trunk" and config.codebook.content == "structure":
            self.colour_embed = nn.Linear(4, dim)
        self.spatial = Spatial(config.loss, self.encoder)

    def forward(self, batch: Batch) -> Output:
        """Return the loss of one batch and what it was made of."""
        settings, losses, book = self.config.codebook, self.config.loss, self.codebook
        hidden, visible = batch.hidden, batch.visible

        # Hide: the encoder sees the visible patches alone.
        patches = patchify(batch.images, self.config.encoder.patch)  # (B, N, D)
        matter, colour = self.matter(patches)  # (B, N, D), (B, N, 4)
        seen, truth = take(patches, visible), take(patches, hidden)  # (B, V, D), (B, M, D)
        features, cells = encode(self.encoder, seen, visible), visible  # (B, V, C)

        # Believe: which tokens do the hidden patches show, judged by the visible ones (paper)?
        states = self.decode(features, self.unknown(batch, matter), batch)  # (B, M, dim)
        embedded = self.token_embed(book.tokens)  # (S, K, dim)
        logits = self.belief(states, hidden, embedded)  # (B, M, K)

        # Replace: the k most believed tokens, mixed, are the patch (paper: several candidates).
        believed, weights = candidates(logits, settings.candidates, settings.temperature)  # (B, M), (B, M, K)
        borrowed = None if colour is None else borrowed_colour(colour, visible, hidden)  # (B, M, 4)
        tokens = filling = None  # in pixels; the trunk itself needs no picture of them
        if self.place == "two-pass" or batch.watched or not self.training:
            tokens = own_products(weights, hidden, book.tokens)  # (B, M, D)
            filling = tokens if borrowed is None else add_colour(tokens, borrowed)

        # Decode: the light head repairs tokens and colour, embedded, in the same states (ours), or the completed picture
        # goes through encoder and decoder (paper).
        if self.place == "trunk":
            states = states + own_products(weights, hidden, embedded)
            states = states if borrowed is None else states + self.colour_embed(borrowed)
        elif filling is not None:
            features, cells = encode(self.encoder, beside(seen, filling), batch.places), batch.places
            states = self.decode(features, None, batch)
        predicted = self.decoder.head(states)  # (B, M, D)

        # Learn: the pixels, the tokens nearest to the truth, and how the parts of the face relate.
        assigned = book.assign(matter)  # (B, N)
        nearest = pick(assigned, hidden)  # (B, M)
        terms = {
            "reconstruction": F.mse_loss(predicted, target_patches(truth, losses.target)),
            "belief": belief_loss(logits, nearest),
            **self.spatial(batch, patches, predicted, features, cells),
        }
        weights_of = {"reconstruction": 1.0, "belief": losses.belief, "spatial": losses.spatial}
        loss = torch.stack([weights_of[name] * terms[name] for name in weights_of if name in terms]).sum()
        if batch.watched and tokens is not None:
            errors = tokens, book.tokens[book.books(hidden), nearest], take(matter, hidden)
            terms |= belief_health(logits, nearest, *errors, weights)
        return Output(loss, terms, predicted, filling, matter, assigned, believed, tokens).detached()

    def unknown(self, batch: Batch, matter: Tensor) -> Tensor:
        """Return what stands for hidden ones of all patches (B, N, D) before anything is believed, (B, M, dim).

        That is one mask token, or during incubation, where a patch is let through, what it would be as a token (paper).
        """
        blank = self.mask_token.expand(*batch.hidden.shape, -1)
        if batch.shown is None:
            return blank
        return torch.where(batch.shown[..., None], self.token_embed(take(matter, batch.hidden)), blank)

    def decode(self, features: Tensor, others: Tensor | None, batch: Batch) -> Tensor:
        """Return the decoder's states (B, M, dim) of hidden places.

        Args:
            features: encoder tokens of all places (B, N, C), or of the visible ones (B, V, C).
            others: (B, M, dim) what stands at hidden places, where the encoder did not see them.
            batch: says which places these are.

        """
        tokens = self.decoder.embed(features)
        tokens = tokens if others is None else beside(tokens, others)
        states: Tensor = self.decoder(tokens, batch.places)
        return states[:, batch.visible.shape[1] :]

    def matter(self, patches: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return what tokens are likened to (B, N, D), and the colour (B, N, 4) that it leaves out, if it does.

        Never in half precision, in which sums of patches would lose what moves a token.
        """
        if self.config.codebook.content == "raw":
            return patches, None
        with torch.autocast(patches.device.type, enabled=False):
            return split_colour(patches)

    def start(self, batch: Batch, rng: np.random.Generator) -> None:
        """Fill the codebook with real patches of each place."""
        matter, _ = self.matter(patchify(batch.images, self.config.encoder.patch))
        self.codebook.start_from(matter, rng)

    @torch.no_grad()
    def after_step(
        self, batch: Batch, output: Output, epoch: float, rng: np.random.Generator
    ) -> dict[str, float | Tensor]:
        """Let the tokens follow their patches, revive dead ones, and let the teacher follow."""
        assert output.assigned is not None and output.believed is not None and output.matter is not None
        book, settings, places = self.codebook, self.config.codebook, everywhere(output.matter)
        assigned = summed(book.counts(places, output.assigned))
        believed = summed(book.counts(batch.hidden, output.believed))
        incubating = epoch < self.config.belief.incubation_epochs
        rate = settings.incubation_rate if incubating else settings.rate
        book.follow(assigned, summed(book.sums(places, output.assigned, output.matter)), rate)
        book.remember(assigned, believed)
        revived = 0
        if settings.revive == "always" or (settings.revive == "incubation" and incubating):
            revived = book.revive(gathered(output.matter), rng)
        self.spatial.follow(self.encoder)
        return {"revived": float(revived), **(codebook_health(book) if batch.watched else {})}
