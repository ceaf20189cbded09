"""What one picture costs an encoder."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from paco_fr.encoder import Encoder


def flops_of(encoder: Encoder) -> float:
    """Return the floating point operations for the tokens of one picture, all blocks included.

    Counted by PyTorch over matrix products, convolutions and attention; a multiply-add is two. Normalisation,
    activations and what an encoder does outside PyTorch are not counted, so raw pixels cost nothing.
    """
    picture = torch.zeros(1, 3, encoder.pixels.size, encoder.pixels.size)
    with FlopCounterMode(display=False) as counter:
        encoder.tokens(picture, encoder.blocks)
    return float(counter.get_total_flops())
