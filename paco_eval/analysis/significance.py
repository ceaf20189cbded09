"""How sure numbers over seeds are, and the definitions behind them.

:func:`widest_ends` needs rows only and is conservative. :func:`seed_intervals` reads the items and resamples people and
pretraining seeds together; it needs the definitions of the metrics.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import cache

from paco_eval.rows.schema import Row
from paco_eval.rows.store import Stored
from paco_fr.contracts import CROPS
from paco_fr.utils.errors import PacoError
from tasks.kinds import KINDS, load_kind
from tasks.metrics.metric import Metric
from tasks.task import Task

Ends = tuple[float | None, float | None]
MetricOf = Callable[[Row, str], Metric | None]
"""The definition behind a metric of a row; None if it is not known, e.g. of an older task version."""


MeanInterval = Callable[[str, Sequence[Stored]], Ends]
"""Interval of the mean of a metric over the rows (seeds) of one method."""


def widest_ends(metric: str, rows: Sequence[Stored]) -> Ends:
    """Return the lowest low and the highest high over seeds; None, None if a seed has no interval."""
    found = [stored.row.metrics[metric] for stored in rows]
    lows = [m.low for m in found if m.low is not None]
    highs = [m.high for m in found if m.high is not None]
    return (min(lows), max(highs)) if len(lows) == len(found) else (None, None)


def seed_intervals(metric_of: MetricOf, *, replicates: int = 1000) -> MeanInterval:
    """Return what resamples people and seeds together; where definition or items are missing it is :func:`widest_ends`.

    Args:
        metric_of: gives the definition of a metric, see :func:`metrics_of_tasks`.
        replicates: bootstrap replicates of every interval.

    """
    from paco_eval.analysis.statistics import over_seeds

    def mean_interval(metric: str, rows: Sequence[Stored]) -> Ends:
        definition = metric_of(rows[0].row, metric)
        if len(rows) == 1 or definition is None or any(s.row.metrics[metric].value is None for s in rows):
            return widest_ends(metric, rows)
        try:
            found = over_seeds(definition, [stored.items() for stored in rows], replicates=replicates)
        except (PacoError, KeyError):  # not scored on the same items, or items of an older layout
            return widest_ends(metric, rows)
        return (None, None) if math.isnan(found.low) else (found.low, found.high)

    return mean_interval


def metrics_of_tasks(tasks: Iterable[Task]) -> MetricOf:
    """Return the definitions that rows carry, else those of the declared tasks, where these are of the row's version."""
    declared = {task.name: task for task in tasks}

    @cache
    def definitions(name: str) -> dict[str, Metric]:
        task = declared[name]
        return {metric.name: metric for metric in load_kind(task.kind).metrics(task)}

    def metric_of(row: Row, metric: str) -> Metric | None:
        task = declared.get(row.task)
        if task is not None and task.version != row.task_version:
            return None
        found = defined(row, metric)
        if found is not None or task is None:
            return found
        return definitions(row.task).get(metric)

    return metric_of


def defined(row: Row, metric: str) -> Metric | None:
    """Return a metric by the definition that a row carries; None if it carries none, or one that means nothing here."""
    if row.definition is None or row.definition.kind not in KINDS:
        return None
    task = Task(
        row.task, row.task_version, row.definition.kind, "", CROPS["whole"], row.main_metric, "", "",
        options=row.definition.options,
    )  # fmt: skip
    try:
        known = load_kind(task.kind).metrics(task)
    except (PacoError, KeyError, TypeError, ValueError, AttributeError):  # options of another version
        return None
    return next((found for found in known if found.name == metric), None)


def registered_metrics() -> MetricOf:
    """Return the definitions of all tasks that are registered, their variants, and of those that derive from them."""
    from tasks.registry import named_tasks

    return metrics_of_tasks(named_tasks().values())
