"""Verification of templates: sets of pictures of one person, pooled and compared (IJB-B, IJB-C 1:1).

``task.options["pair_list"]`` (:class:`tasks.lists.PairList`) names pairs of templates. Pooling is that of
:func:`tasks.kinds.shared.embeddings.pooled`; the score of a pair is the cosine. Pairs of a template of which a picture
has no finite output are scored by :mod:`tasks.metrics.failures`: a genuine one is a miss, any other an alarm.

Items are one line per template with its embedding, because the official lists have millions of pairs: the
pair list itself is named by its hash in the fingerprint of the data. Metrics compare all pairs when they are asked.
Templates of one subject are one group: whom the records group, and whom genuine pairs link.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd

from paco_fr.utils.errors import PacoError
from paco_fr.utils.types import Array
from tasks.kinds import HeadName
from tasks.kinds.shared.embeddings import pooled, scores_of_pairs, template_columns, template_pictures
from tasks.kinds.shared.labels import NO_OUTPUT
from tasks.kinds.shared.shown import PAIR, Shown, hardest_pairs
from tasks.kinds.verification import pair_list
from tasks.lists import PairList, linked, positions
from tasks.metrics.failures import pair_scores
from tasks.metrics.metric import Metric, group_codes, share
from tasks.metrics.verification import SAME_SCORE, Falling, falling, far_name, rates_at, weakly_founded
from tasks.task import Task

HEAD: HeadName = "whitening"

FARS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
LOOKED_AT = 200_000
"""Pairs of two subjects among which the hardest are looked for, spread evenly over the list."""


def targets(labels: pd.DataFrame, task: Task) -> npt.NDArray[np.int64]:
    """Return (n,) codes of the templates: the 1:1 protocol does not say whom one shows."""
    return np.unique(template_columns(labels)[0], return_inverse=True)[1].astype(np.int64)


def items(outputs: npt.ArrayLike, labels: pd.DataFrame, task: Task) -> pd.DataFrame:
    """Return a line per template: ``id`` (its number), ``group`` (its subject), ``pictures``, ``embedding`` (D,)."""
    columns = template_columns(labels)
    found = pooled(_floating(outputs), *columns)
    return pd.DataFrame(
        {
            "id": found.numbers.astype(str),
            "group": _subjects(found.numbers, columns[0], labels, pair_list(task)),
            "pictures": found.pictures,
            "embedding": list(found.units),
            "failure": np.where(found.lost, NO_OUTPUT, ""),
        }
    )


def _subjects(
    numbers: npt.NDArray[np.int64], template: npt.NDArray[np.int64], labels: pd.DataFrame, listed: PairList
) -> npt.NDArray[np.object_]:
    """Return the subject (T,) of each template: its pictures' group, joined with those that genuine pairs link to it."""
    groups, first = np.unique(labels["group"].to_numpy(dtype=str), return_index=True)
    group = np.searchsorted(groups, labels["group"].to_numpy(dtype=str))
    one, other = listed.rows(numbers)
    own = np.searchsorted(numbers, template)
    sides = (
        np.concatenate([own, one[listed.same]]),
        np.concatenate([own[first[group]], other[listed.same]]),
    )
    return np.array([f"subject {numbers[at]}" for at in linked(*sides, len(numbers))], dtype=object)


def _floating(outputs: npt.ArrayLike) -> npt.NDArray[np.floating]:
    array = np.asarray(outputs)
    return array if np.issubdtype(array.dtype, np.floating) else array.astype(np.float64)


def compare(
    units: npt.NDArray[np.floating],
    numbers: npt.NDArray[np.int64],
    listed: PairList,
    lost: npt.NDArray[np.bool_] | None = None,
    groups: npt.NDArray[np.integer] | None = None,
) -> tuple[Falling, bool]:
    """Return a list of pairs of templates in the order of falling scores, and whether all have one score.

    Args:
        units: (T, D) embeddings of length 1.
        numbers: (T,) their template numbers.
        listed: pairs of template numbers.
        lost: (T,) templates that could not be read.
        groups: (T,) groups of the templates, from 0; each its own without.

    """
    first, second = listed.rows(numbers)
    scores = scores_of_pairs(units, first, second)
    finite = np.ones(len(scores), dtype=bool)
    if lost is not None and lost.any():
        finite = ~(lost[first] | lost[second])
        scores = pair_scores(np.where(finite, scores, np.nan), listed.same)
    group = np.arange(len(numbers), dtype=np.int32) if groups is None else groups.astype(np.int32)
    codes = np.stack([group[first], group[second]], axis=1)
    collapsed = not finite.any() or np.ptp(scores[finite]) <= SAME_SCORE
    return falling(scores, codes, listed.same), bool(collapsed)


