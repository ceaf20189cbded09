"""The one table: encoders in rows by mean rank, tasks or families in columns, one number with its interval each.

It stands wherever results are shown: at the end of ``evaluate``, first on the page, in ``report --format``, in papers.
What it holds is decided here; how it looks in :mod:`paco_eval.report.tables.writers`.
"""

from __future__ import annotations

import math
import statistics as stdlib_statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Literal

import numpy as np
import pandas as pd

from paco_eval.analysis.bootstrap import Interval
from paco_eval.analysis.columns import Column, column_of, line_label, line_order, methods_with_seeds
from paco_eval.analysis.names import called, encoder_titles, meant, metric_title
from paco_eval.analysis.robustness import CONSTANT, Sweep, drawn_drops, sweeps
from paco_eval.analysis.significance import MetricOf
from paco_eval.analysis.standing import Claim, Lead, Scored, Side, claims, lead
from paco_eval.analysis.statistics import Drawn, drawn_together, mean_rank
from paco_eval.report.tables.table import Table, flags_of, place_of, usual_of
from paco_eval.rows.schema import Row
from paco_eval.rows.store import Stored
from paco_fr.utils.errors import PacoError, unknown_name
from tasks.derived import NAMES

Columns = Literal["auto", "tasks", "families"]

MOST_TASKS = 6
"""Columns of tasks that ``auto`` shows; where there are more it shows families."""

CODEBOOK = "codebook"
"""Family of diagnostics, which only encoders with a codebook have."""

LOST = {True: "drop of ", False: "rise of "}
"""What a derived task shows, by the direction of its metric: how much worse than clean, mean over kinds and levels."""

REFERENCES = ("constant", "pixels")
"""Encoders that nobody comes with."""


@dataclass(frozen=True)
class Head:
    """A column.

    Attributes:
        key: name of the task, or of the family.
        title: as it is headed.
        metric: in words, with its unit.
        higher_is_better: direction.
        unit: of the metric: ``%``, ``deg``, ``rank`` or empty.
        decimals: digits after the point.
        tasks: names of the tasks behind it.
        ranked: whether every encoder has it, so that it counts for the mean rank.

    """

    key: str
    title: str
    metric: str
    higher_is_better: bool
    unit: str
    decimals: int
    tasks: tuple[str, ...]
    ranked: bool

    @property
    def arrow(self) -> str:
        """Where better is."""
        return "↑" if self.higher_is_better else "↓"

    def number(self, value: float | None, *, signed: bool = False) -> str:
        """Return a value with its digits and a true minus sign; a dash for what is undefined."""
        if value is None or math.isnan(value):
            return "–"
        return f"{value:{'+' if signed else ''}.{self.decimals}f}".replace("-", "−")


@dataclass(frozen=True)
class Score:
    """A number of one encoder.

    Attributes:
        value: mean over pretraining seeds; None if undefined.
        low: lower end of its interval, None if there is none.
        high: upper end.
        rank: among the encoders of the column, 1 is best; None where it is not comparable.
        delta: less the baseline, with the interval of the paired difference; None without one.
        behind: how much worse than the best, positive is worse, with the interval of the paired difference; None of the
            best itself and where it is not comparable.
        ahead: of all others, which the claim of the column says; nothing else is bold.
        notes: sentences that must stand beside the number.
        struck: so much failed that the number says little.
        rows: it comes from, one for each seed; of a derived task those on clean pictures.

    """

    value: float | None
    low: float | None = None
    high: float | None = None
    rank: float | None = None
    delta: Interval | None = None
    behind: Interval | None = None
    ahead: bool = False
    notes: tuple[str, ...] = ()
    struck: bool = False
    rows: tuple[Stored, ...] = ()

    @property
    def beyond(self) -> bool:
        """Whether the interval of the difference from the baseline leaves zero out."""
        return self.delta is not None and (self.delta.low > 0 or self.delta.high < 0)


