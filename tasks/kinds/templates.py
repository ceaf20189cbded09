"""Verification of templates: sets of pictures of one person, pooled and compared (IJB-B, IJB-C 1:1).

``task.options["pair_list"]`` (:class:`tasks.lists.PairList`) names pairs of templates. Pooling is that of
:func:`tasks.kinds.shared.embeddings.pooled`; the score of a pair is the cosine. Pairs of a template of which no
picture has a finite output are scored by :mod:`tasks.metrics.failures`: a genuine one is a miss, any other an alarm.

Items are one line per template with its embedding, because the official lists have millions of pairs: the
pair list itself is named by its hash in the fingerprint of the data. Metrics compare all pairs when they
are asked; they give no interval, for the same reason.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from paco_fr.utils.errors import PacoError
from paco_fr.utils.types import Array
from tasks.kinds import HeadName
from tasks.kinds.shared.embeddings import pooled, scores_of_pairs, template_columns
from tasks.kinds.shared.labels import NO_OUTPUT
from tasks.kinds.verification import pair_list
from tasks.lists import PairList, positions
from tasks.metrics.failures import pair_scores
from tasks.metrics.metric import Metric
from tasks.metrics.verification import SAME_SCORE, far_name, weakly_founded
from tasks.task import Task

HEAD: HeadName = "whitening"

FARS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)


def targets(labels: pd.DataFrame, task: Task) -> npt.NDArray[np.int64]:
    """Return (n,) codes of the templates: IJB does not say whom a 1:1 template shows."""
    return np.unique(template_columns(labels)[0], return_inverse=True)[1].astype(np.int64)


def items(outputs: npt.ArrayLike, labels: pd.DataFrame, task: Task) -> pd.DataFrame:
    """Return a line per template: ``id`` and ``group`` (its number), ``pictures``, ``embedding`` (D,)."""
    found = pooled(_floating(outputs), *template_columns(labels))
    names = found.numbers.astype(str)
    return pd.DataFrame(
        {
            "id": names,
            "group": names,
            "pictures": found.pictures,
            "embedding": list(found.units),
            "failure": np.where(found.pictures > 0, "", NO_OUTPUT),
        }
    )


def _floating(outputs: npt.ArrayLike) -> npt.NDArray[np.floating]:
    array = np.asarray(outputs)
    return array if np.issubdtype(array.dtype, np.floating) else array.astype(np.float64)


class Scores(NamedTuple):
    """Scores of all pairs, either kind rising."""

    genuine: npt.NDArray[np.floating]
    impostor: npt.NDArray[np.floating]


def compare(
    units: npt.NDArray[np.floating],
    numbers: npt.NDArray[np.int64],
    listed: PairList,
    lost: npt.NDArray[np.bool_] | None = None,
) -> Scores:
    """Return the scores of a list of pairs of templates.

    Args:
        units: (T, D) embeddings of length 1.
        numbers: (T,) their template numbers.
        listed: pairs of template numbers.
        lost: (T,) templates of which no picture could be read.

    """
    first, second = listed.rows(numbers)
    scores = scores_of_pairs(units, first, second)
    if lost is not None and lost.any():
        scores[lost[first] | lost[second]] = np.nan
        scores = pair_scores(scores, listed.same)
    return Scores(np.sort(scores[listed.same]), np.sort(scores[~listed.same]))


def tar_at(scores: Scores, far: float) -> tuple[float, float]:
    """Return TAR and achieved FAR in percent at the laxest threshold whose FAR is at most ``far``."""
    genuine, impostor = scores
    if not len(genuine) or not len(impostor):
        return np.nan, np.nan
    admitted = int(np.floor(far * len(impostor) * (1.0 + 1e-12)))
    if admitted >= len(impostor):
        return 100.0, 100.0
    barred = impostor[len(impostor) - admitted - 1]  # the highest impostor that must be refused
    accepted = len(genuine) - np.searchsorted(genuine, barred, side="right")
    alarmed = len(impostor) - np.searchsorted(impostor, barred, side="right")
    return 100.0 * float(accepted) / len(genuine), 100.0 * float(alarmed) / len(impostor)


def tar_near(scores: Scores, far: float) -> float:
    """Return TAR in percent at the ROC point nearest in FAR; of equally near ones the laxest."""
    genuine, impostor = scores
    count = len(impostor)
    if not len(genuine) or not count:
        return np.nan
    steps = []  # (distance in FAR, threshold): the points around the target, stricter first
    barred = impostor[count - 1 - min(int(np.floor(far * count * (1.0 + 1e-12))), count - 1)]
    above = count - int(np.searchsorted(impostor, barred, side="right"))
    steps.append((abs(above / count - far), np.nextafter(barred, np.inf, dtype=impostor.dtype)))
    through = count - int(np.searchsorted(impostor, barred, side="left"))
    below = impostor[count - through - 1] if through < count else None
    lax = -np.inf if below is None else np.nextafter(below, np.inf, dtype=impostor.dtype)
    steps.append((abs(through / count - far), lax))
    threshold = steps[1][1] if steps[1][0] <= steps[0][0] else steps[0][1]
    accepted = len(genuine) - np.searchsorted(genuine, threshold, side="left")
    return 100.0 * float(accepted) / len(genuine)


class _Compared:
    """The scores of the items that were asked about last: all metrics of a row share one comparison."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self._items: pd.DataFrame | None = None
        self._scores: Scores | None = None

    def scores(self, items: pd.DataFrame) -> Scores:
        if self._items is not items or self._scores is None:
            units = np.stack(items["embedding"].to_list())
            numbers = items["id"].to_numpy(dtype=str).astype(np.int64)
            lost = items["failure"].to_numpy() != ""
            self._scores = compare(units, numbers, pair_list(self.task), lost)
            self._items = items
        return self._scores


