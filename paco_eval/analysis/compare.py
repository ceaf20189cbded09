"""Who wins where against a baseline, by how much, and whether it is more than chance.

Two encoders are compared on a task only where everything but the encoder is equal: task version, protocol,
split, subset, level, crop and images. What differs is named and left out.

A table of many differences finds some by chance alone. So p-values are adjusted by Holm's method over all
differences of one protocol of which anything can be claimed, those with at least two pretraining seeds on
either side or none to rule out; the verdict rests on the adjusted one. Intervals stay those of one difference.

Tasks of a family are also summed up, see :mod:`paco_eval.analysis.effect_size`. Tasks over the same people meet the same draws
of them, other tasks other draws, and all tasks the same draws of pretraining seeds.

Rows of a sweep (clean, kinds and levels of a derived task) are compared together: by their mean drop. Of these
``constant`` has none: it would win them all, having nothing to lose.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar, get_args

import pandas as pd

from paco_eval.analysis.bootstrap import Interval
from paco_eval.analysis.columns import Column, line_label, line_order, methods_with_seeds
from paco_eval.analysis.effect_size import FamilyDifference, mean_over_tasks, standardised
from paco_eval.analysis.robustness import (
    CONSTANT,
    Run,
    Sweep,
    column_of_run,
    mean_over,
    replicated_drops,
    row_of,
    seeds_of,
    sweeps,
)
from paco_eval.analysis.significance import MetricOf
from paco_eval.analysis.statistics import (
    ALPHA,
    Claim,
    Replicates,
    Verdict,
    holm,
    mean_rank,
    replicated,
    verdict,
)
from paco_eval.rows.schema import ways_of
from paco_eval.rows.store import Stored
from paco_fr.utils.errors import PacoError, unknown_name

Place = tuple[str, Column]
"""Protocol and column of a comparison."""

DROP = "drop"
"""Metric of a derived task: how much worse than clean, mean over kinds and levels."""

REPLICATES_PER_DIFFERENCE = 100
"""A p-value cannot be smaller than 2 / replicates, and Holm multiplies it by the number of differences."""

MOST_REPLICATES = 20_000
"""More would take minutes; tables that would need them are told so."""

VERDICTS: tuple[Verdict, ...] = get_args(Verdict)


@dataclass(frozen=True)
class Difference(Claim):
    """An encoder less the baseline in the main metric of one task.

    Attributes:
        encoder: line of a table, a method where there are several pretraining seeds.
        protocol: of both.
        column: task, version, subset, level, metric, unit and direction.
        value: of the encoder, mean over seeds.
        reference: of the baseline, mean over seeds.
        interval: the difference with its ends, in the unit of the metric.
        p_value: of no difference, from the replicates of the interval; NaN if undefined.
        seeds: pretraining seeds on the side that has fewer; two where nothing was pretrained.
        rows: of the encoder, then of the baseline.
        p_adjusted: by Holm over the differences of the protocol; NaN where nothing can be claimed.

    """

    encoder: str
    protocol: str
    column: Column
    value: float
    reference: float
    interval: Interval
    p_value: float
    seeds: int
    rows: tuple[Stored, ...]
    p_adjusted: float = math.nan

    @property
    def verdict(self) -> Verdict:
        """What may be said."""
        return verdict(self.interval, bool(self.column.higher_is_better), self.seeds, self.p_adjusted)


Tested = TypeVar("Tested", Difference, FamilyDifference)


class Comparison(NamedTuple):
    """Differences of all encoders to one baseline, by task and by family, their sum, and what was not compared."""

    baseline: str
    differences: list[Difference]
    families: list[FamilyDifference]
    summary: pd.DataFrame
    problems: list[str]


def compare(
    rows: Iterable[Stored], baseline: str, *, metric_of: MetricOf, replicates: int | None = None
) -> Comparison:
    """Return all differences to ``baseline`` in main metrics, with intervals paired over items and seeds.

    Args:
        rows: as :func:`paco_eval.rows.store.load_rows` returns them; miniatures are left out.
        baseline: name of an encoder, or of a method with several pretraining seeds.
        metric_of: definitions of the metrics, see :func:`paco_eval.analysis.significance.metrics_of_tasks`.
        replicates: bootstrap replicates of every interval; by default a hundred for each difference, at least
            1000, so that the adjusted p-values can become small.

    Raises:
        PacoError: no row is of the baseline; similar names are suggested.

    """
    rows = [stored for stored in rows if stored.row.data_kind != "mimic"]
    several = methods_with_seeds(rows)
    problems: list[str] = []
    runs: list[Run] = [stored for stored in rows if stored.row.level is None]
    try:
        runs += [run for run in sweeps(rows) if CONSTANT not in (run.clean.encoder, baseline)]
    except PacoError as error:
        problems.append(str(error))
    by_line: dict[str, dict[Place, list[Run]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        by_line[line_label(row_of(run), several)][_place(run)].append(run)
    if baseline not in by_line:
        raise unknown_name("baseline", baseline, by_line)
    if replicates is None:
        wanted = REPLICATES_PER_DIFFERENCE * sum(len(places) for places in by_line.values())
        replicates = max(1000, min(wanted, MOST_REPLICATES))
    found: list[Difference] = []
    families: list[FamilyDifference] = []
    for label in sorted(by_line, key=line_order):
        if label != baseline:
            drawn = _differences(label, by_line[label], by_line[baseline], metric_of, replicates, problems)
            found += [difference for difference, _ in drawn]
            families += _families(drawn)
    found, families = _adjusted(found), _adjusted(families)
    tests = max(Counter(d.protocol for d in found if d.claimable).values(), default=0)
    if 2 * tests > ALPHA * replicates:
        problems.append(
            f"{tests} differences need more than {replicates} replicates for any to be told apart."
        )
    return Comparison(baseline, found, families, _summary(by_line, baseline, found, problems), problems)


def _place(run: Run) -> Place:
    return row_of(run).protocol, column_of_run(run, DROP)


def _rows(runs: Iterable[Run]) -> tuple[Stored, ...]:
    return tuple(
        stored for run in runs for stored in (run.cells.values() if isinstance(run, Sweep) else (run,))
    )


def _differences(
    label: str,
    mine: dict[Place, list[Run]],
    reference: dict[Place, list[Run]],
    metric_of: MetricOf,
    replicates: int,
    problems: list[str],
) -> list[tuple[Difference, Replicates]]:
    found = []
    for place in sorted(mine):
        protocol, column = place
        where = f"{label} on {column.task}, {column.place}, {protocol}"
        if place not in reference:
            problems.append(f"{where}: the baseline has no row of this task version, protocol and subset.")
            continue
        a, b = mine[place], reference[place]
        unlike = _unlike((*a, *b))
        if unlike:
            problems.append(f"{where}: {unlike}; not compared.")
            continue
        try:
            drawn = _replicated(a, b, metric_of, replicates)
        except PacoError as error:
            problems.append(f"{where}: {error}")
            continue
        except KeyError as error:
            problems.append(f"{where}: the items have no column {error}; evaluate again.")
            continue
        values, seeds = (mean_over(column, a), mean_over(column, b)), min(seeds_of(a), seeds_of(b))
        difference = Difference(label, protocol, column, *values, *drawn.tested(), seeds, _rows((*a, *b)))
        found.append((difference, drawn))
    return found


def _replicated(
    ours: Sequence[Run], baseline: Sequence[Run], metric_of: MetricOf, replicates: int
) -> Replicates:
    """Return the paired difference of two sides of one place under resampling."""
    row = row_of(ours[0])
    mine, others = ([run for run in side if isinstance(run, Sweep)] for side in (ours, baseline))
    if mine and others:
        return replicated_drops(mine, others, replicates=replicates, joint=True)
    definition = metric_of(row, row.main_metric)
    if definition is None:
        raise PacoError("no definition of its metric; not compared.")
    tables = [[stored.items() for stored in _rows(side)] for side in (ours, baseline)]
    return replicated(definition, *tables, replicates=replicates, joint=True)


def _families(drawn: Sequence[tuple[Difference, Replicates]]) -> list[FamilyDifference]:
    """Return one encoder's families, over its whole tasks: subsets of them would count people twice."""
    members: dict[tuple[str, str], list[tuple[Difference, Replicates]]] = defaultdict(list)
    for difference, replicates in drawn:
        if difference.column.subset == "all" and difference.column.split == "test":
            family = difference.column.task.partition("/")[0]
            members[difference.protocol, family].append((difference, replicates))
    found = []
    for (protocol, family), parts in members.items():
        mean = mean_over_tasks([standardised(r, bool(d.column.higher_is_better)) for d, r in parts])
        tasks = tuple(difference.column.task for difference, _ in parts)
        seeds = min(difference.seeds for difference, _ in parts)
        found.append(FamilyDifference(parts[0][0].encoder, protocol, family, tasks, *mean.tested(), seeds))
    return found


