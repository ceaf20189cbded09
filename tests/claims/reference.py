"""The archive that the claims rest on, and what they are computed with."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from paco_eval.analysis.bootstrap import Interval
from paco_eval.analysis.compare import FamilyDifference, compare
from paco_eval.analysis.significance import registered_metrics
from paco_eval.analysis.statistics import over_seeds
from paco_eval.rows.store import load_rows
from tasks.kinds import load_kind
from tasks.metrics.metric import Metric
from tasks.registry import all_tasks, derived

FOLDER = Path(__file__).parents[2] / "results" / "reference"


FAMILIES = ["pose", "landmarks", "expression", "recognition"]


@cache
def reference():
    """Rows and problems."""
    return load_rows([FOLDER])


def stored(task: str, method: str):
    """Return the rows of a method on a task, in the order of their seeds."""
    return [s for s in reference()[0] if (s.row.task, s.row.method) == (task, method)]


def main_metric(name: str) -> Metric:
    task = (all_tasks() | derived())[name]
    return next(metric for metric in load_kind(task.kind).metrics(task) if metric.name == task.main_metric)


def difference(task: str, ours: str, baseline: str) -> Interval:
    """Return the paired difference over seeds and people."""
    sides = [[s.items() for s in stored(task, method)] for method in (ours, baseline)]
    return over_seeds(main_metric(task), sides[0], baseline=sides[1], replicates=400)


def gain(task: str, ours: str, baseline: str) -> Interval:
    """Return the difference over seeds and people, positive is better."""
    found = difference(task, ours, baseline)
    return found if main_metric(task).higher_is_better else Interval(-found.value, -found.high, -found.low)


def compared(baseline: str, *others: str) -> list[FamilyDifference]:
    """Return the differences of others from the baseline, corrected over all of them, with 10,000 replicates."""
    tasks = [f"{family}/synthetic" for family in FAMILIES]
    rows = [found for task in tasks for method in (baseline, *others) for found in stored(task, method)]
    return compare(rows, baseline, metric_of=registered_metrics(), replicates=10_000).families


def verdicts(baseline: str, *others: str) -> dict[tuple[str, str], str]:
    """Return what is said of the others against the baseline, by method and family."""
    return {(found.encoder, found.family): found.verdict for found in compared(baseline, *others)}