@dataclass(frozen=True)
class Entry:
    """An encoder, or a method with its pretraining seeds.

    Attributes:
        label: its line in tables.
        name: as it is shown.
        encoder: as it was called, several with commas: for details.
        method: of its rows.
        rank: mean over the ranked columns; None where none is.
        scores: one a column, None where it was not measured.
        parameters: number of them, None where no row says.
        gflop: billions of operations a picture.
        images_per_s: pictures a second, where it was measured.
        own: the encoder one came with.
        baseline: that the others are held against.
        seeds: pretraining seeds; 0 where none is known.

    """

    label: str
    name: str
    encoder: str
    method: str
    rank: float | None
    scores: tuple[Score | None, ...]
    parameters: float | None = None
    gflop: float | None = None
    images_per_s: float | None = None
    own: bool = False
    baseline: bool = False
    seeds: int = 0


@dataclass(frozen=True)
class Leaderboard:
    """All encoders under one protocol.

    Attributes:
        protocol: of all rows.
        mimic: whether the data are miniatures.
        heads: the columns.
        entries: the encoders by mean rank, best first.
        claims: what may be said, one a task.
        definitions: sentences that say what the numbers are.
        part: what all tasks begin with where these have a table of their own: the factor of derived ones, the family of
            diagnostics. Empty of all others.

    """

    protocol: str
    mimic: bool
    heads: tuple[Head, ...]
    entries: tuple[Entry, ...]
    claims: tuple[Claim, ...]
    definitions: tuple[str, ...]
    part: str = ""

    @property
    def baseline(self) -> str:
        """Name of the encoder that deltas are against; empty without one."""
        return next((entry.name for entry in self.entries if entry.baseline), "")

    @property
    def notes(self) -> tuple[str, ...]:
        """What stands beside numbers, each sentence once, in the order of their marks."""
        return tuple(
            dict.fromkeys(
                note for entry in self.entries for score in entry.scores if score for note in score.notes
            )
        )


@dataclass(frozen=True)
class Asked:
    """What a user asks of the table, see :func:`leaderboards`; ``cost``: whether what an encoder costs is shown."""

    tasks: str = ""
    encoders: str = ""
    baseline: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    own: tuple[str, ...] | None = None
    columns: Columns = "auto"
    cost: bool = True


def one_table(
    rows: Iterable[Stored],
    asked: Asked,
    *,
    metric_of: MetricOf | None = None,
    include_mimic: bool = False,
    replicates: int = 1000,
) -> list[Leaderboard]:
    """Return :func:`leaderboards` as they were asked for."""
    return leaderboards(
        rows, metric_of=metric_of, tasks=asked.tasks, encoders=asked.encoders, baseline=asked.baseline,
        names=asked.names, own=asked.own, columns=asked.columns, include_mimic=include_mimic, replicates=replicates,
    )  # fmt: skip


