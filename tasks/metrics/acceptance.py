"""Pairs accepted at every threshold of every bootstrap replicate, compiled: the inner loops of verification."""

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


@compiled
def judge_folds(
    distance: Array,
    genuine: npt.NDArray[np.bool_],
    fold: npt.NDArray[np.int64],
    weights: Array,
    right: Array,
) -> None:
    """Fill in what each fold decides rightly at the midpoint that is best on all other folds.

    Candidates are 0, every midpoint between neighbouring distances of the other folds' pairs, and infinity; of
    equally good ones the lowest is taken. A pair is accepted where its distance is below the threshold.

    Args:
        distance: (P,) rising; minus infinity is accepted by every threshold, infinity by none.
        genuine: (P,) whether a pair is.
        fold: (P,) fold of every pair from 0.
        weights: (R, P) how often each pair occurs in each replicate; pairs that do not occur set no midpoint.
        right: (R, F) overwritten by the weight of rightly decided pairs.

    """
    for replicate in range(len(weights)):
        for held in range(right.shape[1]):
            gain = best = 0.0  # of accepting, over accepting nothing that can be refused
            threshold, last, open_run = 0.0, -1.0, False
            for pair in range(len(distance)):
                weight = weights[replicate, pair]
                here = distance[pair]
                if fold[pair] == held or weight == 0.0 or here == -np.inf or here == np.inf:
                    continue
                if open_run and here > last and gain > best:
                    best, threshold = gain, max(last + (here - last) / 2.0, np.nextafter(last, np.inf))
                gain += weight if genuine[pair] else -weight
                last, open_run = here, True
            if open_run and gain > best:
                threshold = np.inf
            total = 0.0
            for pair in range(len(distance)):
                if fold[pair] == held and (distance[pair] < threshold) == genuine[pair]:
                    total += weights[replicate, pair]
            right[replicate, held] = total
