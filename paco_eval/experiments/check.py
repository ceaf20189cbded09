"""Do rows of somebody else hold? What ``paco-eval rows check`` asks of rows before they stand beside others.

Nothing is measured again (that is :mod:`paco_eval.experiments.repro`): each row is held against its digests, its items,
the tasks of this version, and the rows that it wants to stand beside.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from paco_eval.analysis.significance import MetricOf, registered_metrics
from paco_eval.evaluation.protocols import Protocol
from paco_eval.rows.schema import Row
from paco_eval.rows.store import Stored, load_rows
from paco_fr.utils.errors import PacoError, in_a_line
from tasks.registry import named_tasks
from tasks.task import Task

RELATIVE = 1e-6
"""Largest relative difference between a main metric and what its items give: as when rows are merged."""

NEEDED = ("paco-fr", "torch", "python")
"""Packages whose version a row has to name."""

WHOLE = ("official", "synthetic")
"""Kinds of data that others can measure on, too."""


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
    those of this version, the data whole; and one name has to mean one encoder, one task one set of pictures.

    Args:
        paths: row files, folders searched through, archives.
        against: rows that are trusted: encoders and data of the same name have to be the same.
        metric_of: definitions; by default those of the registered tasks.

    """
    loaded, trusted = load_rows(paths), load_rows(against)
    metric_of = metric_of or registered_metrics()
    known = named_tasks()
    problems = [*loaded.problems, *trusted.problems]
    for stored in loaded.rows:
        try:
            said = [*_of_row(stored.row, known), *_of_files(stored, metric_of)]
        except PacoError as error:  # names its file
            problems.append(str(error))
            continue
        problems += [f"{stored.path}: {one}" for one in said]
    return Checked(len(loaded.rows), problems + _of_all(loaded.rows, trusted.rows))


def _of_row(row: Row, known: dict[str, Task]) -> Iterator[str]:
    if row.task not in known:
        yield f"task '{row.task}' is not known here."
    elif row.task_version != (now := known[row.task].version):
        yield f"of version {row.task_version} of {row.task}, which is at {now}. Evaluate it again."
    elif row.main_metric != (main := known[row.task].main_metric):
        yield f"its main metric is {row.main_metric}, that of {row.task} is {main}."
    if row.data_kind not in WHOLE:
        yield f"on {row.data_kind} data; others cannot measure on the same."
    try:
        if Protocol.parse(row.protocol).limit is not None:
            yield f"protocol '{row.protocol}' scores a part of the pictures."
    except PacoError:
        yield f"protocol '{row.protocol}' is not known here."
    if lacking := [name for name in NEEDED if not row.versions.get(name)]:
        yield f"does not say the version of {', '.join(lacking)}."
    if not row.command:
        yield "does not say the command that made it."


def _of_files(stored: Stored, metric_of: MetricOf) -> Iterator[str]:
    row = stored.row
    if stored.archive is None and stored.path.stem != row.key:
        yield f"holds the row {row.key}, not that of its name."
    for kind in row.beside:
        stored.beside(kind)
    items = stored.items()
    if stored.archive is None and row.n_items and len(items) != row.n_items:
        yield f"says {row.n_items} items and has {len(items)}."
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


def _of_all(rows: Sequence[Stored], trusted: Sequence[Stored]) -> list[str]:
    """Return the names that stand for two things; what is trusted is right."""
    encoders: dict[str, dict[str, str]] = defaultdict(dict)
    data: dict[str, dict[str, str]] = defaultdict(dict)
    for stored in (*trusted, *rows):
        row = stored.row
        encoders[row.encoder].setdefault(f"{row.stated_hash}, pixels {row.pixel_hash}", str(stored.path))
        part = "" if row.level is None else f" at level {row.level}"
        pictures = (
            f"{row.task} version {row.task_version}, {row.split} {row.subset}{part}, crop {row.crop_hash}"
        )
        data[pictures].setdefault(row.data_fingerprint, str(stored.path))
    found = []
    for what, names in (("encoder", encoders), ("data of", data)):
        for name, hashes in names.items():
            if len(hashes) > 1:
                (first, place), *others = hashes.items()
                found += [
                    f"{other}: {what} {name} is {found_hash} here and {first} in {place}."
                    for found_hash, other in others
                ]
    return found
