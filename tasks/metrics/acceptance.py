"""Pairs accepted at every threshold of every bootstrap replicate, compiled: the inner loop of verification."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from paco_fr.utils.jit import compiled
from paco_fr.utils.types import Array


@compiled
def count_accepted(
    codes: npt.NDArray[np.int64],
    genuine: npt.NDArray[np.bool_],
    last: npt.NDArray[np.bool_],
    draws: Array,
    accepted: Array,
) -> None:
    """Fill accepted weights; sums of whole numbers, so exact in whatever order.

    Args:
        codes: (P, 2) columns of ``draws``, of both people of each pair, in the order of falling scores.
        genuine: (P,) whether a pair is.
        last: (P,) whether the next pair has a lower score.
        draws: (R, G) how often each person was drawn. A pair counts as often as the product, a pair of one
            person as often as that person.
        accepted: (2, R, K + 1) overwritten by the weights of genuine and of impostor pairs, none accepted first.

    """
    for replicate in range(len(draws)):
        sums = np.zeros(2)
        accepted[0, replicate, 0] = accepted[1, replicate, 0] = 0.0
        threshold = 0
        for pair in range(len(codes)):
            a, b = codes[pair]
            weight = draws[replicate, a]
            if a != b:
                weight *= draws[replicate, b]
            sums[0 if genuine[pair] else 1] += weight
            if last[pair]:
                threshold += 1
                accepted[0, replicate, threshold] = sums[0]
                accepted[1, replicate, threshold] = sums[1]
