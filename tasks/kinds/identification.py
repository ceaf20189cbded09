"""Identification: whom of a gallery does a probe show? Scored by cosines, the gallery searched whole.

``task.options`` says who stands where, in one of two ways:

``gallery_media``
    a list of values of the column ``media``; pictures that have one are the gallery, all others are probes.
    ``unenrolled`` (default 0) leaves out the gallery pictures of every person whose sha256 falls into that
    share (``0.25``: about a quarter), so that their probes are searches for people who are not there.
``search_list``
    templates (:class:`tasks.lists.SearchList`): gallery and probe templates are pooled as in IJB-B and
    IJB-C, see :func:`tasks.kinds.shared.embeddings.pooled`. Several galleries are searched as one for the mate,
    as the field does; a search of a gallery that lacks the subject is a non-mated one.

A gallery subject scores by the best of its entries. A probe and an entry of which one has no finite output are a pair
that is scored by :mod:`tasks.metrics.failures`: never alike if they show one person, else above all others. So a lost
probe finds nobody and raises every alarm; a lost entry is never found by its person and stands first in all other
searches. Rules for rank and threshold: :mod:`tasks.metrics.identification`.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from paco_fr.utils.errors import PacoError
from paco_fr.utils.types import Array
from tasks.kinds import HeadName
from tasks.kinds.shared.embeddings import (
    as_embeddings,
    pooled,
    template_columns,
    template_pictures,
    without_rounding,
)
from tasks.kinds.shared.labels import NO_OUTPUT, subset_flags
from tasks.kinds.shared.shown import PAIR, PAIRS, PICTURES, Shown
from tasks.kinds.verification import targets
from tasks.lists import SearchList, positions
from tasks.metrics.failures import pair_scores
from tasks.metrics.identification import FPIRS, METRICS, POOLED_SHARE, tpir_nonmated
from tasks.metrics.metric import Metric
from tasks.task import Task

__all__ = ["HEAD", "items", "metrics", "perfect", "shown", "targets"]

HEAD: HeadName = "whitening"

LOST_ENTRY = "an entry of the gallery has no finite output"
"""Failure reason of a search in which such an entry stands above all others."""
SEARCHES = 512
"""Probes compared with the whole gallery at once."""


class Sides(NamedTuple):
    """Who is searched for where. Entries and probes are rows of embeddings."""

    entries: npt.NDArray[np.intp]
    subject: npt.NDArray[np.int64]  # of each entry
    gallery: npt.NDArray[np.int64]  # number of its gallery
    probes: npt.NDArray[np.intp]
    wanted: npt.NDArray[np.int64]  # subject of each probe
    probe_ids: npt.NDArray[np.object_]
    names: npt.NDArray[np.object_]  # of the subjects


def items(outputs: npt.ArrayLike, labels: pd.DataFrame, task: Task) -> pd.DataFrame:
    """Return a line per search, see :mod:`tasks.metrics.identification`, with truth, prediction and subset flags."""
    if "search_list" in task.options:
        found = pooled(np.asarray(outputs), *template_columns(labels), dtype=np.dtype(np.float64))
        sides = _listed(found.numbers, task)
        return _search(found.units, ~found.lost, sides)
    sides = _by_media(labels, task)
    flags = subset_flags(labels.iloc[sides.probes])
    return _search(*as_embeddings(outputs), sides).assign(**flags)


def _by_media(labels: pd.DataFrame, task: Task) -> Sides:
    if "media" not in labels:
        raise PacoError("The labels have no column 'media', which tells gallery and probes apart.")
    identity = labels["identity" if "identity" in labels else "group"].to_numpy(dtype=str)
    names, person = np.unique(identity, return_inverse=True)
    gallery = labels["media"].isin([str(value) for value in task.options["gallery_media"]]).to_numpy()
    left_out = np.array([_share(name) < float(task.options.get("unenrolled", 0.0)) for name in names])
    entries = np.flatnonzero(gallery & ~left_out[person])
    probes = np.flatnonzero(~gallery)
    if not len(entries) or not len(probes):
        raise PacoError(
            f"{task.name}: {len(entries)} gallery pictures and {len(probes)} probes; neither may be 0."
        )
    ids = labels["unit_id"].to_numpy(dtype=object)[probes]
    zeros = np.zeros(len(entries), dtype=np.int64)
    return Sides(entries, person[entries], zeros, probes, person[probes], ids, names.astype(object))


def _share(name: str) -> float:
    """Return a number in [0, 1) that depends on the name alone."""
    return int.from_bytes(hashlib.sha256(f"unenrolled {name}".encode()).digest()[:6], "big") / 2.0**48


def _listed(numbers: npt.NDArray[np.int64], task: Task) -> Sides:
    listed = task.options["search_list"]
    if not isinstance(listed, SearchList):
        raise PacoError(f"{task.name}: its search list was not read. Bind the task to a data root first.")
    names, subject = np.unique(
        np.concatenate([listed.gallery_subject, listed.probe_subject]), return_inverse=True
    )
    return Sides(
        positions(numbers, listed.gallery, listed.source),
        subject[: len(listed.gallery)],
        listed.gallery_set,
        positions(numbers, listed.probe, listed.source),
        subject[len(listed.gallery) :],
        listed.probe.astype(str).astype(object),
        names.astype(str).astype(object),
    )


def _search(unit: npt.NDArray[np.floating], finite: npt.NDArray[np.bool_], sides: Sides) -> pd.DataFrame:
    """Compare every probe with every gallery subject, some probes at a time."""
    order = np.lexsort((sides.gallery, sides.subject))
    entries, subject, gallery = sides.entries[order], sides.subject[order], sides.gallery[order]
    people, starts = np.unique(subject, return_index=True)
    enrolled = np.isin(sides.wanted, people)
    keep = int(np.ceil(POOLED_SHARE * len(sides.probes))) + 10
    column = np.searchsorted(people, np.where(enrolled, sides.wanted, people[0]))
    galleries = [np.flatnonzero(gallery == number) for number in np.unique(gallery)]
    parts: dict[str, list[Array]] = {name: [] for name in ("mate", "above", "equal", "nonmated", "best")}
    pooled_score, pooled_probe = np.empty(0), np.empty(0, dtype=np.intp)
    for at in range(0, len(sides.probes), SEARCHES):
        probes, wanted = sides.probes[at : at + SEARCHES], sides.wanted[at : at + SEARCHES]
        raw = without_rounding(unit[probes] @ unit[entries].T)
        raw[~(finite[probes, None] & finite[entries])] = np.nan
        raw = pair_scores(raw, subject == wanted[:, None])
        table = np.maximum.reduceat(raw, starts, axis=1)
        here, own = enrolled[at : at + SEARCHES], column[at : at + SEARCHES]
        mate = np.where(here, table[np.arange(len(probes)), own], np.nan)
        parts["best"].append(people[table.argmax(axis=1)])
        others = table.copy()
        others[np.flatnonzero(here), own[here]] = np.nan
        parts["mate"].append(mate)
        parts["above"].append((others > mate[:, None]).sum(axis=1))
        parts["equal"].append((others == mate[:, None]).sum(axis=1))
        parts["nonmated"].append(_nonmated(raw, galleries, subject, wanted))
        flat = np.where(np.isnan(others), -np.inf, others).ravel()
        owner = np.repeat(np.arange(at, at + len(probes)), len(people))
        pooled_score, pooled_probe = _highest(
            np.concatenate([pooled_score, flat]), np.concatenate([pooled_probe, owner]), keep
        )
    columns = {name: np.concatenate(values) for name, values in parts.items()}
    own_lost = ~finite[sides.probes] | (columns["mate"] == -np.inf)
    missing = np.unique(
        subject[~finite[entries]]
    )  # of entries of others: whoever it is, they stand above the mate
    overtaken = len(missing) > np.isin(sides.wanted, missing)
    lists = _lists(pooled_score, pooled_probe, len(sides.probes))
    return pd.DataFrame(
        {
            "id": sides.probe_ids,
            "group": sides.names[sides.wanted],
            "truth": sides.names[sides.wanted],
            "prediction": np.where(finite[sides.probes], sides.names[columns["best"].astype(np.intp)], ""),
            "mated": enrolled,
            "enrolled": len(people),
            "mate_score": np.where(own_lost, np.nan, columns["mate"]),
            "above": np.where(own_lost, len(people), columns["above"]).astype(np.int64),
            "equal": np.where(own_lost, 0, columns["equal"]).astype(np.int64),
            "nonmated_score": columns["nonmated"],
            "impostor_scores": lists,
            "failure": np.select([own_lost, overtaken], [NO_OUTPUT, LOST_ENTRY], ""),
        }
    )


def _nonmated(
    raw: Array,
    galleries: list[npt.NDArray[np.intp]],
    subject: npt.NDArray[np.int64],
    wanted: npt.NDArray[np.int64],
) -> Array:
    """Return (q,) best scores over the galleries that lack the subject; NaN where each has it."""
    best = np.full(len(wanted), np.nan)
    for members in galleries:
        lacking = ~np.isin(wanted, subject[members])
        best[lacking] = np.fmax(best[lacking], raw[np.ix_(lacking, members)].max(axis=1))
    return best


def _highest(scores: Array, owners: npt.NDArray[np.intp], keep: int) -> tuple[Array, npt.NDArray[np.intp]]:
    """Return the ``keep`` highest scores and whose they are, without those of -inf."""
    scores, owners = scores[scores > -np.inf], owners[scores > -np.inf]
    if len(scores) > keep:
        top = np.argpartition(scores, len(scores) - keep)[len(scores) - keep :]
        scores, owners = scores[top], owners[top]
    return scores, owners


def _lists(scores: Array, owners: npt.NDArray[np.intp], searches: int) -> list[list[float]]:
    order = np.lexsort((-scores, owners))
    edges = np.searchsorted(owners[order], np.arange(searches + 1))
    return [scores[order[edges[n] : edges[n + 1]]].tolist() for n in range(searches)]


def metrics(task: Task) -> tuple[Metric, ...]:
    """Return rank 1 (main) and 5, TPIR at FPIR 0.1 and 0.01, and TPIR over non-mated searches, if any."""
    open_set = "search_list" in task.options or float(task.options.get("unenrolled", 0.0)) > 0
    extra = [metric for fpir in FPIRS for metric in tpir_nonmated(fpir)] if open_set else []
    return (*METRICS, *extra)


def perfect(labels: pd.DataFrame, task: Task) -> Array:
    """Return embeddings that are equal for one person and orthogonal for two."""
    if "search_list" not in task.options:
        codes = targets(labels, task)
    else:
        listed: SearchList = task.options["search_list"]
        template = template_columns(labels)[0]
        subject = dict(zip(listed.gallery.tolist(), listed.gallery_subject.tolist(), strict=True))
        subject |= dict(zip(listed.probe.tolist(), listed.probe_subject.tolist(), strict=True))
        codes = np.unique([subject.get(number, -1) for number in template.tolist()], return_inverse=True)[1]
    return np.eye(codes.max() + 1)[codes]


def chance(items: pd.DataFrame, task: Task) -> float | None:
    """Return the rank 1 of a guess: one in as many people as the gallery holds."""
    if task.main_metric != "rank1":
        return None
    return 100.0 / items["enrolled"].iloc[0] if items["mated"].any() else None


def shown(items: pd.DataFrame, labels: pd.DataFrame, task: Task) -> list[Shown]:
    """Return the searches, one a person, that put most others above the mate: probe, best match, and the mate."""
    known = items[(items["failure"] == "") & items["mated"].astype(bool)]
    known = known.sort_values(["above", "mate_score"], ascending=[False, True], kind="stable")
    known = known.drop_duplicates("truth").head(2 * PAIRS)
    searched, enrolled = _pictures(labels, task)
    found = []
    for name, taken, mate in known[["id", "prediction", "truth"]].astype(str).itertuples(index=False):
        people = (taken, mate) if taken != mate else (mate,)
        found.append(Shown(PAIR, name, (searched[name], *(enrolled[person] for person in people))))
    return found


def _pictures(
    labels: pd.DataFrame, task: Task
) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    """Return the units of every probe by its id, and those of every person of the gallery by name."""
    enrolled: dict[str, tuple[str, ...]] = {}
    if "search_list" in task.options:
        listed, of_template = task.options["search_list"], template_pictures(labels)
        for number, subject in zip(listed.gallery.tolist(), listed.gallery_subject.tolist(), strict=True):
            enrolled[str(subject)] = (*enrolled.get(str(subject), ()), *of_template.get(str(number), ()))
        searched = {str(number): of_template[str(number)] for number in listed.probe.tolist()}
    else:
        units, who = (
            labels[name].to_numpy(dtype=str)
            for name in ("unit_id", "identity" if "identity" in labels else "group")
        )
        gallery = labels["media"].isin([str(value) for value in task.options["gallery_media"]]).to_numpy()
        for unit, person in zip(units[gallery], who[gallery], strict=True):
            enrolled[person] = (*enrolled.get(person, ()), unit)
        searched = {unit: (unit,) for unit in units[~gallery].tolist()}
    return searched, {person: found[:PICTURES] for person, found in enrolled.items()}
