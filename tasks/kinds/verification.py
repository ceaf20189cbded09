"""Verification: are two pictures of one person? Scored by the cosine of their embeddings.

``task.options["pairs"]`` says which pairs:

``sampled``
    all genuine pairs and a seeded draw of ``impostors`` (default 20,000; all if there are fewer) from all
    others, over sorted ids, so that the list does not depend on the order of the records.
``gallery_probe``
    every picture whose ``media`` is ``gallery`` against every one whose ``media`` is ``probe``; adds rank-1.
``list``
    the pairs of ``task.options["pair_list"]`` (:class:`tasks.lists.PairList`), which also says which are
    genuine; adds accuracy over its folds, the main metric of such lists.

An embedding that is zero is alike to nothing (cosine 0). A pair of a unit without a finite output has no score and
is scored by :mod:`tasks.metrics.failures`: rejected if it is genuine, accepted if not.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt
import pandas as pd

from paco_fr.utils.errors import PacoError, unknown_name
from paco_fr.utils.random import generator
from paco_fr.utils.types import Array
from tasks.kinds import HeadName
from tasks.kinds.shared.embeddings import as_embeddings, scores_of_pairs, without_rounding
from tasks.kinds.shared.labels import NO_OUTPUT
from tasks.kinds.shared.shown import PAIR, Shown, hardest_pairs
from tasks.lists import PairList, linked
from tasks.metrics.folds import FOLD_ACCURACY, GRID_ACCURACY, GRID_STD, consecutive_folds, val_at_far
from tasks.metrics.metric import Metric
from tasks.metrics.verification import AUC, COLLAPSED, EER, RANK1, tar_at_far, tar_nearest
from tasks.task import Task

HEAD: HeadName = "whitening"

Pairs = tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]


def targets(labels: pd.DataFrame, task: Task) -> npt.NDArray[np.int64]:
    """Return (n,) codes of the identities; the group stands in where a source knows no identity."""
    names = labels["identity" if "identity" in labels else "group"].to_numpy(dtype=str)
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def pairs(labels: pd.DataFrame, task: Task) -> Pairs:
    """Return the rows (P,) of ``labels`` on either side of each pair; with a gallery it is the first side.

    Raises:
        PacoError: an unknown choice of pairs, or nobody with two pictures to compare.

    """
    protocol, person = task.options.get("pairs", "sampled"), targets(labels, task)
    if protocol == "sampled":
        impostors, seed = task.options.get("impostors", 20_000), task.options.get("seed", 0)
        first, second = _sampled(labels["unit_id"].to_numpy(dtype=str), person, impostors, seed)
    elif protocol == "gallery_probe":
        first, second = _gallery_probe(labels, task.options["gallery"], task.options["probe"])
    elif protocol == "list":
        return pair_list(task).rows(labels["unit_id"].to_numpy(dtype=str))
    else:
        raise unknown_name("choice of pairs", protocol, ("sampled", "gallery_probe", "list"))
    if not (person[first] == person[second]).any():
        raise PacoError(
            f"{task.name}: nobody has two of these {len(labels)} pictures, so no pair is genuine."
        )
    return first, second


def pair_list(task: Task) -> PairList:
    """Return the list that a task's pairs come from; it must have been read with :func:`tasks.task.bind`."""
    found = task.options.get("pair_list")
    if not isinstance(found, PairList):
        raise PacoError(f"{task.name}: its list of pairs was not read. Bind the task to a data root first.")
    return found


def _sampled(ids: npt.NDArray[np.str_], person: npt.NDArray[np.int64], impostors: int, seed: int) -> Pairs:
    order = np.argsort(ids, kind="stable")
    person = person[order]
    members = [np.flatnonzero(person == code) for code in np.unique(person)]
    same = np.concatenate([rows[np.array(np.triu_indices(len(rows), k=1))] for rows in members], axis=1)
    # Pairs are numbered along the rows of the upper triangle; row i begins at starts[i]. Of the drawn ones
    # at most as many are genuine as there are genuine pairs, so enough impostors remain.
    starts = np.concatenate([[0], np.cumsum(np.arange(len(ids) - 1, 0, -1))])
    every = int(starts[-1])
    drawn = generator("pairs", seed).choice(every, size=min(every, impostors + same.shape[1]), replace=False)
    a = np.searchsorted(starts, drawn, side="right") - 1
    b = drawn - starts[a] + a + 1
    other = np.stack([a, b])[:, person[a] != person[b]][:, :impostors]
    first, second = order[np.concatenate([same, other], axis=1)]
    return first, second