def leaderboards(
    rows: Iterable[Stored],
    *,
    metric_of: MetricOf | None = None,
    tasks: str = "",
    encoders: str = "",
    baseline: str = "",
    names: Mapping[str, str] | None = None,
    own: Iterable[str] | None = None,
    columns: Columns = "auto",
    include_mimic: bool = False,
    parts: bool = False,
    replicates: int = 1000,
) -> list[Leaderboard]:
    """Return the one table of each protocol, that of most rows first; those of miniatures apart, last.

    Args:
        rows: as :func:`paco_eval.rows.store.load_rows` returns them.
        metric_of: definitions, with which differences are resampled from the items; without them, or without items,
            encoders are told apart only where their intervals do not touch.
        tasks: names or globs, separated by commas; derived tasks only where a pattern begins with their factor,
            diagnostics of codebooks likewise. By default all, these only where there is nothing else.
        encoders: likewise, by encoder, method or alias; by default all.
        baseline: encoder, method, alias or shown name that the others are held against.
        names: what to call encoders, see :func:`paco_eval.analysis.names.encoder_titles`.
        own: encoders that one came with; by default the only one that neither ships nor learned nothing.
        columns: ``tasks``, ``families`` (mean ranks where a family has several tasks), or ``auto``: tasks where
            they are few.
        include_mimic: whether miniatures are shown, too.
        parts: whether derived tasks and diagnostics that no pattern asks for have tables of their own, behind the others.
        replicates: bootstrap replicates of every interval.

    Raises:
        PacoError: a name or a pattern that nothing answers to.

    """
    rows = list(rows)
    several, titles = methods_with_seeds(rows), titles_of(rows, names or {})
    found = [stored for stored in rows if include_mimic or stored.row.data_kind != "mimic"]
    if baseline:
        _baseline(baseline, _plain(found, several), titles)
    parts = parts and not tasks
    found = _of_encoders(found if parts else _of_tasks(found, tasks), encoders, several)
    groups: dict[tuple[str, bool, str], list[Stored]] = defaultdict(list)
    for stored in found:
        part = stored.row.task.partition("/")[0] if parts and _apart(stored.row) else ""
        groups[stored.row.protocol, stored.row.data_kind == "mimic", part].append(stored)
    after = ("", *NAMES, CODEBOOK)
    order = sorted(groups, key=lambda key: (key[1], after.index(key[2]), -len(groups[key]), key[0]))
    made = [
        replace(
            _leaderboard(key[0], key[1], groups[key], several, metric_of, baseline, titles, own, columns, replicates),
            part=key[2],
        )
        for key in order
    ]  # fmt: skip
    return [board for board in made if board.heads]


def _of_tasks(rows: list[Stored], patterns: str) -> list[Stored]:
    wanted = [part for part in (part.strip() for part in patterns.split(",")) if part]
    if not wanted:
        plain = [stored for stored in rows if not _apart(stored.row)]
        return plain or [stored for stored in rows if not _derived(stored.row)] or rows
    kept: dict[str, Stored] = {}
    for pattern in wanted:
        outright = pattern.partition("/")[0] in (*NAMES, CODEBOOK)
        hits = [
            stored
            for stored in rows
            if fnmatchcase(stored.row.task, pattern) and (outright or not _apart(stored.row))
        ]
        if not hits:
            raise unknown_name("measured task", pattern, {stored.row.task for stored in rows})
        kept |= {stored.row.key: stored for stored in hits}
    return list(kept.values())


def _apart(row: Row) -> bool:
    """Say whether a task is meant only where a pattern begins with its family."""
    return _derived(row) or row.task.partition("/")[0] == CODEBOOK


def _derived(row: Row) -> bool:
    return row.task.partition("/")[0] in NAMES


def _of_encoders(rows: list[Stored], patterns: str, several: set[str]) -> list[Stored]:
    wanted = [part for part in (part.strip() for part in patterns.split(",")) if part]
    if not wanted:
        return rows
    lines, plain = _lines(rows, several), _plain(rows, several)
    kept: set[str] = set()
    for pattern in wanted:
        labels = meant(plain, pattern)
        if not labels:
            raise unknown_name("measured encoder", pattern, called(plain))
        kept |= set(labels)
    return [stored for label, found in lines.items() if label in kept for stored in found]


def _lines(rows: Iterable[Stored], several: set[str]) -> dict[str, list[Stored]]:
    lines: dict[str, list[Stored]] = defaultdict(list)
    for stored in rows:
        lines[line_label(stored.row, several)].append(stored)
    return {label: lines[label] for label in sorted(lines, key=line_order)}


def _plain(rows: Iterable[Stored], several: set[str]) -> dict[str, list[Row]]:
    return {label: [stored.row for stored in found] for label, found in _lines(rows, several).items()}


@dataclass(frozen=True)
class _Task:
    """A task's numbers before they are laid out: the column, the scores by line, the leader."""

    column: Column
    scores: dict[str, Score]
    scored: Scored | None
    shared: str


