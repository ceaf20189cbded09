"""What the one table says of each task: every encoder's score with its interval, its rank, and who leads.

All encoders of a task are drawn together, so that differences are paired: see :mod:`paco_eval.analysis.statistics`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from paco_eval.analysis.bootstrap import Interval, finite
from paco_eval.analysis.columns import Column, column_of
from paco_eval.analysis.robustness import (
    CONSTANT,
    Run,
    Sweep,
    column_of_run,
    drawn_drops,
    mean_over,
    row_of,
    seeds_of,
    sweeps,
)
from paco_eval.analysis.significance import Ends, MetricOf, widest_ends
from paco_eval.analysis.standing import Scored, Side, lead
from paco_eval.analysis.statistics import Drawn, drawn_together
from paco_eval.report.leaderboard.board import Score
from paco_eval.report.tables.table import flags_of, place_of, usual_of
from paco_eval.rows.store import Stored
from paco_fr.utils.errors import PacoError

LOST = {True: "drop of ", False: "rise of "}
"""What a derived task shows, by the direction of its metric: how much worse than clean, mean over kinds and levels."""


@dataclass(frozen=True)
class TaskScores:
    """A task's numbers before they are laid out.

    Attributes:
        column: of its main metric.
        scores: of every line that has the task.
        scored: who leads by how much; None where nothing is comparable.
        shared: a sentence with the notes that stand beside every score; empty without any.
        unpaired: a sentence that says why encoders are told apart by their own intervals; empty where they are paired.

    """

    column: Column
    scores: dict[str, Score]
    scored: Scored | None
    shared: str
    unpaired: str = ""


def task_scores(
    lines: Mapping[str, list[Stored]],
    titles: Mapping[str, str],
    base: str,
    metric_of: MetricOf | None,
    replicates: int,
) -> list[TaskScores]:
    """Return the main score of every task, in the order in which papers print families.

    Args:
        lines: rows by line of the table.
        titles: what each line is called.
        base: line that the others are held against; empty without one.
        metric_of: definitions to resample by; None where encoders are told apart by their own intervals alone.
        replicates: bootstrap replicates of every interval.

    """
    runs: dict[str, dict[str, list[Run]]] = defaultdict(lambda: defaultdict(list))
    for label, found in lines.items():
        whole = [s for s in found if s.row.level is None and s.row.subset == "all" and s.row.split == "test"]
        for stored in whole:
            runs[stored.row.task][label].append(stored)
        for sweep in sweeps(stored for stored in found if stored.row.level is not None):
            if sweep.clean.encoder != CONSTANT:  # it has nothing to lose
                runs[sweep.clean.task][label].append(sweep)
    order = sorted(runs, key=lambda task: place_of((task.rpartition("/")[0], task, False)))
    title = task_titles(order)
    return [_task(title[task], runs[task], titles, base, metric_of, replicates) for task in order]


def task_titles(tasks: Sequence[str]) -> dict[str, str]:
    """Return what to head each task by: its family where that has no other."""
    families = defaultdict(list)
    for task in tasks:
        families[task.rpartition("/")[0]].append(task)
    return {task: task if len(families[task.rpartition("/")[0]]) > 1 else task.rpartition("/")[0] for task in tasks}  # fmt: skip


def _task(
    title: str,
    runs: Mapping[str, list[Run]],
    titles: Mapping[str, str],
    base: str,
    metric_of: MetricOf | None,
    replicates: int,
) -> TaskScores:
    kept = _newest(runs)
    column = _column(next(iter(kept.values()))[0])
    scores, shared = _noted(column, kept)
    said = f"{title}: {', '.join(sorted(shared))}." if shared else ""
    alike = [
        label
        for label, score in scores.items()
        if score.value is not None and not score.struck and not _elsewhere(score)
    ]
    drawn, why = (
        _drawn([kept[label] for label in alike], metric_of, replicates) if metric_of and alike else (None, "")
    )
    unpaired = f"{title}: not paired, so that intervals must not touch ({why.rstrip('.')})." if why else ""
    for label, score in scores.items():
        interval = drawn.mean(alike.index(label)).interval() if drawn is not None and label in alike else None
        low, high = _ends(column, kept[label], interval)
        scores[label] = replace(score, low=low, high=high)
    if not alike:
        return TaskScores(column, scores, None, said, unpaired)
    better = bool(column.higher_is_better)
    ranks = pd.Series([float(scores[label].value or 0.0) for label in alike]).rank(ascending=not better)
    for label, rank in zip(alike, ranks, strict=True):
        delta = _delta(scores, label, base, alike, drawn) if base in alike and label != base else None
        scores[label] = replace(scores[label], rank=float(rank), delta=delta)
    sides = [
        Side(label, titles[label], float(score.value or 0.0), score.low, score.high, seeds_of(kept[label]))
        for label, score in ((label, scores[label]) for label in alike)
    ]
    leader = lead(sides, better, drawn)
    for at, gap in zip(leader.others, leader.gaps, strict=True):
        scores[alike[at]] = replace(scores[alike[at]], behind=_behind(gap, better))
    aside = tuple(titles[label] for label, score in scores.items() if _elsewhere(score))
    unit = {"deg": "°", "%": " points" if better else ""}.get(column.unit, "")
    scored = Scored(column.task, title, sides, leader, unit, column.decimals, aside)
    return TaskScores(column, scores, scored, said, unpaired)


def _newest(runs: Mapping[str, list[Run]]) -> dict[str, list[Run]]:
    """Return the runs of the newest version of a task by line; lines without any are left out."""
    newest = max(row_of(run).task_version for found in runs.values() for run in found)
    kept = {
        label: [run for run in found if row_of(run).task_version == newest] for label, found in runs.items()
    }
    return {label: found for label, found in kept.items() if found}


def _noted(column: Column, kept: Mapping[str, Sequence[Run]]) -> tuple[dict[str, Score], set[str]]:
    """Return the score of every line with its notes, and the notes that all lines share, which are left out of them."""
    usual = usual_of([row_of(run) for found in kept.values() for run in found])
    scores: dict[str, Score] = {}
    for label, found in kept.items():
        flags = dict.fromkeys(flag for run in found for flag in flags_of(row_of(run), usual))
        flags |= dict.fromkeys(row_of(run).main.warning for run in found if row_of(run).main.warning)
        scores[label] = Score(
            _mean(column, found), notes=tuple(flags), struck=any(row_of(run).void for run in found),
            rows=tuple(_stored(run) for run in found),
        )  # fmt: skip
    shared = set.intersection(*(set() if score.struck else set(score.notes) for score in scores.values()))
    own = {
        label: replace(score, notes=tuple(note for note in score.notes if note not in shared))
        for label, score in scores.items()
    }
    return own, shared


def _elsewhere(score: Score) -> bool:
    """Say whether a number was measured on other pictures or crops than most of its column."""
    return any("rest of the column" in note for note in score.notes)


def _behind(gap: Interval, higher_is_better: bool) -> Interval:
    """Return the best less another as how much worse the other is."""
    return gap if higher_is_better else gap._replace(value=-gap.value, low=-gap.high, high=-gap.low)


def _stored(run: Run) -> Stored:
    return run.cells["clean", 0] if isinstance(run, Sweep) else run


def _column(run: Run) -> Column:
    own = column_of(row_of(run))
    return column_of_run(run, f"{LOST[bool(own.higher_is_better)]}{own.metric}")


def _mean(column: Column, runs: Sequence[Run]) -> float | None:
    return finite(mean_over(column, runs))


def _drawn(sides: Sequence[Sequence[Run]], metric_of: MetricOf, replicates: int) -> tuple[Drawn | None, str]:
    """Return all encoders of a task under the same draws; None and why where items or definitions do not allow it."""
    whole = [[run for run in side if isinstance(run, Sweep)] for side in sides]
    try:
        if any(whole):
            return drawn_drops(whole, replicates=replicates), ""
        row = row_of(sides[0][0])
        metric = metric_of(row, row.main_metric)
        if metric is None:
            return None, f"nothing here computes {row.main_metric}"
        items = [[_stored(run).items() for run in side] for side in sides]
        return drawn_together(metric, items, replicates=replicates), ""
    except PacoError as error:
        return None, str(error)
    except (KeyError, AttributeError, TypeError):
        return None, "items of another layout"


def _ends(column: Column, runs: Sequence[Run], interval: Interval | None) -> Ends:
    """Return the ends of an interval: that of the row where there is one, else over rows, else the widest."""
    stored = [run for run in runs if isinstance(run, Stored)]
    if interval is None or (stored and len(runs) == 1):
        return widest_ends(column.metric, stored) if stored else (None, None)
    return finite(interval.low), finite(interval.high)


def _delta(
    scores: Mapping[str, Score], label: str, base: str, alike: Sequence[str], drawn: Drawn | None
) -> Interval:
    if drawn is not None:
        return drawn.less(alike.index(label), alike.index(base)).interval()
    ours, theirs = scores[label].value, scores[base].value
    return Interval(float(ours or 0.0) - float(theirs or 0.0), math.nan, math.nan)


def marked(task: TaskScores, ahead: set[tuple[str, str]]) -> TaskScores:
    """Return the scores with those marked that are ahead of all others, named by task and line."""
    marked = {
        label: replace(score, ahead=(task.column.task, label) in ahead)
        for label, score in task.scores.items()
    }
    return replace(task, scores=marked)
