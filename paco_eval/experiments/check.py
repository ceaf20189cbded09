"""Do rows of somebody else hold? What ``paco-eval rows check`` asks of rows before they stand beside others.

Nothing is measured again (that is :mod:`paco_eval.experiments.repro`): each row is held against its digests, its items,
the tasks of this version, and the rows that it wants to stand beside.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from packaging.version import InvalidVersion, Version

from paco_eval.analysis.significance import MetricOf, registered_metrics
from paco_eval.evaluation.protocols import Protocol
from paco_eval.evaluation.record import plain_options
from paco_eval.rows.schema import Row
from paco_eval.rows.store import Stored, load_rows
from paco_fr import __version__
from paco_fr.utils.errors import PacoError, in_a_line
from tasks.metrics.metric import group_codes
from tasks.registry import named_tasks
from tasks.task import Task

RELATIVE = 1e-6
"""Largest relative difference between a main metric and what its items give: as when rows are merged."""

NEEDED = ("paco-fr", "torch", "python")
"""Packages whose version a row has to name."""

WHOLE = ("official", "synthetic")
"""Kinds of data that others can measure on, too."""

COMMIT = re.compile(r"unknown|[0-9a-f]{7,40}(\+changes)?")
"""How a row names the source that made it."""


@dataclass(frozen=True)
class Checked:
    """What came of it.

    Attributes:
        rows: how many were read.
        problems: a sentence for each thing that does not hold, its place first.

    """

    rows: int
    problems: list[str]


def check_rows(
    paths: Sequence[str | Path], against: Iterable[str | Path] = (), metric_of: MetricOf | None = None
) -> Checked:
    """Return what does not hold of the rows under ``paths``.

    Digests of rows, hashes of items and of what else lies beside them are verified as they are read; keys have to fit
    the identifying fields; every main metric has to come out of its items again; task, task version and protocol have to be
    those of this version, the data whole; and one name has to mean one encoder, one task one set of pictures and one list
    of items. Intervals are not drawn again.

    Args:
        paths: row files, folders searched through, archives.
        against: rows that are trusted: encoders and data of the same name have to be the same.
        metric_of: definitions; by default those of the registered tasks.

    """
    loaded, trusted = load_rows(paths), load_rows(against)
    metric_of = metric_of or registered_metrics()
    known = named_tasks()
    problems = [*loaded.problems, *trusted.problems]
    lists: dict[str, str] = {}
    for stored in loaded.rows:
        row = stored.row
        try:
            said = [*_of_row(row, known), *_of_files(stored)]
            items = stored.items()
        except PacoError as error:  # names its file
            problems.append(str(error))
            continue
        lists[row.key] = _ids(items)
        said += [*_of_items(row, items), *_of_metric(row, items, metric_of)]
        problems += [f"{stored.path}: {one}" for one in said]
    problems += _of_all(loaded.rows, trusted.rows, lists)
    return Checked(len(loaded.rows), list(dict.fromkeys(problems)))  # a file of an archive is of many rows


def _of_row(row: Row, known: dict[str, Task]) -> Iterator[str]:
    if row.task not in known:
        yield f"task '{row.task}' is not known here."
    else:
        yield from _of_task(row, known[row.task])
    if row.data_kind not in WHOLE:
        yield f"on {row.data_kind} data; others cannot measure on the same."
    try:
        if Protocol.parse(row.protocol).limit is not None:
            yield f"protocol '{row.protocol}' scores a part of the pictures."
    except PacoError:
        yield f"protocol '{row.protocol}' is not known here."
    if lacking := [name for name in NEEDED if _version(row.versions.get(name, "")) is None]:
        yield f"does not say the version of {', '.join(lacking)}."
    elif (own := _version(row.versions["paco-fr"])) is not None and own > Version(__version__):
        yield f"made by version {own}, newer than this one ({__version__}). Upgrade."
    if not COMMIT.fullmatch(row.commit):
        yield f"'{row.commit}' is no commit."
    if not row.command:
        yield "does not say the command that made it."


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


def _of_task(row: Row, task: Task) -> Iterator[str]:
    if row.task_version != task.version:
        yield f"of version {row.task_version} of {row.task}, which is at {task.version}. Evaluate it again."
        return
    if row.main_metric != task.main_metric:
        yield f"its main metric is {row.main_metric}, that of {row.task} is {task.main_metric}."
    if row.split != "test":
        yield f"scores the split '{row.split}', not test."
    parts = ("all", *task.subsets) if task.sweep is None else ("clean", *task.sweep.kinds)
    if row.subset not in parts:
        yield f"{row.task} has no part '{row.subset}', only {', '.join(parts)}."
    if row.data_kind in WHOLE and row.data_kind != task.data_kind:
        yield f"says {row.data_kind} data, those of {row.task} are {task.data_kind}."
    official = task.options.get("expected", {}).get("test")
    if row.subset == "all" and official not in (None, row.n_expected):
        yield f"of {row.n_expected} test pictures; {row.task} has {official}."
    options = plain_options(task)
    told = row.definition.options if row.definition is not None else {}
    if row.definition is not None and row.definition.kind != task.kind:
        yield f"computed as {row.definition.kind}, {row.task} is {task.kind}."
    for name in sorted(told):
        if name not in options or options[name] != told[name]:
            yield f"computed with {name} {told[name]!r}, {row.task} has {options.get(name)!r}."


def _of_items(row: Row, items: pd.DataFrame) -> Iterator[str]:
    """Yield what the counts of a row do not have in common with its items."""
    if "id" in items and (twice := items["id"][items["id"].duplicated()]).size:
        yield f"has item {twice.iloc[0]} more than once."
    if row.n_items and len(items) != row.n_items:
        yield f"says {row.n_items} items and has {len(items)}."
    if row.item == "picture" and len(items) != row.n_expected:
        yield f"says {row.n_expected} pictures and has items of {len(items)}."
    if row.interval is not None and row.interval.n_units != (groups := len(group_codes(items)[1])):
        yield f"says {row.interval.n_units} resampled groups and has {groups}."


def _of_files(stored: Stored) -> Iterator[str]:
    if stored.archive is None and stored.path.stem != stored.row.key:
        yield f"holds the row {stored.row.key}, not that of its name."
    for kind in stored.row.beside:
        stored.beside(kind)


def _of_metric(row: Row, items: pd.DataFrame, metric_of: MetricOf) -> Iterator[str]:
    metric = metric_of(row, row.main_metric)
    if metric is None:
        yield f"{row.main_metric} of {row.task} cannot be computed again here."
        return
    try:
        found = float(metric.value(items))
    except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
        yield f"{row.main_metric} does not come out of its items: {in_a_line(error)}."
        return
    said = row.main.value
    undefined = math.isnan(found)
    if (said is None) != undefined or (
        said is not None and not math.isclose(said, found, rel_tol=RELATIVE, abs_tol=RELATIVE)
    ):
        yield f"says {row.main_metric} {said}, its items give {found:.8g}."


def _of_all(rows: Sequence[Stored], trusted: Sequence[Stored], lists: Mapping[str, str]) -> list[str]:
    """Return the names that stand for two things; what is trusted is right.

    Args:
        rows: those that are asked about.
        trusted: those that they want to stand beside.
        lists: which items the former have, by key; without those whose items cannot be read.

    """
    encoders: dict[str, dict[str, str]] = defaultdict(dict)
    data: dict[str, dict[str, str]] = defaultdict(dict)
    items: dict[str, dict[str, str]] = defaultdict(dict)
    for stored in (*trusted, *rows):
        row, place = stored.row, str(stored.path)
        encoders[row.encoder].setdefault(f"{row.stated_hash}, pixels {row.pixel_hash}", place)
        data[_scored(row)].setdefault(row.data_fingerprint, place)
    found = []
    wanted = {_scored(stored.row) for stored in rows}
    for stored in trusted:
        if (scored := _scored(stored.row)) in wanted and not items[scored]:  # all of one have the same
            try:
                items[scored][_ids(stored.items())] = str(stored.path)
            except PacoError as error:
                found.append(str(error))
    for stored in rows:
        if stored.row.key in lists:
            items[_scored(stored.row)].setdefault(lists[stored.row.key], str(stored.path))
    for what, names in (("encoder", encoders), ("data of", data), ("items of", items)):
        for name, hashes in names.items():
            if len(hashes) > 1:
                (first, place), *others = hashes.items()
                found += [
                    f"{other}: {what} {name} is {found_hash} here and {first} in {place}."
                    for found_hash, other in others
                ]
    return found


def _scored(row: Row) -> str:
    """Return what a row scores, in words: all rows of it are of the same pictures."""
    part = "" if row.level is None else f" at level {row.level}"
    return f"{row.task} version {row.task_version}, {row.split} {row.subset}{part}, crop {row.crop_hash}"


def _ids(items: pd.DataFrame) -> str:
    """Return a hash of which items there are, in any order."""
    names = sorted(items["id"].astype(str)) if "id" in items else []
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
