"""Which rows are shown: the tasks, encoders and baseline that a user names, and what lines of a table are called."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

from paco_eval.analysis.columns import line_label, line_order, methods_with_seeds
from paco_eval.analysis.names import called, encoder_titles, meant
from paco_eval.rows.schema import Row
from paco_eval.rows.store import Stored
from paco_fr.utils.errors import PacoError, unknown_name
from tasks.derived import NAMES

Columns = Literal["auto", "tasks", "families"]

CODEBOOK = "codebook"
"""Family of diagnostics, which only encoders with a codebook have."""


@dataclass(frozen=True)
class Asked:
    """What a user asks of the table.

    Attributes:
        tasks: names or globs, separated by commas; derived tasks only where a pattern begins with their factor or fits
            nothing else, diagnostics of codebooks likewise. By default all, these only where there is nothing else.
        encoders: likewise, by encoder, method or alias; by default all. The baseline is always shown, and of a method
            with several seeds one alone where its encoder is named.
        baseline: encoder, method, alias or shown name that the others are held against.
        names: what to call encoders, see :func:`paco_eval.analysis.names.encoder_titles`.
        own: encoders that one came with; by default the only one that neither ships nor learned nothing.
        columns: ``tasks``, ``families`` (mean ranks where a family has several tasks), or ``auto``: tasks where
            they are few.
        cost: whether what an encoder costs is shown.

    """

    tasks: str = ""
    encoders: str = ""
    baseline: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    own: tuple[str, ...] | None = None
    columns: Columns = "auto"
    cost: bool = True


def shown_of(rows: list[Stored], asked: Asked) -> list[Stored]:
    """Return the rows of the tasks and encoders that a user names, and of the baseline; all of them where none are named.

    Unlike in the one table, a pattern means derived tasks, too, wherever it fits their names.

    Raises:
        PacoError: a pattern that nothing answers to.

    """
    several = methods_with_seeds(rows)
    base = (
        baseline_of(asked.baseline, rows_of(rows, several), titles_of(rows, asked.names))
        if asked.baseline
        else ""
    )
    if asked.tasks:
        of_tasks(rows, asked.tasks)  # that each pattern means something
    found = [stored for stored in rows if not asked.tasks or is_named(stored.row.task, asked.tasks)]
    return of_encoders(found, asked.encoders, several, base)


def is_named(task: str, patterns: str) -> bool:
    """Say whether one of several patterns, separated by commas, is the name of a task or a glob that it fits."""
    return any(fnmatchcase(task, part) for part in _parts(patterns))


def of_tasks(rows: list[Stored], patterns: str) -> list[Stored]:
    """Return the rows of the tasks that are named, derived ones only where a pattern means them alone.

    Raises:
        PacoError: a pattern that nothing answers to.

    """
    wanted = _parts(patterns)
    if not wanted:
        plain = [stored for stored in rows if not is_apart(stored.row)]
        return plain or [stored for stored in rows if not _derived(stored.row)] or rows
    kept: dict[str, Stored] = {}
    for pattern in wanted:
        named = [stored for stored in rows if fnmatchcase(stored.row.task, pattern)]
        outright = pattern.partition("/")[0] in (*NAMES, CODEBOOK)
        hits = named if outright else [stored for stored in named if not is_apart(stored.row)] or named
        if not hits:
            raise unknown_name("measured task", pattern, {stored.row.task for stored in rows})
        kept |= {stored.row.key: stored for stored in hits}
    return list(kept.values())


def is_apart(row: Row) -> bool:
    """Say whether a task is meant only where a pattern begins with its family."""
    return _derived(row) or row.task.partition("/")[0] == CODEBOOK


def _derived(row: Row) -> bool:
    return row.task.partition("/")[0] in NAMES


def of_encoders(rows: list[Stored], patterns: str, several: set[str], base: str) -> list[Stored]:
    """Return the rows of the lines that are named, and of the baseline; of a line named by a seed's encoder, this alone."""
    lines, plain = lines_of(rows, several), rows_of(rows, several)
    wanted = _parts(patterns, called(plain))
    if not wanted:
        return rows
    whole, alone = {base}, set[str]()
    for pattern in wanted:
        labels = meant(plain, pattern)
        if not labels:
            raise unknown_name("measured encoder", pattern, called(plain))
        encoders = {row.encoder for label in labels for row in plain[label]}
        if pattern in encoders and len(encoders) > 1 and pattern not in labels:
            alone.add(pattern)
        else:
            whole |= set(labels)
    return [
        stored
        for label, found in lines.items()
        for stored in found
        if label in whole or stored.row.encoder in alone
    ]


def _parts(patterns: str, known: Collection[str] = ()) -> list[str]:
    """Return what stands between commas, but names that hold commas whole."""
    parts, found = patterns.split(","), list[str]()
    while parts:
        size = next((n for n in range(len(parts), 1, -1) if ",".join(parts[:n]).strip() in known), 1)
        found.append(",".join(parts[:size]).strip())
        parts = parts[size:]
    return [part for part in found if part]


def lines_of(rows: Iterable[Stored], several: set[str]) -> dict[str, list[Stored]]:
    """Return the rows of each line of a table, in the order of lines."""
    lines: dict[str, list[Stored]] = defaultdict(list)
    for stored in rows:
        lines[line_label(stored.row, several)].append(stored)
    return {label: lines[label] for label in sorted(lines, key=line_order)}


def rows_of(rows: Iterable[Stored], several: set[str]) -> dict[str, list[Row]]:
    """Return the same without their items."""
    return {label: [stored.row for stored in found] for label, found in lines_of(rows, several).items()}


def baseline_of(wanted: str, lines: Mapping[str, Sequence[Row]], titles: Mapping[str, str]) -> str:
    """Return the line that is meant."""
    labels = [label for label in lines if wanted in (label, titles[label])] or meant(lines, wanted)
    if not labels:
        raise unknown_name("baseline", wanted, called(lines) | {titles[label] for label in lines})
    if len(labels) > 1:
        raise PacoError(f"Baseline '{wanted}' means {len(labels)} encoders: {', '.join(labels)}. Name one.")
    return labels[0]


def titles_of(rows: Iterable[Stored], names: Mapping[str, str]) -> dict[str, str]:
    """Return what to call the line of every encoder among rows, see :func:`paco_eval.analysis.names.encoder_titles`."""
    rows = list(rows)
    return encoder_titles(rows_of(rows, methods_with_seeds(rows)), names)
