"""Lists that come with the data and say what is compared with what. Readers fill them, kinds follow them.

A declaration names its list with :class:`tasks.task.FromData`; it is read when a run starts, and its hash
is part of the data's fingerprint.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from paco_fr.contracts import content_hash
from paco_fr.utils.errors import PacoError
from tasks.task import Task

Ids = npt.NDArray[Any]
"""(n,) names of pictures (str) or numbers of templates (int64)."""


def _digest(*columns: npt.NDArray[Any]) -> str:
    digest = hashlib.sha256()
    for column in columns:
        digest.update(f"{column.dtype} {len(column)};".encode())
        digest.update(np.ascontiguousarray(column).view(np.uint8).data if len(column) else b"")
    return digest.hexdigest()[:16]


@dataclass(frozen=True, eq=False)
class PairList:
    """Pairs in their official order.

    Attributes:
        first: (P,) one side of every pair: the ``image_id``, or the number of a template.
        second: (P,) the other side.
        same: (P,) whether both sides show one person.
        fold: (P,) fold of every pair from 0, or empty where the list has none.
        source: named in messages.

    """

    first: Ids
    second: Ids
    same: npt.NDArray[np.bool_]
    fold: npt.NDArray[np.int64]
    source: str

    def __post_init__(self) -> None:
        """Refuse columns of unequal length."""
        lengths = {len(self.first), len(self.second), len(self.same), len(self.fold) or len(self.same)}
        if len(lengths) != 1:
            raise PacoError(f"{self.source}: the columns of its pairs have lengths {sorted(lengths)}.")

    def __len__(self) -> int:
        return len(self.same)

    @cached_property
    def hash(self) -> str:
        """Sixteen hex digits of the whole list."""
        return _digest(self.first, self.second, self.same, self.fold)

    def rows(self, known: Ids) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """Return the rows (P,) of either side among ``known`` ids.

        Raises:
            PacoError: a side is not among them; the first such pair is named.

        """
        return positions(known, self.first, self.source), positions(known, self.second, self.source)


@dataclass(frozen=True, eq=False)
class SearchList:
    """Galleries and probes of an identification protocol, as numbers of templates and of subjects.

    Attributes:
        gallery: (G,) templates; no subject has two in one gallery.
        gallery_subject: (G,) who they show.
        gallery_set: (G,) number of the gallery from 0; a subject may be in several.
        probe: (Q,) templates that are searched for.
        probe_subject: (Q,) who they show.
        source: named in messages.

    """

    gallery: Ids
    gallery_subject: Ids
    gallery_set: npt.NDArray[np.int64]
    probe: Ids
    probe_subject: Ids
    source: str

    @cached_property
    def hash(self) -> str:
        """Sixteen hex digits of the whole list."""
        return _digest(self.gallery, self.gallery_subject, self.gallery_set, self.probe, self.probe_subject)


@dataclass(frozen=True, eq=False)
class NamedSubsets:
    """Subsets of the scored pictures, as published lists name them.

    Attributes:
        members: subset -> names of its pictures in the order of the list, each once.
        source: named in messages.

    """

    members: Mapping[str, tuple[str, ...]]
    source: str

    @cached_property
    def hash(self) -> str:
        """Sixteen hex digits of all lists."""
        return content_hash({name: list(members) for name, members in self.members.items()})


def restrict(task: Task, labels: pd.DataFrame) -> Task:
    """Return the task with its lists cut down to the pictures or templates that are there, for trial runs.

    Raises:
        PacoError: nothing is left of a list.

    """
    changed: dict[str, Any] = {}
    for name, listed in task.options.items():
        if isinstance(listed, PairList):
            if listed.first.dtype.kind == "i":
                known: Ids = labels["template"].to_numpy(dtype=str).astype(np.int64)
            else:
                known = labels["unit_id"].to_numpy(dtype=str)  # of its own width: another would cut names
            kept = np.isin(listed.first, known) & np.isin(listed.second, known)
            fold = listed.fold[kept] if len(listed.fold) else listed.fold
            changed[name] = PairList(
                listed.first[kept], listed.second[kept], listed.same[kept], fold, listed.source
            )
            left = int(kept.sum())
        elif isinstance(listed, SearchList):
            known = labels["template"].to_numpy(dtype=str).astype(np.int64)
            entry, probe = np.isin(listed.gallery, known), np.isin(listed.probe, known)
            sides = (listed.gallery[entry], listed.gallery_subject[entry], listed.gallery_set[entry])
            changed[name] = SearchList(
                *sides, listed.probe[probe], listed.probe_subject[probe], listed.source
            )
            left = min(int(entry.sum()), int(probe.sum()))
        else:
            continue
        if not left:
            raise PacoError(f"{listed.source}: nothing of it is left under --limit. Raise the limit.")
    return replace(task, options={**task.options, **changed}) if changed else task


def linked(first: npt.ArrayLike, second: npt.ArrayLike, count: int) -> npt.NDArray[np.intp]:
    """Return the smallest number (n,) of those whom links between ``count`` numbers tie to each, itself included."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    ends = np.asarray(first), np.asarray(second)
    party = connected_components(
        coo_matrix((np.ones(len(ends[0])), ends), shape=(count, count)), directed=False
    )[1]
    return np.asarray(np.unique(party, return_index=True)[1][party])


def positions(known: Ids, wanted: Ids, source: str) -> npt.NDArray[np.intp]:
    """Return where each of ``wanted`` (n,) stands among ``known`` (m,), all different.

    Raises:
        PacoError: one of them does not stand there.

    """
    order = np.argsort(known, kind="stable")
    ordered = known[order]
    at = np.minimum(np.searchsorted(ordered, wanted), len(known) - 1)
    absent = np.flatnonzero(ordered[at] != wanted)
    if absent.size:
        raise PacoError(
            f"{source}: '{wanted[absent[0]]}' ({absent.size} such entries) is not among the {len(known)} "
            "that were read. Restore the original lists."
        )
    return np.asarray(order[at])
