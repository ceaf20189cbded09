"""Tables as data: which encoder scored what, how sure it is, and what must be said beside it.

One table holds one family under one protocol. A column is one metric of one task at one version, subset
and level, so that numbers that were not measured alike never stand under one heading; miniatures
(``mimic``) have tables of their own and only where asked for. Renderers are in
:mod:`paco_eval.report.tables.formats`.
"""

from __future__ import annotations

import statistics as stdlib_statistics
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from paco_eval.analysis.columns import Column, columns_of, line_label, line_order, methods_with_seeds
from paco_eval.analysis.significance import MeanInterval, widest_ends
from paco_eval.rows.schema import MOST_FAILED, NOTES, Metric, Row, ways_of
from paco_eval.rows.store import Stored

Ahead = tuple[str, str, str]
"""Protocol, task and line of what is ahead of all others."""


@dataclass(frozen=True)
class Cell:
    """A number of one encoder.

    Attributes:
        value: the estimate; mean over pretraining seeds where there are several; None if undefined.
        low: lower end of the interval, the lowest of the seeds' where there are several.
        high: upper end, likewise.
        rows: the rows it comes from, one per seed; none for a published number.
        best: ahead of all others, as the one table says.
        flags: sentences that must stand beside the number.
        struck: so much failed that the number is shown struck through; a flag says why.
        printed: a published number as its source prints it.
        origin: where a published number was found, and how good that evidence is.

    """

    value: float | None
    low: float | None = None
    high: float | None = None
    rows: tuple[Stored, ...] = ()
    best: bool = False
    flags: tuple[str, ...] = ()
    struck: bool = False
    printed: str = ""
    origin: str = ""


@dataclass(frozen=True)
class Line:
    """An encoder, or a method with its pretraining seeds, across the columns of a table."""

    label: str
    note: str
    cells: tuple[Cell | None, ...]
    kind: Literal["measured", "published"] = "measured"


@dataclass(frozen=True)
class Table:
    """One family under one protocol; ``lines`` have a cell per column.

    ``compared`` marks differences and summaries, of which nobody leads and nothing is drawn.
    """

    family: str
    protocol: str
    mimic: bool
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    caption: str
    compared: bool = False

    @property
    def title(self) -> str:
        """Family and protocol, and a warning where the data are miniatures."""
        warning = ", MINIATURES" if self.mimic else ""
        return f"{self.family[:1].upper()}{self.family[1:]}, {self.protocol}{warning}"

    @property
    def notes(self) -> list[str]:
        """The flags of all cells, each once, in the order of their marks."""
        return list(
            dict.fromkeys(flag for line in self.lines for cell in line.cells if cell for flag in cell.flags)
        )

    def place(self, column: Column) -> str:
        """Return the place of a column, with the family in front where the table mixes families."""
        families = {column.task.rpartition("/")[0] for column in self.columns}
        front = f"{column.task.rpartition('/')[0]}/" if len(families) > 1 else ""
        return front + column.place

    def marks(self, cell: Cell) -> list[str]:
        """Return the footnote letters of a cell: a, b, ... z, aa, ..."""
        return [letters(self.notes.index(flag)) for flag in cell.flags]

    def main_only(self) -> Table:
        """Return the table with the main metric of each task only."""
        return self.with_columns([i for i, column in enumerate(self.columns) if column.main])

    def parts(self, most: int = 10) -> list[Table]:
        """Return the table cut into tables of at most so many columns, for pages of limited width."""
        starts = range(0, len(self.columns), most)
        return [self.with_columns(range(start, min(start + most, len(self.columns)))) for start in starts]

    def with_columns(self, keep: Sequence[int]) -> Table:
        """Return the table with these columns in this order, without lines that become empty."""
        lines = [replace(line, cells=tuple(line.cells[i] for i in keep)) for line in self.lines]
        kept = tuple(line for line in lines if any(line.cells))
        return replace(self, columns=tuple(self.columns[i] for i in keep), lines=kept)


FAMILIES = ("recognition", "pose", "landmarks", "expression", "parsing", "attributes")


def letters(index: int) -> str:
    """Return what marks a footnote: a, b, ... z, aa, ..."""
    head, last = divmod(index, 26)
    return (letters(head - 1) if head else "") + "abcdefghijklmnopqrstuvwxyz"[last]


