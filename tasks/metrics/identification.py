"""Identification: who in a gallery is this? Closed set (rank 1, rank 5) and open set (TPIR at FPIR).

Items are searches, one line per probe: ``group``, ``mated`` (the subject is in the gallery), ``mate_score``
(best score of the own gallery entry), ``above`` and ``equal`` (gallery subjects that score above it, and
like it), ``nonmated_score`` (best score in a gallery without the subject, NaN where there is none) and
``impostor_scores`` (those of the probe's impostor scores that are among the highest of all searches).

**Rules.** Rank k: a mate that ties with t others stands at each of their ranks with equal chance, as a fair
draw would put it. TPIR at FPIR, the field's form (insightface 1:N): the threshold is the n-th highest of all
impostor scores, n = FPIR times searches, rounded up; a mate counts if it scores above the threshold,
*whatever its rank*. TPIR over non-mated searches (ISO/IEC 19795-1): at most FPIR of the searches for people
who are not in the gallery may raise an alarm; a mate counts if it scores above that threshold *and stands at
rank 1*. Replicates resample the subjects of probes before whole galleries, whose size sets how hard the task
is.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from paco_fr.utils.types import Array
from tasks.metrics.metric import Metric, group_codes, ratio, share
from tasks.metrics.verification import far_name

FPIRS = (1e-1, 1e-2)
POOLED_SHARE = 2.0 * max(FPIRS)
"""Impostor scores kept, as a share of searches: twice what the laxest threshold needs, for replicates that
draw probes with high impostor scores more often."""


def probabilities_within(rank: int, above: npt.ArrayLike, equal: npt.ArrayLike) -> Array:
    """Return (Q,) chances that the mate is among the first ``rank`` when ties are drawn fairly."""
    better, ties = np.asarray(above, dtype=np.float64), np.asarray(equal, dtype=np.float64)
    return np.clip((rank - better) / (ties + 1.0), 0.0, 1.0)


def _draws(items: pd.DataFrame, weights: Array | None) -> Array:
    """Return (R, Q) how often each search occurs in each replicate."""
    codes, names = group_codes(items)
    return np.asarray((np.ones((1, len(names))) if weights is None else weights)[:, codes])


def _share_of_mated(items: pd.DataFrame, draws: Array, found: Array) -> Array:
    """Return (R,) percentages: ``found`` (Q,) or (R, Q) over the mated searches; NaN without any."""
    mated = items["mated"].to_numpy(dtype=np.float64)
    return 100.0 * ratio((draws * found * mated).sum(axis=1), (draws * mated).sum(axis=1))


def rank_within(rank: int) -> Metric:
    """Return the share of mated searches whose mate is among the first ``rank`` gallery subjects."""

    def compute(items: pd.DataFrame, weights: Array | None) -> Array:
        found = probabilities_within(rank, items["above"], items["equal"])
        return _share_of_mated(items, _draws(items, weights), found)

    return share(f"rank{rank}", compute)


def _mate_scores(items: pd.DataFrame) -> Array:
    scores = items["mate_score"].to_numpy(dtype=np.float64)
    return np.where(np.isnan(scores), -np.inf, scores)


def tpir_at_fpir(fpir: float) -> Metric:
    """Return TPIR with the threshold from all impostor scores, rank not required (the field's form)."""

    def compute(items: pd.DataFrame, weights: Array | None) -> Array:
        draws, mate = _draws(items, weights), _mate_scores(items)
        cells = [np.asarray(cell, dtype=np.float64) for cell in items["impostor_scores"]]
        owner = np.repeat(np.arange(len(cells)), [len(cell) for cell in cells])
        pooled = np.concatenate([*cells, np.empty(0)])
        order = np.argsort(-pooled, kind="stable")
        pooled, owner = pooled[order], owner[order]
        if not pooled.size:
            return np.full(len(draws), np.nan)  # nobody to be mistaken for
        counted = np.cumsum(draws[:, owner], axis=1)
        need = np.ceil(fpir * draws.sum(axis=1) - 1e-9)[:, None]
        at = np.argmax(counted >= need, axis=1)
        threshold = np.where(counted[:, -1] >= need[:, 0], pooled[at], np.nan)[:, None]
        share = _share_of_mated(items, draws, (mate > threshold).astype(np.float64))
        return np.where(np.isnan(threshold[:, 0]), np.nan, share)

    return share(f"tpir@fpir={far_name(fpir)}", compute)


def tpir_nonmated(fpir: float) -> tuple[Metric, Metric]:
    """Return TPIR with at most ``fpir`` of non-mated searches alarmed, rank 1 required, and that share."""

    def both(items: pd.DataFrame, weights: Array | None) -> tuple[Array, Array]:
        draws, mate = _draws(items, weights), _mate_scores(items)
        alarm = items["nonmated_score"].to_numpy(dtype=np.float64)
        asked = np.flatnonzero(~np.isnan(alarm))
        if not asked.size:
            undefined = np.full(len(draws), np.nan)
            return undefined, undefined
        asked = asked[np.argsort(-alarm[asked], kind="stable")]
        ordered, ends = alarm[asked], np.append(alarm[asked][1:] != alarm[asked][:-1], True)
        counted = np.cumsum(draws[:, asked], axis=1)
        total = counted[:, -1:]
        # The first run of equal scores that would alarm too many; the threshold lies just above it.
        refused = ends & (counted > fpir * total * (1.0 + 1e-12))
        threshold = np.where(refused.any(axis=1), ordered[np.argmax(refused, axis=1)], -np.inf)[:, None]
        first = probabilities_within(1, items["above"], items["equal"])
        share = _share_of_mated(items, draws, (mate > threshold) * first)
        alarmed = 100.0 * ratio((draws[:, asked] * (ordered > threshold)).sum(axis=1), total[:, 0])
        empty = total[:, 0] == 0
        return np.where(empty, np.nan, share), alarmed

    name = far_name(fpir)
    return (
        share(
            f"tpir_nonmated@fpir={name}",
            lambda items, weights: both(items, weights)[0],
        ),
        Metric(
            f"achieved_fpir@{name}", "%", False, 0.0, 100.0, lambda items, weights: both(items, weights)[1]
        ),
    )


METRICS: tuple[Metric, ...] = (rank_within(1), rank_within(5), *(tpir_at_fpir(fpir) for fpir in FPIRS))
"""Of every identification task; :func:`tpir_nonmated` joins where some people are not in the gallery."""
