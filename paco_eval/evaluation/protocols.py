"""Protocols: which units heads are fitted on, and which heads.

===================  =====================================================================================
``frozen``           the kind's own head on all of the fitting and validation parts
``knn``              the same with nearest neighbours in place of the head
``heatmap``          landmarks read off heat maps of the patch tokens, in place of the linear head
``few-shot``         the head on a share of the groups, or on a number of units of each class, several draws; of
                     several attributes, whoever is among the first so many with, or without, one of them
``fine-tune``        the whole encoder is trained, see :mod:`paco_eval.finetune.train`; several trainings, each once a
                     scoring fold. Recognition trains under a margin loss, on the task's own people for fitting
                     or, where it is scored as a whole, on others; landmarks may be trained by FaRL's recipe, masks are
===================  =====================================================================================

A protocol turns the data of a task into the data that are measured, one for each of its rows; the solvers and
the scoring know nothing of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from paco_eval.evaluation.data import Data
from paco_eval.finetune.margin import MarginName
from paco_eval.finetune.model import EPOCHS, TunedHead
from paco_fr.utils.errors import PacoError
from paco_fr.utils.random import generator
from tasks import splits
from tasks.kinds import load_kind
from tasks.splits import Fold, Split, Train, Validation
from tasks.task import Task

SHOTS = ("1%", "10%")
SEEDS = 3
NEIGHBOURS = ("logistic", "ridge")
"""Heads that nearest neighbours can stand for; an embedding is not predicted from neighbours."""


class NotApplicableError(PacoError):
    """A protocol that means nothing for a task."""


@dataclass(frozen=True)
class Shots:
    """How much is fitted on: a share of the units in whole groups, or units of each class.

    Exactly one of the two is set.
    """

    share: float | None = None
    per_class: int | None = None

    @classmethod
    def parse(cls, text: str) -> Shots:
        """Read ``1%``, ``0.5%`` or a number per class such as ``5``."""
        number = text.removesuffix("%")
        try:
            if number != text and 0 < float(number) < 100:
                return cls(share=float(number) / 100)
            if number == text and int(number) > 0:
                return cls(per_class=int(number))
        except ValueError:
            pass
        raise PacoError(
            f"--shots {text}: write a percentage below 100 such as 1% or 10%, or a number per class."
        )

    def __str__(self) -> str:
        return f"{self.share * 100:g}%" if self.share is not None else f"{self.per_class} per class"


def variants(
    name: str,
    data: Data,
    shots: Sequence[str] = SHOTS,
    seeds: int = SEEDS,
    epochs: int = EPOCHS,
    margin: MarginName = "cosface",
    head: TunedHead = "linear",
) -> list[Data]:
    """Return what a protocol measures of a task's data.

    Raises:
        PacoError: unknown shots, or the task has nothing that the protocol could change.

    """
    if name == "frozen":
        return [data]
    if not isinstance(data.views["all"][1], Split):
        if name != "fine-tune":
            raise NotApplicableError(
                f"{data.task.name}: it fits no head; the protocol {name} does not apply."
            )
        if data.people is None:
            raise NotApplicableError(
                f"{data.task.name}: it is scored as a whole; name other people with --train-identities."
            )
    if name == "knn":
        return [_neighbours(data)]
    if name == "heatmap":
        return [_heat_maps(data)]
    if name == "fine-tune":
        if head == "farl" and data.task.kind not in ("landmarks", "segmentation"):
            raise NotApplicableError(
                f"{data.task.name}: it has neither points nor masks; FaRL's head does not apply."
            )
        if head == "linear" and data.task.kind == "segmentation":
            raise NotApplicableError(
                f"{data.task.name}: masks are fine-tuned with FaRL's head; give --head farl."
            )
        own = f"fine-tune {epochs} epochs" + (
            f", {margin}" if load_kind(data.task.kind).HEAD == "whitening" else ""
        )
        own += f", {head} head" if head != "linear" else ""
        tuned = replace(data, protocol=_renamed(data.protocol, own))
        return [replace(tuned, probe_seed=seed) for seed in range(seeds)]
    return [few_shot(data, Shots.parse(text), seed) for text in shots for seed in range(seeds)]


def epochs_of(protocol: str) -> int:
    """Return the epochs that the name of a fine-tuning protocol says."""
    return int(protocol.split(", ")[0].split()[1])


def _neighbours(data: Data) -> Data:
    task, own = data.task, load_kind(data.task.kind).HEAD
    if own not in NEIGHBOURS:
        raise NotApplicableError(f"{task.name}: it compares embeddings; nearest neighbours do not apply.")
    return replace(data, task=replace(task, head="knn"), protocol=_renamed(data.protocol, "knn"))


def _heat_maps(data: Data) -> Data:
    task = data.task
    if task.kind != "landmarks":
        raise NotApplicableError(f"{task.name}: it has no points; heat maps do not apply.")
    dense = replace(task, head="heatmap", reductions=("tokens",))
    return replace(data, task=dense, protocol=_renamed(data.protocol, "heatmap"))


def _renamed(protocol: str, name: str) -> str:
    """Return a protocol's name with what departs from the task's own kept."""
    return ", ".join([name, *protocol.split(", ")[1:]])


def few_shot(data: Data, shots: Shots, seed: int) -> Data:
    """Return the data with less to fit and to choose on; what is scored stays as it is.

    The validation part is thinned by the same rule as what is fitted: a choice made on many labels would not
    be few-shot (Oliver et al. 2018). Groups are drawn in an order that (seed, task) fixes, so that draws of
    more units contain those of fewer.
    """
    views = {
        view: (
            units,
            _thinned(split, units.labels, data.task, shots, seed) if isinstance(split, Split) else split,
        )
        for view, (units, split) in data.views.items()
    }
    return replace(data, views=views, protocol=_renamed(data.protocol, f"few-shot {shots}"), probe_seed=seed)


def _thinned(split: Split, labels: pd.DataFrame, task: Task, shots: Shots, seed: int) -> Split:
    groups = labels["group"].astype(str).to_numpy(dtype=object)
    codes = _codes(labels, task) if shots.per_class is not None else None

    def few(units: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        return _drawn(units, groups, codes, shots, generator(f"few-shot {task.name}", seed))

    select = [Fold(Train(few(fold.fit.indices)), Validation(few(fold.held.indices))) for fold in split.select]
    score = [Fold(Train(few(fold.fit.indices)), fold.held) for fold in split.score]
    return splits.check(select, score, groups.tolist(), f"{split.note}; {shots} of it, draw {seed}")


def _codes(labels: pd.DataFrame, task: Task) -> npt.NDArray[np.int64]:
    """Return the class (n, 1) of every unit, or the presence (n, K) of every attribute."""
    if load_kind(task.kind).HEAD != "logistic" and task.kind != "multilabel":
        raise NotApplicableError(
            f"{task.name}: it has no classes to take units of; give --shots as a percentage."
        )
    return np.asarray(load_kind(task.kind).targets(labels, task), dtype=np.int64).reshape(len(labels), -1)


def _drawn(
    units: npt.NDArray[np.intp],
    groups: npt.NDArray[np.object_],
    codes: npt.NDArray[np.int64] | None,
    shots: Shots,
    rng: np.random.Generator,
) -> npt.NDArray[np.intp]:
    """Return the drawn units, sorted: whole groups up to the share, or the first units of each class.

    With several attributes, ``codes`` (n, K), a unit is drawn if it is among the first with its value of any: each
    attribute then has that many with and without it, where there are so many, and mostly more.
    """
    order = {group: place for place, group in enumerate(rng.permutation(np.unique(groups)).tolist())}
    places = np.array([order[group] for group in groups[units]])
    ranked = units[np.argsort(places, kind="stable")]
    if codes is None:
        assert shots.share is not None
        sizes = np.unique(np.sort(places), return_counts=True)[1].cumsum()
        enough = int(np.searchsorted(sizes, shots.share * len(units)))
        return np.sort(ranked[: sizes[min(enough, len(sizes) - 1)]])
    assert shots.per_class is not None
    nth = [pd.Series(column).groupby(column).cumcount() for column in codes[ranked].T]
    return np.sort(ranked[(np.array(nth) < shots.per_class).any(axis=0)])