def family_tables(
    rows: Iterable[Stored],
    *,
    intervals: MeanInterval = widest_ends,
    ahead: Collection[Ahead] = (),
    include_mimic: bool = False,
    heading: str = "",
    several: set[str] | None = None,
) -> list[Table]:
    """Return the tables of all families and protocols among ``rows``: first the benchmarks, diagnostics last.

    Args:
        rows: as :func:`paco_eval.rows.store.load_rows` returns them.
        intervals: of means over seeds, see :mod:`paco_eval.analysis.significance`.
        ahead: what is printed bold, see :func:`paco_eval.report.leaderboard.layout.ahead_of`.
        include_mimic: whether rows of miniatures get tables too; else they are left out.
        heading: puts all rows into one table of this name instead of one per family.
        several: methods of which a line is the mean over seeds; by default those that have several among ``rows``.

    """
    rows = list(rows)
    several = methods_with_seeds(rows) if several is None else several
    groups: dict[tuple[str, str, bool], list[Stored]] = defaultdict(list)
    for stored in rows:
        mimic = stored.row.data_kind == "mimic"
        if include_mimic or not mimic:
            groups[heading or stored.row.family, stored.row.protocol, mimic].append(stored)
    return [_table(*key, groups[key], several, intervals, ahead) for key in sorted(groups, key=place_of)]


def place_of(key: tuple[str, str, bool]) -> tuple[int, tuple[str, str, bool]]:
    """Return where a table stands: families as papers order them, others after them by name, diagnostics last."""
    family = key[0]
    if family in FAMILIES:
        return FAMILIES.index(family), key
    return len(FAMILIES) + (family.rpartition("/")[2] == "codebook"), key


def _table(
    family: str,
    protocol: str,
    mimic: bool,
    rows: list[Stored],
    several: set[str],
    intervals: MeanInterval,
    ahead: Collection[Ahead],
) -> Table:
    columns = sorted({column for stored in rows for column in columns_of(stored.row)})
    cells: dict[tuple[str, Column], list[Stored]] = defaultdict(list)
    seeds: dict[str, set[int | None]] = defaultdict(set)
    beneath: dict[Column, list[Row]] = defaultdict(list)
    for stored in rows:
        label = line_label(stored.row, several)
        seeds[label].add(stored.row.pretrain_seed)
        for column in columns_of(stored.row):
            cells[label, column].append(stored)
            beneath[column].append(stored.row)
    usual = {column: usual_of(found) for column, found in beneath.items()}
    labels = sorted(seeds, key=line_order)
    grid = [
        [
            _cell(column, cells[label, column], usual[column], intervals)
            if (label, column) in cells
            else None
            for column in columns
        ]
        for label in labels
    ]
    shared = [_lift_shared_flags(grid, position, column) for position, column in enumerate(columns)]
    for position, column in enumerate(columns):
        if column.main and column.level < 0 and column.subset == "all":
            _mark(grid, position, [(protocol, column.task, label) in ahead for label in labels])
    lines = tuple(
        Line(label, _seed_note(seeds[label]), tuple(row)) for label, row in zip(labels, grid, strict=True)
    )
    return Table(family, protocol, mimic, tuple(columns), lines, _caption(protocol, rows, shared))


Usual = tuple[frozenset[str], str, int]
"""Hashes of crops, of data, and a count."""


def usual_of(rows: Sequence[Row]) -> Usual:
    """Return the crops, data and count that most rows of a column share; the same crop on several canvases is one."""
    ways = ways_of(rows)
    known = Counter((ways[row.crop_hash], row.data_fingerprint, row.n_expected) for row in rows)
    (cut, data, expected), _ = known.most_common(1)[0]
    return frozenset(crop for crop, way in ways.items() if way == cut), data, expected


def _cell(column: Column, rows: list[Stored], usual: Usual, intervals: MeanInterval) -> Cell:
    metrics = [stored.row.metrics[column.metric] for stored in rows]
    # A hundred cells of a sweep are shown as curves alone.
    low, high = (widest_ends if column.level > 0 else intervals)(column.metric, rows)
    flags = dict.fromkeys(flag for stored in rows for flag in flags_of(stored.row, usual))
    if len({stored.row.pretrain_seed for stored in rows}) < len(rows):
        flags["mean over several rows of one pretraining seed"] = None
    flags |= dict.fromkeys(metric.warning for metric in metrics if metric.warning)
    void = any(stored.row.void for stored in rows)
    value = seed_mean(metrics)
    return Cell(value, low, high, tuple(rows), flags=tuple(flags), struck=void and value is not None)