def _leaderboard(
    protocol: str,
    mimic: bool,
    rows: list[Stored],
    several: set[str],
    metric_of: MetricOf | None,
    baseline: str,
    titles: Mapping[str, str],
    own: Iterable[str] | None,
    columns: Columns,
    replicates: int,
) -> Leaderboard:
    lines, plain = _lines(rows, several), _plain(rows, several)
    base = _baseline(baseline, plain, titles, here=False) if baseline else ""
    tasks = _tasks(lines, titles, base, metric_of, replicates)
    lines = {label: found for label, found in lines.items() if any(label in task.scores for task in tasks)}
    said = claims([task.scored for task in tasks if task.scored is not None])
    ahead = {(claim.task, claim.label) for claim in said if claim.ahead}
    marked = [_marked(task, ahead) for task in tasks]
    by_family = columns == "families" or (columns == "auto" and len(marked) > MOST_TASKS)
    heads, cells = _families(marked, list(lines)) if by_family else _singly(marked, list(lines))
    ranks = _mean_ranks(heads, cells, list(lines))
    mine = _own(plain, own)
    entries = [
        Entry(
            label, titles[label], ", ".join(dict.fromkeys(row.encoder for row in plain[label])), plain[label][0].method,
            ranks.get(label), tuple(column.get(label) for column in cells), *_cost(plain[label]),
            own=label in mine, baseline=label == base, seeds=len({row.pretrain_seed for row in plain[label]} - {None}),
        )
        for label in lines
    ]  # fmt: skip
    order = sorted(
        range(len(entries)), key=lambda at: (math.inf if (rank := entries[at].rank) is None else rank, at)
    )
    definitions = _definitions(rows, protocol, heads, metric_of is not None, bool(base), replicates)
    definitions += tuple(task.shared for task in tasks if task.shared)
    return Leaderboard(protocol, mimic, tuple(heads), tuple(entries[at] for at in order), tuple(said), definitions)  # fmt: skip


def _baseline(
    wanted: str, lines: Mapping[str, Sequence[Row]], titles: Mapping[str, str], *, here: bool = True
) -> str:
    """Return the line that is meant; where it need not be ``here`` and is not, an empty text."""
    labels = [label for label in lines if titles[label] == wanted] or meant(lines, wanted)
    if not labels and here:
        raise unknown_name("baseline", wanted, called(lines) | {titles[label] for label in lines})
    return labels[0] if labels else ""


def _tasks(
    lines: Mapping[str, list[Stored]],
    titles: Mapping[str, str],
    base: str,
    metric_of: MetricOf | None,
    replicates: int,
) -> list[_Task]:
    """Return the main score of every task, in the order in which papers print families."""
    runs: dict[str, dict[str, list[Stored | Sweep]]] = defaultdict(lambda: defaultdict(list))
    for label, found in lines.items():
        whole = [s for s in found if s.row.level is None and s.row.subset == "all" and s.row.split == "test"]
        for stored in whole:
            runs[stored.row.task][label].append(stored)
        for sweep in sweeps(stored for stored in found if stored.row.level is not None):
            if sweep.clean.encoder != CONSTANT:  # it has nothing to lose
                runs[sweep.clean.task][label].append(sweep)
    order = sorted(runs, key=lambda task: place_of((task.rpartition("/")[0], task, False)))
    title = _titles(order)
    return [_task(title[task], runs[task], titles, base, metric_of, replicates) for task in order]


def _titles(tasks: Sequence[str]) -> dict[str, str]:
    """Return what to head each task by: its family where that has no other."""
    families = defaultdict(list)
    for task in tasks:
        families[task.rpartition("/")[0]].append(task)
    return {task: task if len(families[task.rpartition("/")[0]]) > 1 else task.rpartition("/")[0] for task in tasks}  # fmt: skip


