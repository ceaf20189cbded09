"""Split roles in types: fitting gets train, choosing gets validation, scoring test runs once.

A role holds indices into the units of a task. Code that chooses takes a :class:`Fold` of
:class:`Validation`, code that scores takes a :class:`Fold` of :class:`Test`; a type checker refuses the
other order. The constructors below refuse splits in which a group (a person, else a photograph) plays two
parts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from paco_fr.contracts import content_hash
from paco_fr.utils.errors import PacoError
from paco_fr.utils.random import generator
from tasks.task import Task

Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class _Role:
    """Indices (n,) of the units that play one part."""

    indices: Indices

    def __len__(self) -> int:
        return len(self.indices)


class Train(_Role):
    """Units that heads, standardisation and whitening may be fitted on."""


class Validation(_Role):
    """Units on which block, reduction and strength are chosen."""


class Test(_Role):
    """Units that are scored once, with everything already chosen."""

    __test__ = False  # the name is not meant for pytest


Held = TypeVar("Held", Validation, Test)


@dataclass(frozen=True, eq=False)
class Fold(Generic[Held]):
    """What is fitted and what is looked at afterwards."""

    fit: Train
    held: Held

    def __post_init__(self) -> None:
        """Refuse an empty part and a unit in both."""
        if not len(self.fit) or not len(self.held):
            raise PacoError("A fold needs units to fit on and units to hold out; one part is empty.")
        if np.intersect1d(self.fit.indices, self.held.indices).size:
            raise PacoError("A fold holds out units that it is also fitted on.")


@dataclass(frozen=True, eq=False)
class Split:
    """The folds of a task.

    Attributes:
        select: folds for choosing.
        score: folds for scoring; no unit is held by two of them.
        list_hash: sixteen hex digits of which unit of which group plays which part.
        note: how the parts came about, for the row.

    """

    select: tuple[Fold[Validation], ...]
    score: tuple[Fold[Test], ...]
    list_hash: str
    note: str


@dataclass(frozen=True, eq=False)
class ScoredOnly:
    """A set without any part to fit or choose on: all of its units are scored.

    Attributes:
        test: every unit.
        list_hash: sixteen hex digits of which unit of which group that is.
        note: for the row.

    """

    test: Test
    list_hash: str
    note: str = "test only"


def test_only(groups: Sequence[str]) -> ScoredOnly:
    """Return the role of a set that is scored as a whole; choices have to come from elsewhere."""
    if not len(groups):
        raise PacoError("There is nothing to score.")
    return ScoredOnly(Test(np.arange(len(groups))), content_hash([str(group) for group in groups]))


test_only.__test__ = False  # type: ignore[attr-defined]  # the name is not meant for pytest


def roles(task: Task, labels: pd.DataFrame) -> Split | ScoredOnly:
    """Return who plays which part in a task, from the columns ``group`` and ``split`` of its units."""
    groups = labels["group"].astype(str).tolist()
    if task.split == "test_only":
        return test_only(groups)
    if "split" not in labels:
        raise PacoError(f"{task.name}: the records have no column 'split'. See its reader, or use test_only.")
    if task.split == "official":
        return from_column(labels["split"].tolist(), groups)
    make = subject_folds if task.split == "subject_folds" else selection_only
    return make((labels["split"] == "validation").to_numpy(), groups)


def choosing_folds(groups: Sequence[str], folds: int = 2, seed: int = 0) -> tuple[Fold[Validation], ...]:
    """Return subject-disjoint folds among people who are all for fitting, to choose what is fitted."""
    return tuple(_selection_folds(np.arange(len(groups)), groups, folds, seed))


def check(
    select: Sequence[Fold[Validation]], score: Sequence[Fold[Test]], groups: Sequence[str], note: str
) -> Split:
    """Return the split of these folds, or say which group plays two parts.

    Within a fold no group is on both sides; no unit is held by two scoring folds; no group that is scored
    anywhere takes any part in choosing. (The fit part of a scoring fold may hold people that another
    scoring fold holds out.)

    Args:
        select: folds for choosing, at least one.
        score: folds for scoring, at least one.
        groups: group of every unit.
        note: how the folds came about.

    Raises:
        PacoError: one of these rules is broken.

    """
    if not select or not score:
        raise PacoError("A split needs at least one fold for choosing and one for scoring.")
    names = np.asarray(groups, dtype=object)
    folds = [(fold.fit.indices, fold.held.indices) for fold in select]
    folds += [(fold.fit.indices, fold.held.indices) for fold in score]
    for fit, held in folds:
        _refuse_shared(names[fit], names[held], "the fitted and the held part")
    scored = np.concatenate([fold.held.indices for fold in score])
    if len(np.unique(scored)) < len(scored):
        raise PacoError("A unit is scored twice: the scoring folds overlap.")
    choosing = np.concatenate([part.indices for fold in select for part in (fold.fit, fold.held)])
    _refuse_shared(names[choosing], names[scored], "the choosing and the scored part")
    listed = [[[[int(i), str(names[i])] for i in part] for part in fold] for fold in folds]
    return Split(tuple(select), tuple(score), content_hash([len(select), listed]), note)


def from_column(split_column: Sequence[str], groups: Sequence[str]) -> Split:
    """Return the official split, with a validation part carved out of train where there is none.

    A train group belongs to validation when ``sha256(group) mod 10 == 0``. Heads are fitted on train
    alone, for choosing and for scoring.

    Args:
        split_column: ``train``, ``validation`` or ``test`` for every unit.
        groups: group of every unit.

    Raises:
        PacoError: an unknown part, no train or test part, or a group in two parts.

    """
    column = np.asarray(split_column, dtype=object)
    unknown = sorted({str(name) for name in column} - {"train", "validation", "test"})
    if unknown:
        raise PacoError(f"Split '{unknown[0]}' is none of train, validation, test; see the reader.")
    train, validation, test = (np.flatnonzero(column == name) for name in ("train", "validation", "test"))
    for name, part in (("train", train), ("test", test)):
        if not len(part):
            raise PacoError(f"The records have no {name} part.")
    note = "official train, validation and test"
    if not len(validation):
        train, validation, note = _carve(train, groups)
    fit = Train(train)
    return check([Fold(fit, Validation(validation))], [Fold(fit, Test(test))], groups, note)


def subject_folds(
    selection_mask: npt.ArrayLike, groups: Sequence[str], folds: int = 5, seed: int = 0
) -> Split:
    """Return subject-disjoint folds for a set without official parts.

    Choosing: folds among the selection people. Scoring: folds over all other people, each fitted on the
    selection people and on the scored people of the other folds.

    Args:
        selection_mask: (n,) true for units of selection people.
        groups: person of every unit.
        folds: number of folds of either kind; fewer where there are fewer people.
        seed: draws who shares a fold.

    """
    chosen, scored = _sides(selection_mask)
    score = [
        Fold(Train(np.union1d(chosen, np.setdiff1d(scored, held))), Test(held))
        for held in _parts(scored, groups, folds, seed)
    ]
    select = _selection_folds(chosen, groups, folds, seed)
    note = f"{len(select)} subject folds among the selection people, {len(score)} over the scored people"
    return check(select, score, groups, note)


def selection_only(
    selection_mask: npt.ArrayLike, groups: Sequence[str], folds: int = 2, seed: int = 0
) -> Split:
    """Return a split in which nothing is ever fitted on scored people.

    Choosing: subject-disjoint folds among the selection people, so that whatever is fitted (whitening) is
    judged on people that it has not seen, as in scoring. Scoring: fitted on all selection people, all
    other people held, once. Two folds leave each validation part as many impostors as can be had.

    Args:
        selection_mask: (n,) true for units of selection people.
        groups: person of every unit.
        folds: number of choosing folds; fewer where there are fewer people.
        seed: draws who shares a fold.

    """
    chosen, scored = _sides(selection_mask)
    select = _selection_folds(chosen, groups, folds, seed)
    note = f"{len(select)} subject folds among the selection people; fitted on selection people only"
    return check(select, [Fold(Train(chosen), Test(scored))], groups, note)


def _selection_folds(chosen: Indices, groups: Sequence[str], folds: int, seed: int) -> list[Fold[Validation]]:
    return [
        Fold(Train(np.setdiff1d(chosen, held)), Validation(held))
        for held in _parts(chosen, groups, folds, seed)
    ]


def _sides(selection_mask: npt.ArrayLike) -> tuple[Indices, Indices]:
    mask = np.asarray(selection_mask, dtype=bool)
    return np.flatnonzero(mask), np.flatnonzero(~mask)


def _parts(units: Indices, groups: Sequence[str], folds: int, seed: int) -> list[Indices]:
    """Deal the groups of ``units`` into folds of nearly equal numbers of groups."""
    names = np.asarray(groups, dtype=object)[units]
    people = generator("subject_folds", seed).permutation(np.unique(names))
    if folds < 2 or len(people) < 2:
        raise PacoError(f"{folds} folds over {len(people)} people: both have to be at least 2.")
    return [units[np.isin(names, part)] for part in np.array_split(people, min(folds, len(people)))]


def _carve(train: Indices, groups: Sequence[str]) -> tuple[Indices, Indices, str]:
    """Split train by ``sha256(group) mod 10``."""
    digests = np.array(
        [int.from_bytes(hashlib.sha256(str(groups[i]).encode()).digest(), "big") for i in train], dtype=object
    )
    held = (digests % 10) == 0
    note = "validation: train groups with sha256(group) mod 10 == 0"
    if not held.any():
        held = digests == digests.min()
        note = "validation: the train group of the smallest sha256 (none is 0 mod 10)"
    if held.all():
        raise PacoError("The train part has too few groups to set some aside for validation.")
    held = held.astype(bool)
    return train[~held], train[held], note


def _refuse_shared(one: Iterable[str], other: Iterable[str], where: str) -> None:
    shared = sorted({str(name) for name in one} & {str(name) for name in other})
    if shared:
        raise PacoError(f"Group '{shared[0]}' ({len(shared)} in all) is in both {where}.")