def seed_mean(metrics: Sequence[Metric]) -> float | None:
    """Return the mean of one metric over pretraining seeds; undefined if it is in any of them."""
    values = [metric.value for metric in metrics if metric.value is not None]
    return stdlib_statistics.fmean(values) if len(values) == len(metrics) else None


def flags_of(row: Row, usual: Usual) -> list[str]:
    """Return what must stand beside the numbers of a row, given what most rows of its column share."""
    crops, data, expected = usual
    flags = []
    if row.crop_hash not in crops:
        flags.append("another face crop than the rest of the column")
    if row.data_fingerprint != data:
        flags.append("other images than the rest of the column")
    elif row.n_expected != expected:
        flags.append(f"{row.n_expected} items, the rest of the column {expected}")
    flags += [f"its {row.chosen[note]}" for note in NOTES if note in row.chosen]
    if row.failures:
        struck = f"struck through, as more than {100 * MOST_FAILED:g} % failed: " if row.void else ""
        flags.append(f"{struck}{row.failures} and count as the worst outcome for their labels")
    if row.data_kind == "partial":
        flags.append(f"a part of the official set, {row.chosen.get('missing', 'counts unknown')}")
    return flags


def _lift_shared_flags(grid: list[list[Cell | None]], position: int, column: Column) -> str:
    """Take flags that all cells of a column have off the cells and return them as a sentence."""
    cells = [cell for row in grid if (cell := row[position])]
    shared = set.intersection(*(set() if cell.struck else set(cell.flags) for cell in cells))
    for row in grid:
        if cell := row[position]:
            row[position] = replace(cell, flags=tuple(flag for flag in cell.flags if flag not in shared))
    place = replace(column, level=-1).place  # said once for all levels that share it
    return f"{place}: {', '.join(sorted(shared))}" if shared else ""


def _seed_note(seeds: set[int | None]) -> str:
    trained = seeds - {None}
    if not trained:
        return ""
    return "1 seed, observed" if len(trained) == 1 else f"mean of {len(trained)} seeds"


def _mark(grid: list[list[Cell | None]], position: int, ahead: Sequence[bool]) -> None:
    for row, is_ahead in zip(grid, ahead, strict=True):
        if (cell := row[position]) and is_ahead and not cell.struck:
            row[position] = replace(cell, best=True)


def _caption(protocol: str, rows: Sequence[Stored], shared: Iterable[str]) -> str:
    counts: dict[str, set[int]] = defaultdict(set)
    for stored in rows:
        row = stored.row
        known = (row.n_items, row.item) if row.n_items else (row.n_expected, "picture")
        counts[f"{row.task.rpartition('/')[2]} {known[1]}s"].add(known[0])
    scored = "; ".join(f"{name} n = {_span(found)}" for name, found in sorted(counts.items()))
    ways: dict[str, dict[str, None]] = defaultdict(dict)
    for stored in sorted(rows, key=lambda stored: stored.row.task):
        way = stored.row.chosen.get("way")
        if way:
            ways[str(way)][stored.row.task.rpartition("/")[2]] = None
    measured = [f"{', '.join(names)}: {way}" for way, names in ways.items()]
    intervals = [stored.row.interval for stored in rows if stored.row.interval]
    kinds = sorted({(i.method, i.unit, i.confidence, i.replicates) for i in intervals})
    made = "; ".join(f"{100 * c:g} %, {m} over {u}, {r} replicates" for m, u, c, r in kinds)
    sentences = [
        f"Protocol: {protocol}. Scored: {scored}.",
        *(f"{sentence}." for sentence in dict.fromkeys(shared) if sentence),
        *(f"{sentence}." for sentence in measured),
        f"Intervals: {made or 'none'}.",
        "Bold: ahead of all others in the main metric of a task. Several seeds: mean.",
    ]
    return " ".join(sentences)


def _span(found: set[int]) -> str:
    return f"{min(found)}" if len(found) == 1 else f"{min(found)}–{max(found)}"