class _Compared:
    """What was asked about last: all metrics of a row share one comparison, and one reading of each draw."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self._items: pd.DataFrame | None = None
        self._draws: Array | None = None

    def pairs(self, items: pd.DataFrame) -> tuple[Falling, bool]:
        """Return the pairs of items, see :func:`compare`."""
        if self._items is not items:
            units = np.stack(items["embedding"].to_list())
            numbers = items["id"].to_numpy(dtype=str).astype(np.int64)
            lost = items["failure"].to_numpy() != ""
            self._pairs = compare(units, numbers, pair_list(self.task), lost, group_codes(items)[0])
            self._items, self._draws = items, None
        return self._pairs

    def rates(self, items: pd.DataFrame, weights: Array | None) -> Array:
        """Return the rates (3, R, F) at :data:`FARS`, see :func:`tasks.metrics.verification.rates_at`."""
        pairs, _ = self.pairs(items)
        draws = np.ones((1, len(group_codes(items)[1]))) if weights is None else weights
        if self._draws is None or not np.array_equal(self._draws, draws):
            self._rates, self._draws = rates_at(FARS, pairs, draws), draws.copy()
        return self._rates


def metrics(task: Task) -> tuple[Metric, ...]:
    """Return TAR at FAR 1e-6 to 1e-1, each with the FAR achieved and the field's nearest point, and the flag."""
    compared = _Compared(task)

    def few(far: float) -> Callable[[pd.DataFrame], str]:
        return lambda items: weakly_founded(far, int((~pair_list(task).same).sum()))

    def rate(which: int, at: int) -> Callable[[pd.DataFrame, Array | None], Array]:
        return lambda items, weights: np.asarray(compared.rates(items, weights)[which, :, at])

    def collapsed(items: pd.DataFrame, weights: Array | None) -> Array:
        return np.full(1 if weights is None else len(weights), float(compared.pairs(items)[1]))

    found = []
    for at, far in enumerate(FARS):
        name = far_name(far)
        found += [
            share(f"tar@far={name}", rate(0, at), few(far)),
            Metric(f"achieved_far@{name}", "%", False, 0.0, 100.0, rate(1, at), few(far)),
            share(f"tar_nearest@far={name}", rate(2, at), few(far)),
        ]
    return (*found, Metric("collapsed", "", False, 0.0, 1.0, collapsed))


def perfect(labels: pd.DataFrame, task: Task) -> Array:
    """Return embeddings that are equal for templates linked by genuine pairs and orthogonal otherwise."""
    numbers, unit = np.unique(template_columns(labels)[0], return_inverse=True)
    listed = pair_list(task)
    first, second = (side[listed.same] for side in listed.rows(numbers))
    codes = np.unique(linked(first, second, len(numbers)), return_inverse=True)[1][unit]
    if codes.max() > 4096:
        raise PacoError(
            f"{task.name}: a perfect prediction of {codes.max() + 1} people is too large to make."
        )
    return np.eye(codes.max() + 1)[codes]


def shown(items: pd.DataFrame, labels: pd.DataFrame, task: Task) -> list[Shown]:
    """Return the hardest pairs of templates, of those of two subjects among :data:`LOOKED_AT`, with their pictures."""
    listed, numbers = pair_list(task), items["id"].to_numpy(dtype=str).astype(np.int64)
    others = np.flatnonzero(~listed.same)
    looked = np.concatenate([np.flatnonzero(listed.same), others[:: max(1, -(-len(others) // LOOKED_AT))]])
    first, second = (
        positions(numbers, side[looked], listed.source) for side in (listed.first, listed.second)
    )
    lost = items["failure"].to_numpy() != ""
    pairs = pd.DataFrame(
        {
            "id_a": items["id"].to_numpy()[first],
            "id_b": items["id"].to_numpy()[second],
            "truth": listed.same[looked],
            "score": scores_of_pairs(np.stack(items["embedding"].to_list()), first, second),
            "failure": np.where(lost[first] | lost[second], NO_OUTPUT, ""),
        }
    )
    pictures = template_pictures(labels)
    return [
        Shown(PAIR, f"{a} {b}", (pictures[a], pictures[b]))
        for a, b in hardest_pairs(pairs)[["id_a", "id_b"]].itertuples(index=False)
    ]
