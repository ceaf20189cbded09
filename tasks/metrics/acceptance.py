"""Pairs accepted at the thresholds of every bootstrap replicate, compiled: the inner loops of verification.

A pair of two people counts as often as the product of how often they were drawn, a pair of one person as often as that
person. Sums are of whole numbers, so they are exact in whatever order.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from paco_fr.utils.jit import compiled
from paco_fr.utils.types import Array


@compiled
def count_accepted(
    codes: npt.NDArray[np.signedinteger],
    genuine: npt.NDArray[np.bool_],
    last: npt.NDArray[np.bool_],
    draws: Array,
    accepted: Array,
) -> None:
    """Fill in what is accepted at every threshold.

    Args:
        codes: (P, 2) columns of ``draws``, of both people of each pair, in the order of falling scores.
        genuine: (P,) whether a pair is.
        last: (P,) whether the next pair has a lower score.
        draws: (R, G) how often each person was drawn.
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
def weigh_all(
    codes: npt.NDArray[np.signedinteger], genuine: npt.NDArray[np.bool_], drawn: Array, totals: Array
) -> None:
    """Fill in the weight of all genuine and of all impostor pairs, several replicates at once.

    Args:
        codes: (P, 2) rows of ``drawn``.
        genuine: (P,).
        drawn: (G, R) how often each person was drawn; few replicates, so that all of it stays near the core.
        totals: (2, R) overwritten.

    """
    totals[:] = 0.0
    for pair in range(len(codes)):
        a, b = codes[pair]
        kind = 0 if genuine[pair] else 1
        for replicate in range(drawn.shape[1]):
            other = 1.0 if a == b else drawn[b, replicate]
            totals[kind, replicate] += drawn[a, replicate] * other


@compiled
def read_rates(
    codes: npt.NDArray[np.signedinteger],
    genuine: npt.NDArray[np.bool_],
    last: npt.NDArray[np.bool_],
    draws: Array,
    totals: Array,
    fars: Array,
    rates: Array,
) -> None:
    """Fill in the rates at some false acceptance rates, without the curves: lists may have millions of pairs.

    The curve begins where nothing is accepted. Corners are its points without those between two equal steps, the
    first and the last always among them: what scikit-learn's ``roc_curve`` keeps.

    Args:
        codes: (P, 2) as for :func:`count_accepted`, and so are ``genuine``, ``last`` and ``draws``.
        genuine: (P,).
        last: (P,).
        draws: (R, G).
        totals: (2, R) weights of all genuine and of all impostor pairs.
        fars: (F,) rising.
        rates: (3, R, F) overwritten: TAR and FAR at the laxest point whose FAR is at most each of ``fars``, and TAR at
            the corner nearest in FAR, of equally near ones the laxest. NaN without genuine or without impostor pairs.

    """
    asked = len(fars)
    nearest = np.empty(asked)
    for replicate in range(len(draws)):
        own = draws[replicate]
        all_genuine, all_impostor = totals[0, replicate], totals[1, replicate]
        if all_genuine == 0.0 or all_impostor == 0.0:
            rates[:, replicate] = np.nan
            continue
        admitted = all_impostor * (1.0 + 1e-12)  # 0.29 * 100 is below 29
        nearest[:] = fars
        rates[:, replicate] = 0.0
        right = wrong = 0.0  # accepted so far
        before_right = before_wrong = -1.0  # at the last point
        step_right = step_wrong = -1.0  # what it added to the one before; the first point has no such step
        most, near = 0, 0  # the first of ``fars`` that may admit more, and that may have a nearer corner
        for pair in range(len(codes) + 1):
            ended = pair == len(codes)
            if not ended:
                a, b = codes[pair]
                weight = own[a] if a == b else own[a] * own[b]
                if genuine[pair]:
                    right += weight
                else:
                    wrong += weight
                if not last[pair] or (right == before_right and wrong == before_wrong):
                    continue
                if right == 0.0 and wrong == 0.0:
                    continue
                while most < asked and wrong > fars[most] * admitted:
                    most += 1
                for far in range(most, asked):
                    rates[0, replicate, far] = right
                    rates[1, replicate, far] = wrong
            first = step_right < 0.0
            if before_right >= 0.0 and (
                ended or first or right - before_right != step_right or wrong - before_wrong != step_wrong
            ):  # the last point is a corner
                for far in range(near, asked):
                    gap = abs(before_wrong / all_impostor - fars[far])
                    if gap <= nearest[far]:
                        nearest[far] = gap
                        rates[2, replicate, far] = before_right
                    elif far == near:
                        near += 1
            if near == asked:
                break
            if before_right >= 0.0:
                step_right, step_wrong = right - before_right, wrong - before_wrong
            before_right, before_wrong = right, wrong
        rates[0, replicate] /= all_genuine
        rates[1, replicate] /= all_impostor
        rates[2, replicate] /= all_genuine


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

    Lost pairs might have spoken for any threshold, so where the other folds have some, all thresholds are candidates
    that fall short of the best by no more than the lost ones weigh, and the one worst for this fold is taken.

    Args:
        distance: (P,) rising; of lost pairs minus infinity, accepted by every threshold, or infinity, by none.
        genuine: (P,) whether a pair is.
        fold: (P,) fold of every pair from 0.
        weights: (R, P) how often each pair occurs in each replicate; pairs that do not occur set no midpoint.
        right: (R, F) overwritten by the weight of rightly decided pairs.

    """
    for replicate in range(len(weights)):
        for held in range(right.shape[1]):
            gain = best = lost = 0.0  # of accepting, over accepting nothing that can be refused
            threshold, last, open_run = 0.0, -1.0, False
            for pair in range(len(distance)):
                weight = weights[replicate, pair]
                here = distance[pair]
                if fold[pair] == held or weight == 0.0:
                    continue
                if here == -np.inf or here == np.inf:
                    lost += weight
                    continue
                if open_run and here > last and gain > best:
                    best, threshold = gain, max(last + (here - last) / 2.0, np.nextafter(last, np.inf))
                gain += weight if genuine[pair] else -weight
                last, open_run = here, True
            if open_run and gain > best:
                best, threshold = gain, np.inf
            total = 0.0
            if not lost:
                for pair in range(len(distance)):
                    if fold[pair] == held and (distance[pair] < threshold) == genuine[pair]:
                        total += weights[replicate, pair]
                right[replicate, held] = total
                continue
            for pair in range(len(distance)):  # nothing accepted
                if fold[pair] == held and not genuine[pair] and np.isfinite(distance[pair]):
                    total += weights[replicate, pair]
            gain, last = 0.0, -np.inf
            worst = np.inf
            for pair in range(len(distance)):
                here = distance[pair]
                if here == -np.inf or here == np.inf:
                    continue
                if here > last and gain >= best - lost:
                    worst = min(worst, total)
                change = weights[replicate, pair] if genuine[pair] else -weights[replicate, pair]
                if fold[pair] == held:
                    total += change
                else:
                    gain += change
                last = here
            if gain >= best - lost:
                worst = min(worst, total)
            right[replicate, held] = worst