def _task(
    title: str,
    runs: Mapping[str, list[Stored | Sweep]],
    titles: Mapping[str, str],
    base: str,
    metric_of: MetricOf | None,
    replicates: int,
) -> _Task:
    newest = max(_row(run).task_version for found in runs.values() for run in found)
    kept = {
        label: found
        for label, everything in runs.items()
        if (found := [run for run in everything if _row(run).task_version == newest])
    }
    column = _column(next(iter(kept.values()))[0])
    usual = usual_of([_row(run) for found in kept.values() for run in found])
    scores: dict[str, Score] = {}
    for label, found in kept.items():
        flags = dict.fromkeys(flag for run in found for flag in flags_of(_row(run), usual))
        flags |= dict.fromkeys(_row(run).main.warning for run in found if _row(run).main.warning)
        scores[label] = Score(
            _mean(column, found), notes=tuple(flags), struck=any(_row(run).void for run in found),
            rows=tuple(_stored(run) for run in found),
        )  # fmt: skip
    shared = set.intersection(*(set() if score.struck else set(score.notes) for score in scores.values()))
    scores = {
        label: replace(score, notes=tuple(note for note in score.notes if note not in shared))
        for label, score in scores.items()
    }
    said = f"{title}: {', '.join(sorted(shared))}." if shared else ""
    alike = [
        label
        for label, score in scores.items()
        if score.value is not None and not score.struck and not _elsewhere(score)
    ]
    drawn = _drawn([kept[label] for label in alike], metric_of, replicates) if metric_of and alike else None
    for label, score in scores.items():
        at = alike.index(label) if label in alike else -1
        ends = _ends(
            column, kept[label], drawn.mean(at).interval() if drawn is not None and at >= 0 else None
        )
        scores[label] = replace(score, low=ends[0], high=ends[1])
    sign = -1.0 if column.higher_is_better else 1.0
    ranks = pd.Series([sign * float(scores[label].value or 0.0) for label in alike], dtype=float).rank()
    for label, rank in zip(alike, ranks, strict=True):
        delta = None
        if base in alike and label != base:
            delta = _delta(scores, label, base, alike, drawn)
        scores[label] = replace(scores[label], rank=float(rank), delta=delta)
    if not alike:
        return _Task(column, scores, None, said)
    sides = [
        Side(label, titles[label], float(scores[label].value or 0.0), scores[label].low, scores[label].high, _seeds(kept[label]))
        for label in alike
    ]  # fmt: skip
    found_lead: Lead = lead(sides, bool(column.higher_is_better), drawn)
    aside = tuple(titles[label] for label, score in scores.items() if _elsewhere(score))
    for at, gap in zip(found_lead.others, found_lead.gaps, strict=True):
        scores[alike[at]] = replace(scores[alike[at]], behind=_behind(gap, bool(column.higher_is_better)))
    unit = {"deg": "°", "%": " points" if column.higher_is_better else ""}.get(column.unit, "")
    return _Task(
        column, scores, Scored(column.task, title, sides, found_lead, unit, column.decimals, aside), said
    )


def _elsewhere(score: Score) -> bool:
    """Say whether a number was measured on other pictures or crops than most of its column."""
    return any("rest of the column" in note for note in score.notes)


def _behind(gap: Interval, higher_is_better: bool) -> Interval:
    """Return the best less another as how much worse the other is."""
    return gap if higher_is_better else gap._replace(value=-gap.value, low=-gap.high, high=-gap.low)


def _row(run: Stored | Sweep) -> Row:
    return run.clean if isinstance(run, Sweep) else run.row


def _stored(run: Stored | Sweep) -> Stored:
    return run.cells["clean", 0] if isinstance(run, Sweep) else run


def _column(run: Stored | Sweep) -> Column:
    column = column_of(_row(run))
    if not isinstance(run, Sweep):
        return column
    return replace(
        column,
        subset="all",
        level=-1,
        metric=f"{LOST[bool(column.higher_is_better)]}{column.metric}",
        higher_is_better=False,
    )


def _mean(column: Column, runs: Sequence[Stored | Sweep]) -> float | None:
    values = [
        run.mean_drop if isinstance(run, Sweep) else run.row.metrics[column.metric].value for run in runs
    ]
    known = [value for value in values if value is not None and not math.isnan(value)]
    return stdlib_statistics.fmean(known) if len(known) == len(values) else None