def _adjusted(differences: Sequence[Tested]) -> list[Tested]:
    """Return the differences with p-values adjusted over those of their protocol that can be claimed."""
    adjusted: dict[int, float] = {}
    for protocol in {difference.protocol for difference in differences}:
        tests = [i for i, d in enumerate(differences) if d.protocol == protocol and d.claimable]
        adjusted.update(zip(tests, holm([differences[i].p_value for i in tests]).tolist(), strict=True))
    return [replace(d, p_adjusted=adjusted.get(i, math.nan)) for i, d in enumerate(differences)]


def _unlike(runs: Sequence[Run]) -> str:
    rows = [row_of(run) for run in runs]
    if len(set(ways_of(rows).values())) > 1:
        return "another face crop than the baseline"
    if len({row.data_fingerprint for row in rows}) > 1:
        return "other images than the baseline"
    if len({frozenset(run.cells) for run in runs if isinstance(run, Sweep)}) > 1:
        return "other kinds or levels than the baseline, or than another seed"
    return ""


def _summary(
    by_line: dict[str, dict[Place, list[Run]]],
    baseline: str,
    differences: Sequence[Difference],
    problems: list[str],
) -> pd.DataFrame:
    """Return a line per encoder: counts of verdicts, mean rank with its interval, cost."""
    lines = {label: dict.fromkeys(VERDICTS, 0) for label in sorted(by_line, key=line_order)}
    for difference in differences:
        lines[difference.encoder][difference.verdict] += 1
    frame = pd.DataFrame.from_dict(lines, orient="index").astype(object)
    frame.loc[baseline, list(VERDICTS)] = None
    return frame.join(_ranks(by_line, problems)).join(_cost(by_line))


def _ranks(by_line: dict[str, dict[Place, list[Run]]], problems: list[str]) -> pd.DataFrame:
    scores = pd.DataFrame(
        {
            label: {f"{p}|{c.task}|{c.place}": mean_over(c, rows) for (p, c), rows in places.items()}
            for label, places in by_line.items()
        }
    ).T
    columns = {f"{p}|{c.task}|{c.place}": c for places in by_line.values() for p, c in places}
    complete = scores.dropna(axis=1)
    if complete.shape[1] < scores.shape[1]:
        left_out = scores.shape[1] - complete.shape[1]
        problems.append(f"Mean rank: {left_out} of {scores.shape[1]} scores are missing for an encoder.")
    if complete.empty:
        return pd.DataFrame(index=scores.index, columns=["mean_rank", "low", "high"], dtype=float)
    return mean_rank(complete, {name: bool(columns[name].higher_is_better) for name in complete.columns})


def _cost(by_line: dict[str, dict[Place, list[Run]]]) -> pd.DataFrame:
    costs = {
        label: pd.DataFrame([row_of(run).cost for runs in places.values() for run in runs]).mean()
        for label, places in by_line.items()
    }
    return pd.DataFrame(costs).T.reindex(columns=["parameters", "flops", "images_per_s"])
