"""Layers of an encoder: which of its blocks, and how the tokens of a picture are summarised."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from paco_fr.contracts import Encoder, Tokens
from paco_fr.utils.errors import PacoError, unknown_name

Layer = tuple[str, str]
"""(block, reduction)."""


REDUCTIONS = ("mean", "grid4", "global", "flat", "tokens")
"""Ways to summarise the tokens of a picture."""


def reduce(tokens: Tokens, reduction: str) -> Tensor:
    """Return (B, D') features: ``mean``, ``grid4`` (4 x 4 pooled, 16 D), ``global``, ``flat``; ``tokens`` (B, N, D)."""
    patches = tokens.patches
    if reduction == "tokens":
        return patches
    if reduction == "mean":
        return patches.mean(1)
    if reduction == "flat":
        return patches.flatten(1)
    if reduction == "global":
        if tokens.pooled is None:
            raise PacoError("This encoder has no global token; use mean or grid4.")
        return tokens.pooled
    if reduction == "grid4":
        side = round(patches.shape[1] ** 0.5)
        if side * side != patches.shape[1]:
            raise PacoError(f"grid4 needs a square grid of tokens, got {patches.shape[1]}.")
        grid = patches.transpose(1, 2).unflatten(2, (side, side))  # type: ignore[no-untyped-call]
        return F.adaptive_avg_pool2d(grid, min(4, side)).flatten(1)
    raise unknown_name("reduction", reduction, REDUCTIONS)


def layers_of(encoder: Encoder, reductions: Sequence[str]) -> list[Layer]:
    """Return what validation may choose from: the encoder's blocks by the reductions both sides know.

    A task that takes ``tokens`` takes nothing else. The baselines without weights stay its floor, whatever they give.

    Raises:
        PacoError: nothing in common, or an encoder without patch tokens is asked for them.

    """
    if "tokens" in reductions:
        if encoder.parameters and tuple(encoder.reductions) == ("flat",):
            raise PacoError(
                f"{encoder.name} gives one vector for a picture and has no patch tokens, which heads on single tokens "
                "need. Leave it out, or choose a task or protocol that takes mean or global features."
            )
        return [(block, "tokens") for block in encoder.blocks]
    own = [name for name in encoder.reductions if name in reductions or name == "flat"]
    if not own:
        raise PacoError(
            f"{encoder.name} offers {', '.join(encoder.reductions)}, the task takes {', '.join(reductions)}."
        )
    return [(block, reduction) for block in encoder.blocks for reduction in own]