def _drawn(sides: Sequence[Sequence[Stored | Sweep]], metric_of: MetricOf, replicates: int) -> Drawn | None:
    """Return all encoders of a task under the same draws; None where items or definitions do not allow it."""
    whole = [[run for run in side if isinstance(run, Sweep)] for side in sides]
    try:
        if any(whole):
            return drawn_drops(whole, replicates=replicates)
        row = _row(sides[0][0])
        metric = metric_of(row, row.main_metric)
        if metric is None:
            return None
        items = [[_stored(run).items() for run in side] for side in sides]
        return drawn_together(metric, items, replicates=replicates)
    except (PacoError, KeyError, AttributeError, TypeError):  # not the same items, or of another layout
        return None


def _ends(
    column: Column, runs: Sequence[Stored | Sweep], interval: Interval | None
) -> tuple[float | None, float | None]:
    """Return the ends of an interval: that of the row where there is one, else over rows, else the widest."""
    stored = [run for run in runs if isinstance(run, Stored)]
    if len(runs) == 1 and stored:
        metric = stored[0].row.metrics[column.metric]
        return metric.low, metric.high
    if interval is not None:
        return (None, None) if math.isnan(interval.low) else (interval.low, interval.high)
    metrics = [one.row.metrics[column.metric] for one in stored]
    lows = [metric.low for metric in metrics if metric.low is not None]
    highs = [metric.high for metric in metrics if metric.high is not None]
    return (min(lows), max(highs)) if stored and len(lows) == len(metrics) else (None, None)


def _delta(
    scores: Mapping[str, Score], label: str, base: str, alike: Sequence[str], drawn: Drawn | None
) -> Interval:
    if drawn is not None:
        return drawn.less(alike.index(label), alike.index(base)).interval()
    ours, theirs = scores[label].value, scores[base].value
    return Interval(float(ours or 0.0) - float(theirs or 0.0), math.nan, math.nan)


def _seeds(runs: Sequence[Stored | Sweep]) -> int:
    seeds = {_row(run).pretrain_seed for run in runs}
    return 2 if seeds == {None} else len(seeds - {None})


def _marked(task: _Task, ahead: set[tuple[str, str]]) -> _Task:
    marked = {
        label: replace(score, ahead=(task.column.task, label) in ahead)
        for label, score in task.scores.items()
    }
    return replace(task, scores=marked)


def ahead_of(boards: Iterable[Leaderboard]) -> frozenset[tuple[str, str, str]]:
    """Return protocol, task and line of whatever is ahead of all others."""
    said = ((board.protocol, claim) for board in boards for claim in board.claims)
    return frozenset((protocol, claim.task, claim.label) for protocol, claim in said if claim.ahead)


def titles_of(rows: Iterable[Stored], names: Mapping[str, str]) -> dict[str, str]:
    """Return what to call the line of every encoder among rows, see :func:`paco_eval.analysis.names.encoder_titles`."""
    rows = list(rows)
    return encoder_titles(_plain(rows, methods_with_seeds(rows)), names)


def titled(table: Table, titles: Mapping[str, str]) -> Table:
    """Return the table with what people call its encoders."""
    lines = [
        line if line.kind == "published" else replace(line, label=titles.get(line.label, line.label))
        for line in table.lines
    ]
    return replace(table, lines=tuple(lines))


Cells = list[dict[str, Score]]


def _singly(tasks: Sequence[_Task], labels: Sequence[str]) -> tuple[list[Head], Cells]:
    titles = _titles([task.column.task for task in tasks])
    return [_head(task, titles[task.column.task], labels) for task in tasks], [task.scores for task in tasks]


def _head(task: _Task, title: str, labels: Sequence[str]) -> Head:
    column = task.column
    lost = next((word for word in LOST.values() if column.metric.startswith(word)), "")
    metric = lost + metric_title(column.metric.removeprefix(lost), column.unit)
    return Head(column.task, title, metric, bool(column.higher_is_better), column.unit, column.decimals, (column.task,),
                all((score := task.scores.get(label)) is not None and score.rank is not None for label in labels))  # fmt: skip


