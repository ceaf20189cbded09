"""Verification of pairs and identification in a gallery, weighted by bootstrap replicates.

Items are pairs with ``group_a``, ``group_b``, ``id_a``, ``id_b``, ``score`` (higher means more alike) and
``truth`` (true for genuine). A pair without a score is scored by :mod:`tasks.metrics.failures`: a genuine one
is rejected, an impostor one accepted. A threshold accepts scores at or above it, so equal scores pass or fail
together, and it is chosen anew in every replicate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from paco_fr.utils.types import Array
from tasks.metrics.failures import pair_scores
from tasks.metrics.metric import Metric, group_codes, group_sums, ratio, share

COMPUTE_CELLS = 60_000
"""Replicate-by-pair cells held at once: what stays near the core, which halves the time of the whole curves."""

WEIGHED = 16
"""Replicates that are weighed in one pass over all pairs."""

Statistic = Callable[[Array, Array], Array]
"""From accepted genuine and impostor weights (R, K + 1), none accepted to all accepted, to (R,)."""


def _scores(items: pd.DataFrame) -> Array:
    return pair_scores(items["score"].to_numpy(dtype=np.float64), items["truth"].to_numpy(dtype=bool))


class Falling(NamedTuple):
    """Pairs in the order of falling scores.

    Attributes:
        codes: (P, 2) groups of both sides.
        genuine: (P,) whether a pair is.
        last: (P,) whether the next pair has a lower score.

    """

    codes: npt.NDArray[np.signedinteger]
    genuine: npt.NDArray[np.bool_]
    last: npt.NDArray[np.bool_]


def falling(
    scores: npt.NDArray[np.floating], codes: npt.NDArray[np.signedinteger], genuine: npt.NDArray[np.bool_]
) -> Falling:
    """Return pairs with scores (P,), groups (P, 2) and truth (P,) in the order of falling scores."""
    order = np.argsort(-scores, kind="stable")
    last = np.ones(len(order), dtype=bool)
    np.not_equal(scores[order[1:]], scores[order[:-1]], out=last[:-1])
    return Falling(np.ascontiguousarray(codes[order]), genuine[order], last)


def _falling(items: pd.DataFrame) -> tuple[Falling, int]:
    """Return the pairs of items in the order of falling scores, and the number of groups."""
    codes, names = group_codes(items)
    both = np.broadcast_to(codes.reshape(len(items), -1), (len(items), 2))
    return falling(_scores(items), both, items["truth"].to_numpy(dtype=bool)), len(names)


def rates_at(fars: Sequence[float], pairs: Falling, draws: Array) -> Array:
    """Return rates in percent (3, R, F): TAR and FAR at most at each of ``fars`` (F,), rising, and TAR nearest to it.

    See :func:`tasks.metrics.acceptance.read_rates`; ``draws`` (R, G) are whole numbers.
    """
    from tasks.metrics.acceptance import read_rates, weigh_all  # here: the compiler takes its time to import

    drawn = np.ascontiguousarray(draws, dtype=np.float64)
    totals, found = np.empty((2, len(drawn))), np.empty((3, len(drawn), len(fars)))
    for start in range(0, len(drawn), WEIGHED):
        part = slice(start, start + WEIGHED)
        weighed = np.empty((2, len(drawn[part])))
        weigh_all(pairs.codes, pairs.genuine, np.ascontiguousarray(drawn[part].T), weighed)
        totals[:, part] = weighed
    read_rates(*pairs, drawn, totals, np.array(fars, dtype=np.float64), found)
    return 100.0 * found


def _at(far: float, which: int) -> Callable[[pd.DataFrame, Array | None], Array]:
    """Return the ``compute`` of one of the :func:`rates_at`."""

    def compute(items: pd.DataFrame, weights: Array | None) -> Array:
        pairs, groups = _falling(items)
        return np.asarray(
            rates_at((far,), pairs, np.ones((1, groups)) if weights is None else weights)[which, :, 0]
        )

    return compute


def _of_pairs(statistic: Statistic) -> Callable[[pd.DataFrame, Array | None], Array]:
    """Turn a statistic of accepted weights into the ``compute`` of a metric."""

    def compute(items: pd.DataFrame, weights: Array | None) -> Array:
        from tasks.metrics.acceptance import count_accepted  # here: the compiler takes its time to import

        pairs, groups = _falling(items)
        draws = np.ones((1, groups)) if weights is None else weights
        step = max(1, COMPUTE_CELLS // len(items))
        values = []
        for start in range(0, len(draws), step):
            drawn = np.ascontiguousarray(draws[start : start + step], dtype=np.float64)
            accepted = np.empty((2, len(drawn), int(pairs.last.sum()) + 1))
            count_accepted(*pairs, drawn, accepted)
            values.append(statistic(*accepted))
        return np.concatenate(values)

    return compute


def _rates(genuine: Array, impostor: Array) -> tuple[Array, Array]:
    """Return TAR and FAR (R, K + 1); NaN without genuine or without impostor pairs."""
    return ratio(genuine, genuine[:, -1:]), ratio(impostor, impostor[:, -1:])


def _auc(genuine: Array, impostor: Array) -> Array:
    tar, far = _rates(genuine, impostor)
    return np.asarray((np.diff(far, axis=1) * (tar[:, 1:] + tar[:, :-1])).sum(axis=1) / 2.0)


def _equal_error_rate(genuine: Array, impostor: Array) -> Array:
    tar, far = _rates(genuine, impostor)
    gap = far - (1.0 - tar)  # rises from -1 to 1
    after = np.argmax(gap >= 0, axis=1)[:, None]
    before = np.maximum(after - 1, 0)
    gap0, gap1, far0, far1 = (
        np.take_along_axis(curve, at, axis=1)[:, 0] for curve in (gap, far) for at in (before, after)
    )
    return 100.0 * (far0 + ratio(-gap0, gap1 - gap0) * (far1 - far0))


def far_name(far: float) -> str:
    """Return a FAR as it stands in the names of metrics, e.g. ``1e-4``."""
    return f"{far:.0e}".replace("e-0", "e-")


FEWEST = 10
"""Impostor pairs that a FAR must admit for an interval at it: below, a single pair decides."""


def weakly_founded(far: float, impostors: int) -> str:
    """Return why a rate at ``far`` over so many impostor pairs has no interval, "" where it may have one."""
    admitted = int(far * impostors * (1.0 + 1e-12))
    if admitted >= FEWEST:
        return ""
    return f"FAR {far_name(far)} of {impostors} impostor pairs rests on {admitted} of them: no interval below {FEWEST}"


def few_impostors(far: float) -> Callable[[pd.DataFrame], str]:
    """Return the warning of a rate at ``far``, see :func:`weakly_founded`."""
    return lambda items: weakly_founded(far, int((~items["truth"].to_numpy(dtype=bool)).sum()))


def tar_nearest(far: float) -> Metric:
    """Return TAR at the corner of the ROC curve nearest in FAR, which may lie above ``far``: the field's way to read it.

    A column for comparison with published numbers (insightface ``eval_ijbc.py``, whose curve scikit-learn thins to its
    corners); ours is :func:`tar_at_far`.
    """
    return share(f"tar_nearest@far={far_name(far)}", _at(far, 2), few_impostors(far))


def tar_at_far(far: float) -> tuple[Metric, Metric]:
    """Return the metrics TAR at a FAR of at most ``far``, and the FAR achieved there, both in percent.

    With fewer than ``1 / far`` impostor pairs the achieved FAR is 0. Undefined without genuine or impostor
    pairs. Published scorers take the ROC point nearest in FAR, which may lie above (``docs/protocols.md``, verification).
    """
    name, few = far_name(far), few_impostors(far)
    return (
        share(f"tar@far={name}", _at(far, 0), few),
        Metric(f"achieved_far@{name}", "%", False, 0.0, 100.0, _at(far, 1), few),
    )


def _rank1(items: pd.DataFrame, weights: Array | None) -> Array:
    codes, names = group_codes(items)
    scores, genuine = _scores(items), items["truth"].to_numpy(dtype=bool)
    probe, _ = pd.factorize(items["id_b"])
    best = np.full(probe.max() + 1, -np.inf)
    np.maximum.at(best, probe[genuine], scores[genuine])
    impostor_probe, impostor_score = probe[~genuine], scores[~genuine]
    above = np.bincount(impostor_probe, impostor_score > best[impostor_probe], minlength=len(best))
    equal = np.bincount(impostor_probe, impostor_score == best[impostor_probe], minlength=len(best))
    found = np.where((above == 0) & np.isfinite(best), 1.0 / (1.0 + equal), 0.0)
    group = np.zeros(len(best), dtype=np.intp)
    group[probe] = codes[:, 1]
    mated = np.bincount(probe[genuine], minlength=len(best)) > 0
    sums = group_sums(group[mated], np.stack([found, np.ones(len(best))], axis=1)[mated], len(names), weights)
    return 100.0 * ratio(sums[:, 0], sums[:, 1])


SAME_SCORE = 1e-6
"""Scores closer than float32 rounding of a cosine are one score."""


def _collapsed(items: pd.DataFrame, weights: Array | None) -> Array:
    found = items["score"].to_numpy(dtype=np.float64)
    found = found[np.isfinite(found)]
    flag = float(not found.size or np.ptp(found) <= SAME_SCORE)
    return np.full(1 if weights is None else len(weights), flag)


AUC = Metric("auc", "", True, 1.0, 0.0, _of_pairs(_auc))
"""Area under the ROC curve in [0, 1]: a genuine pair outscores an impostor pair, ties count half."""

EER = Metric("eer", "%", False, 0.0, 100.0, _of_pairs(_equal_error_rate))
"""Error rate in percent where the ROC curve, points joined by straight lines, has FAR = 1 - TAR."""


COLLAPSED = Metric("collapsed", "", False, 0.0, 1.0, _collapsed)
"""1 where all pairs have one score (to ``SAME_SCORE``), so that no threshold means anything; else 0."""

RANK1 = share("rank1", _rank1)
"""Share of probes (``id_b``) in percent whose own gallery picture scores above all others.

A probe that ties with t impostors counts 1 / (1 + t), what a fair draw among them would give, so that a constant
encoder scores chance. A probe without a score fails, and a gallery picture without one stands above all in the searches
for others; probes without a mate in the gallery are not asked. Replicates resample probe identities before the whole
gallery, whose size sets how hard the task is.
"""