def metrics(task: Task) -> tuple[Metric, ...]:
    """Return TAR at FAR 1e-6 to 1e-1, each with the FAR achieved and the field's nearest point, and the flag.

    Undefined (NaN) under bootstrap weights: millions of pairs are compared once, not a thousand times.
    """
    compared = _Compared(task)

    def metric(
        name: str, unit: str, higher: bool, best: float, worst: float, of: object, far: float = 1.0
    ) -> Metric:
        def compute(items: pd.DataFrame, weights: Array | None) -> Array:
            if weights is not None:
                return np.full(len(weights), np.nan)
            return np.array([of(compared.scores(items))], dtype=np.float64)  # type: ignore[operator]

        def few(items: pd.DataFrame) -> str:
            return weakly_founded(far, int((~pair_list(task).same).sum())) if far < 1.0 else ""

        return Metric(name, unit, higher, best, worst, compute, few)

    found = []
    for far in FARS:
        name = far_name(far)
        found += [
            metric(f"tar@far={name}", "%", True, 100.0, 0.0, lambda s, far=far: tar_at(s, far)[0], far),
            metric(f"achieved_far@{name}", "%", False, 0.0, 100.0, lambda s, far=far: tar_at(s, far)[1], far),
            metric(
                f"tar_nearest@far={name}", "%", True, 100.0, 0.0, lambda s, far=far: tar_near(s, far), far
            ),
        ]
    return (*found, metric("collapsed", "", False, 0.0, 1.0, _collapsed))


def _collapsed(scores: Scores) -> float:
    ends = [part[at] for whole in scores if len(part := whole[np.isfinite(whole)]) for at in (0, -1)]
    return float(not ends or max(ends) - min(ends) <= SAME_SCORE)


def perfect(labels: pd.DataFrame, task: Task) -> Array:
    """Return embeddings that are equal for templates linked by genuine pairs and orthogonal otherwise."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    template = template_columns(labels)[0]
    numbers, unit = np.unique(template, return_inverse=True)
    listed = pair_list(task)
    first, second = (
        positions(numbers, side[listed.same], listed.source) for side in (listed.first, listed.second)
    )
    links = coo_matrix((np.ones(len(first)), (first, second)), shape=(len(numbers),) * 2)
    codes = connected_components(links, directed=False)[1][unit]
    if codes.max() > 4096:
        raise PacoError(
            f"{task.name}: a perfect prediction of {codes.max() + 1} people is too large to make."
        )
    return np.eye(codes.max() + 1)[codes]