def _families(tasks: Sequence[_Task], labels: Sequence[str]) -> tuple[list[Head], Cells]:
    """Return a column a family: the score itself where it has one task, else the mean rank over those all have."""
    heads, cells = [], []
    families: dict[str, list[_Task]] = defaultdict(list)
    for task in tasks:
        families[task.column.task.rpartition("/")[0]].append(task)
    for family, found in families.items():
        if len(found) == 1:
            heads.append(_head(found[0], family, labels))
            cells.append(found[0].scores)
            continue
        shared = [task for task in found if _head(task, "", labels).ranked]
        names = tuple(task.column.task for task in shared)
        told = f"mean rank over {len(shared)} tasks"
        heads.append(Head(family, family, told, False, "rank", 2, names, bool(shared)))
        cells.append(_ranked(shared, labels) if shared else {})
    return heads, cells


def _ranked(tasks: Sequence[_Task], labels: Sequence[str]) -> dict[str, Score]:
    values = {task.column.task: [task.scores[label].value for label in labels] for task in tasks}
    directions = {task.column.task: bool(task.column.higher_is_better) for task in tasks}
    table = mean_rank(pd.DataFrame(values, index=list(labels), dtype=float), directions)
    order = dict(zip(table.index, table["mean_rank"].rank(), strict=True))
    found = {}
    for label in labels:
        value, low, high = map(float, table.loc[label, ["mean_rank", "low", "high"]])
        known = not math.isnan(low)
        found[label] = Score(value, low if known else None, high if known else None, float(order[label]))
    return found


def _mean_ranks(heads: Sequence[Head], cells: Cells, labels: Sequence[str]) -> dict[str, float]:
    counted = [column for head, column in zip(heads, cells, strict=True) if head.ranked]
    if not counted:
        return {}
    ranks = {label: [float(column[label].rank or 0.0) for column in counted] for label in labels}
    return {label: stdlib_statistics.fmean(own) for label, own in ranks.items()}


def _own(lines: Mapping[str, Sequence[Row]], own: Iterable[str] | None) -> set[str]:
    if own is not None:
        return {label for name in own for label in meant(lines, name)}
    from paco_fr.checkpoint import shipped

    known = {*REFERENCES, *shipped()}
    mine = {label for label in lines if label not in known and not label.startswith("random:")}
    return mine if len(mine) == 1 < len(lines) else set()


def _cost(rows: Sequence[Row]) -> tuple[float | None, float | None, float | None]:
    def mean(name: str, share: float = 1.0) -> float | None:
        known = [row.cost[name] for row in rows if name in row.cost]
        return float(np.mean(known)) * share if known else None

    return mean("parameters"), mean("flops", 1e-9), mean("images_per_s")


def _definitions(
    rows: Sequence[Stored],
    protocol: str,
    heads: Sequence[Head],
    resampled: bool,
    deltas: bool,
    replicates: int,
) -> tuple[str, ...]:
    units = sorted({_plural(stored.row.interval.unit) for stored in rows if stored.row.interval})
    ranked = sum(head.ranked for head in heads)
    told = [f"Protocol {protocol}; main metrics."]
    if units:
        told.append(
            f"Intervals: 95 %, bootstrap over {_joined(units)}, pretraining seeds included where there are several."
        )
    told.append(
        f"Rank: mean over {ranked} of {len(heads)} columns, those that every encoder has."
        if ranked < len(heads)
        else "Rank: mean over the columns."
    )
    how = f"paired over the same items, {replicates} replicates" if resampled else "intervals do not touch"
    told.append(
        f"Bold: ahead of all others ({how}; Holm's correction over the columns; not with one training alone)."
    )
    if deltas:
        told.append(
            "In parentheses: less the baseline, with the interval of the paired difference; * it leaves zero out."
        )
    return tuple(told)


def _plural(unit: str) -> str:
    special = {
        "person": "people",
        "identity": "people",
        "group of related pictures": "groups of related pictures",
        "subject with all its templates": "subjects with all their templates",
    }
    return special.get(unit, f"{unit}s")


def _joined(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
