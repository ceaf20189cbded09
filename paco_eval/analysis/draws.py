"""Draws of the bootstrap, compiled, because they cost more than all sums over them.

Their numbers come from SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators"): a
counter, so they are a function of the seed alone. Compiled with its counting loop it is several times as fast as
numpy's generator followed by ``bincount``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from paco_fr.utils.jit import compiled

GAMMA = np.uint64(0x9E3779B97F4A7C15)
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
S27, S30, S31, S32 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(32)
"""Constants of SplitMix64: its step, its two factors, its shifts."""


@compiled
def count_draws(state: np.uint64, counts: npt.NDArray[np.float64]) -> np.uint64:
    """Fill each row of counts (R, G) with how often each of G groups is drawn in G draws.

    Args:
        state: of the generator, any 64 bits.
        counts: overwritten.

    Returns:
        The state to go on from.

    """
    groups = np.uint64(counts.shape[1])
    for row in range(counts.shape[0]):
        counts[row] = 0.0
        for _ in range(counts.shape[1]):
            state += GAMMA
            mixed = (state ^ (state >> S30)) * FIRST
            mixed = (mixed ^ (mixed >> S27)) * SECOND
            mixed = mixed ^ (mixed >> S31)
            counts[row, ((mixed >> S32) * groups) >> S32] += 1.0  # even to one part in 2^32 / G
    return state
