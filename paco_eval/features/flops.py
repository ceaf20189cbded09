"""What one picture costs an encoder."""

from __future__ import annotations

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from paco_fr.encoder import Encoder


def flops_of(encoder: Encoder) -> float:
    """Return the floating point operations for the tokens of one picture, all blocks included.

    Counted by PyTorch over matrix products, convolutions and attention; a multiply-add is two. Normalisation,
    activations and what an encoder does outside PyTorch are not counted, so raw pixels cost nothing. Attention runs
    as plain products here: which fused kernels are counted differs between processors and versions of PyTorch.
    """
    picture = torch.zeros(1, 3, encoder.pixels.size, encoder.pixels.size)
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            encoder.tokens(picture, encoder.blocks)
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    return float(counter.get_total_flops())
