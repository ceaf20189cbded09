"""Numbers that tell a healthy codebook and belief from a collapse or a leak, and when to raise the alarm.

The thresholds are those that a first trial separated healthy runs from spoilt ones by (our choice).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from paco_fr.config import PretrainConfig
from paco_fr.model.codebook import Codebook, perplexity

LEAST_PERPLEXITY = 0.05
"""Effective number of believed tokens under this share of K: collapse."""
LEAST_BELIEVED = 0.10
"""Share of tokens that are ever believed under this: collapse."""
LEAST_SPREAD = 0.05
"""Standard deviation of the teacher's region relations under this: collapse of the features."""


@torch.no_grad()
def belief_health(
    logits: Tensor, truth: Tensor, tokens: Tensor, nearest: Tensor, matter: Tensor, weights: Tensor
) -> dict[str, Tensor]:
    """Return how well hidden patches are believed.

    A token error below the quantisation error means that hidden pixels reached the belief.

    Args:
        logits: (B, M, K).
        truth: (B, M) nearest token of each true patch.
        tokens: (B, M, T) what was put in its place.
        nearest: (B, M, T) the nearest tokens themselves.
        matter: (B, M, T) true patches as tokens see them.
        weights: (B, M, k) of the mixture.

    """
    return {
        "belief_accuracy": (logits.argmax(-1) == truth).float().mean(),
        "token_error": (tokens - matter).square().mean(),
        "quantisation_error": (nearest - matter).square().mean(),
        "candidate_entropy": -(weights * weights.clamp_min(1e-9).log()).sum(-1).mean(),
    }


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


def alarms(means: Mapping[str, float], config: PretrainConfig, epoch: float) -> dict[str, str]:
    """Return what is wrong by the means of the last steps: name of the alarm -> what it says.

    Nothing is said during incubation and the half epoch after it, in which running shares settle and hidden
    pixels are meant to be seen.
    """
    found = {}
    if means.get("spatial_spread", 1.0) < LEAST_SPREAD and config.loss.spatial_on == "features":
        found["features"] = (
            f"Collapse: the teacher's regions relate alike (spread {means['spatial_spread']:.3f} < {LEAST_SPREAD}). "
            "Lower loss.spatial or loss.teacher_rate, or set loss.spatial_on=pixels."
        )
    if "belief_perplexity" not in means or epoch < config.belief.incubation_epochs + 0.5:
        return found
    share = means["belief_perplexity"] / config.codebook.tokens
    if share < LEAST_PERPLEXITY or means["tokens_believed"] < LEAST_BELIEVED:
        found["collapse"] = (
            f"Collapse: the belief uses {means['belief_perplexity']:.1f} of {config.codebook.tokens} tokens "
            f"(perplexity), {means['tokens_believed']:.0%} ever. Raise loss.belief (now {config.loss.belief:g})."
        )
    if means["token_error"] < means["quantisation_error"]:
        found["leak"] = (
            f"Leak: chosen tokens are nearer to the hidden patches (error {means['token_error']:.3f}) than the nearest "
            f"token is ({means['quantisation_error']:.3f}): the belief sees hidden pixels"
            + (", as belief.sees=pixels asks for." if config.belief.sees == "pixels" else ".")
        )
    return found
