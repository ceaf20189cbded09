"""The one table: encoders in rows by mean rank, tasks or families in columns, one number with its interval each.

It stands wherever results are shown: at the end of ``evaluate``, first on the page, in ``report --format``, in papers.
Which rows it has is decided in :mod:`paco_eval.report.leaderboard.selection`, which columns here; what stands in them in
:mod:`paco_eval.report.leaderboard.scoring`; how it looks in :mod:`paco_eval.report.leaderboard.writers`.
"""

from __future__ import annotations

import math
import statistics as stdlib_statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from paco_eval.analysis.bootstrap import finite
from paco_eval.analysis.columns import methods_with_seeds
from paco_eval.analysis.names import listed, meant, metric_title
from paco_eval.analysis.significance import MetricOf
from paco_eval.analysis.standing import claims
from paco_eval.analysis.statistics import mean_rank
from paco_eval.report.leaderboard.board import Entry, Head, Leaderboard, Score
from paco_eval.report.leaderboard.scoring import LOST, TaskScores, marked, task_scores, task_titles
from paco_eval.report.leaderboard.selection import (
    CODEBOOK,
    Asked,
    baseline_of,
    is_apart,
    lines_of,
    of_encoders,
    of_tasks,
    rows_of,
    titles_of,
)
from paco_eval.report.tables.table import Table
from paco_eval.rows.schema import Row
from paco_eval.rows.store import Stored
from tasks.derived import NAMES

MOST_TASKS = 6
"""Columns of tasks that ``auto`` shows; where there are more it shows families."""

REFERENCES = ("constant", "pixels")
"""Encoders that nobody comes with."""


def leaderboards(
    rows: Iterable[Stored],
    asked: Asked | None = None,
    *,
    metric_of: MetricOf | None = None,
    include_mimic: bool = False,
    parts: bool = False,
    replicates: int = 1000,
) -> list[Leaderboard]:
    """Return the one table of each protocol, that of most rows first; those of miniatures apart, last.

    Args:
        rows: as :func:`paco_eval.rows.store.load_rows` returns them.
        asked: which tasks and encoders are shown, and how; by default all.
        metric_of: definitions, with which differences are resampled from the items; without them, or without items,
            encoders are told apart only where their intervals do not touch.
        include_mimic: whether miniatures are shown, too.
        parts: whether derived tasks and diagnostics that no pattern asks for have tables of their own, behind the others.
        replicates: bootstrap replicates of every interval.

    Raises:
        PacoError: a name or a pattern that nothing answers to.

    """
    rows, asked = list(rows), asked or Asked()
    several, titles = methods_with_seeds(rows), titles_of(rows, asked.names)
    found = [stored for stored in rows if include_mimic or stored.row.data_kind != "mimic"]
    base = baseline_of(asked.baseline, rows_of(found, several), titles) if asked.baseline else ""
    parts = parts and not asked.tasks
    found = of_encoders(found if parts else of_tasks(found, asked.tasks), asked.encoders, several, base)
    groups: dict[tuple[str, bool, str], list[Stored]] = defaultdict(list)
    for stored in found:
        part = stored.row.task.partition("/")[0] if parts and is_apart(stored.row) else ""
        groups[stored.row.protocol, stored.row.data_kind == "mimic", part].append(stored)
    after = ("", *NAMES, CODEBOOK)
    order = sorted(groups, key=lambda key: (key[1], after.index(key[2]), -len(groups[key]), key[0]))
    made = [
        replace(
            _leaderboard(key[0], key[1], groups[key], several, metric_of, base, titles, asked, replicates),
            part=key[2],
        )
        for key in order
    ]  # fmt: skip
    return [board for board in made if board.heads]


def _leaderboard(
    protocol: str,
    mimic: bool,
    rows: list[Stored],
    several: set[str],
    metric_of: MetricOf | None,
    baseline: str,
    titles: Mapping[str, str],
    asked: Asked,
    replicates: int,
) -> Leaderboard:
    lines, plain = lines_of(rows, several), rows_of(rows, several)
    base = baseline if baseline in plain else ""
    tasks = task_scores(lines, titles, base, metric_of, replicates)
    lines = {label: found for label, found in lines.items() if any(label in task.scores for task in tasks)}
    said = claims([task.scored for task in tasks if task.scored is not None])
    ahead = {(claim.task, claim.label) for claim in said if claim.ahead}
    tasks = [marked(task, ahead) for task in tasks]
    by_family = asked.columns == "families" or (asked.columns == "auto" and len(tasks) > MOST_TASKS)
    heads, cells = _families(tasks, list(lines)) if by_family else _singly(tasks, list(lines))
    ranks = _mean_ranks(heads, cells, list(lines))
    mine = _own(plain, asked.own)
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
    definitions += tuple(said for task in tasks for said in (task.shared, task.unpaired) if said)
    return Leaderboard(protocol, mimic, tuple(heads), tuple(entries[at] for at in order), tuple(said), definitions)  # fmt: skip


def ahead_of(boards: Iterable[Leaderboard]) -> frozenset[tuple[str, str, str]]:
    """Return protocol, task and line of whatever is ahead of all others."""
    said = ((board.protocol, claim) for board in boards for claim in board.claims)
    return frozenset((protocol, claim.task, claim.label) for protocol, claim in said if claim.ahead)


def titled(table: Table, titles: Mapping[str, str]) -> Table:
    """Return the table with what people call its encoders."""
    lines = [
        line if line.kind == "published" else replace(line, label=titles.get(line.label, line.label))
        for line in table.lines
    ]
    return replace(table, lines=tuple(lines))


Cells = list[dict[str, Score]]


def _singly(tasks: Sequence[TaskScores], labels: Sequence[str]) -> tuple[list[Head], Cells]:
    titles = task_titles([task.column.task for task in tasks])
    return [_head(task, titles[task.column.task], labels) for task in tasks], [task.scores for task in tasks]


def _head(task: TaskScores, title: str, labels: Sequence[str]) -> Head:
    column = task.column
    lost = next((word for word in LOST.values() if column.metric.startswith(word)), "")
    metric = lost + metric_title(column.metric.removeprefix(lost), column.unit)
    return Head(column.task, title, metric, bool(column.higher_is_better), column.unit, column.decimals, (column.task,),
                all((score := task.scores.get(label)) is not None and score.rank is not None for label in labels))  # fmt: skip


def _families(tasks: Sequence[TaskScores], labels: Sequence[str]) -> tuple[list[Head], Cells]:
    """Return a column a family: the score itself where it has one task, else the mean rank over those all have."""
    heads, cells = [], []
    families: dict[str, list[TaskScores]] = defaultdict(list)
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


def _ranked(tasks: Sequence[TaskScores], labels: Sequence[str]) -> dict[str, Score]:
    values = {task.column.task: [task.scores[label].value for label in labels] for task in tasks}
    directions = {task.column.task: bool(task.column.higher_is_better) for task in tasks}
    table = mean_rank(pd.DataFrame(values, index=list(labels), dtype=float), directions)
    order = dict(zip(table.index, table["mean_rank"].rank(), strict=True))
    found = {}
    for label in labels:
        value, low, high = map(float, table.loc[label, ["mean_rank", "low", "high"]])
        found[label] = Score(value, finite(low), finite(high), float(order[label]))
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
            f"Intervals: 95 %, bootstrap over {listed(units)}, pretraining seeds included where there are several."
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