def _gallery_probe(labels: pd.DataFrame, gallery: str, probe: str) -> Pairs:
    if "media" not in labels:
        raise PacoError("The labels have no column 'media', which tells gallery and probes apart.")
    sides = [np.flatnonzero(labels["media"].to_numpy() == name) for name in (gallery, probe)]
    for name, rows in zip((gallery, probe), sides, strict=True):
        if not len(rows):
            raise PacoError(f"No picture has media '{name}'; found: {sorted(set(labels['media']))}.")
    first, second = np.meshgrid(*sides)
    return first.ravel(), second.ravel()


def items(outputs: npt.ArrayLike, labels: pd.DataFrame, task: Task) -> pd.DataFrame:
    """Return a line per pair: ids, groups and known angles of both sides, ``score`` (cosine), ``truth``."""
    first, second = pairs(labels, task)
    unit, finite = as_embeddings(outputs)
    scored = finite[first] & finite[second]
    folds: dict[str, npt.NDArray[np.int64]] = {}
    if task.options.get("pairs") == "list":
        listed = pair_list(task)
        genuine, fold = listed.same, listed.fold
        folds["fold"] = fold if len(np.unique(fold)) > 1 else consecutive_folds(len(listed))
    else:
        person = targets(labels, task)
        genuine = person[first] == person[second]
    cosine = without_rounding(scores_of_pairs(unit, first, second))
    ids, groups = labels["unit_id"].to_numpy(dtype=object), labels["group"].to_numpy(dtype=object)
    names = [f"{a}|{b}" for a, b in zip(ids[first], ids[second], strict=True)]
    if folds:  # a list may repeat a pair in another fold
        names = _once_each([f"{name}#{fold}" for name, fold in zip(names, folds["fold"], strict=True)])
    table = pd.DataFrame(
        {
            "id": names,
            "id_a": ids[first],
            "id_b": ids[second],
            "group_a": groups[first],
            "group_b": groups[second],
            "score": np.where(scored, cosine, np.nan),
            "truth": genuine,
            "failure": np.where(scored, "", NO_OUTPUT),
        }
        | folds
    )
    for angle in ("yaw", "pitch"):
        if angle in labels:
            degrees = labels[angle].to_numpy(dtype=np.float64)
            table[f"{angle}_a"], table[f"{angle}_b"] = degrees[first], degrees[second]
    return table


def _once_each(names: list[str]) -> list[str]:
    """Return names of which a repeated one bears its number: a list may hold a pair twice in one fold."""
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name}.{seen[name]}")
    return found


def metrics(task: Task) -> tuple[Metric, ...]:
    """Return AUC, TAR at FAR 0.1 and 0.01 with the FAR achieved, EER, the flag of collapsed scores, and:

    with a gallery rank-1; with a list accuracy over folds, TAR at FAR 0.001, and the field's columns for
    comparison: accuracy on its grid of thresholds with the deviation over folds, TAR at the nearest ROC point and
    the validation rate over folds, both at 0.001.

    Accuracy is left to lists, which are balanced: most other pairs are impostors.
    """
    found = (AUC, *tar_at_far(1e-1), *tar_at_far(1e-2), EER, COLLAPSED)
    if task.options.get("pairs") == "list":
        field = (GRID_ACCURACY, GRID_STD, tar_nearest(1e-3), val_at_far(1e-3))
        return (FOLD_ACCURACY, *found, *tar_at_far(1e-3), *field)
    return (*found, RANK1) if task.options.get("pairs") == "gallery_probe" else found


def perfect(labels: pd.DataFrame, task: Task) -> Array:
    """Return embeddings that are equal for one person and orthogonal for two.

    Under a list, one person is whom its genuine pairs link.
    """
    codes = targets(labels, task)
    if task.options.get("pairs") == "list":
        first, second = pairs(labels, task)
        same = pair_list(task).same
        codes = np.unique(linked(first[same], second[same], len(labels)), return_inverse=True)[1]
    table = np.zeros((len(codes), codes.max() + 1), dtype=np.float32)
    table[np.arange(len(codes)), codes] = 1.0
    return np.asarray(table)


def chance(items: pd.DataFrame, task: Task) -> float | None:
    """Return the main metric of a guess: AUC 0.5; accuracy over folds that of the larger of two classes."""
    genuine = float(items["truth"].mean())
    return {"auc": 0.5, "accuracy_10fold": 100.0 * max(genuine, 1.0 - genuine)}.get(task.main_metric)


def shown(items: pd.DataFrame, labels: pd.DataFrame, task: Task) -> list[Shown]:
    """Return the hardest pairs."""
    pairs = hardest_pairs(items)[["id", "id_a", "id_b"]].astype(str)
    return [Shown(PAIR, name, ((a,), (b,))) for name, a, b in pairs.itertuples(index=False)]
