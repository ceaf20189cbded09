"""From rows to charts of scores: what is worth drawing, of whom, with which words."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from paco_eval.analysis.columns import Column
from paco_eval.analysis.robustness import (
    PITCH_EDGES,
    YAW_EDGES,
    by_angle,
    knows_angle,
)
from paco_eval.analysis.significance import MetricOf
from paco_eval.evaluation.protocols import apart
from paco_eval.report.charts.panels import Cells, Chart, Curve, Dots, Lines, few, thinned
from paco_eval.report.tables.table import Cell, Line, Table
from paco_eval.rows.schema import Row
from paco_eval.rows.store import Stored
from paco_fr.contracts import EXPRESSIONS
from paco_fr.utils.errors import PacoError

Problem = Callable[[str], None]
Title = Callable[[Column], str]
"""A metric as it is written on an axis."""

ANGLES = {"yaw": (YAW_EDGES, "nose to the left"), "pitch": (PITCH_EDGES, "nose up")}
"""Angles that scores are shown against: edges of the bins in degrees, and what is positive."""


class Items:
    """Reads the items of rows, each file once."""

    def __init__(self) -> None:
        self._read: dict[str, pd.DataFrame] = {}

    def __call__(self, stored: Stored) -> pd.DataFrame:
        """Return the items of a row; raises PacoError where they cannot be read."""
        place = str(stored.path)
        if place not in self._read:
            self._read[place] = stored.items()
        return self._read[place]


def plain_title(column: Column) -> str:
    """Return the metric of a column with unit and direction."""
    return column.heading


def measured(table: Table) -> list[Line]:
    """Return the lines that were measured here."""
    return [line for line in table.lines if line.kind == "measured"]


def main_columns(table: Table) -> Iterator[tuple[Column, list[tuple[str, Cell]]]]:
    """Yield main columns with their cells, best first; levels are drawn as curves."""
    for place, column in enumerate(table.columns):
        if not column.main or column.level >= 0:
            continue
        found = [(line.label, cell) for line in measured(table) if (cell := line.cells[place])]
        if found:
            yield column, _ranked(column, found)


def _ranked(column: Column, found: Sequence[tuple[str, Cell]]) -> list[tuple[str, Cell]]:
    sign = -1.0 if column.higher_is_better else 1.0
    return sorted(found, key=lambda entry: (entry[1].value is None, sign * (entry[1].value or 0.0), entry[0]))


def nan_of(value: float | None) -> float:
    """Return a number, NaN for none."""
    return float("nan") if value is None else value


def table_charts(
    table: Table, items: Items, metric_of: MetricOf, problem: Problem, title: Title = plain_title
) -> Iterator[Chart]:
    """Yield dots of all main metrics, then what the items of each task can show."""
    if table.compared:
        return
    for column, found in main_columns(table):
        dots = tuple(
            (label, nan_of(cell.value), nan_of(cell.low), nan_of(cell.high)) for label, cell in found
        )
        name = f"{column.task}-{column.place}-dots"
        yield Chart(
            name,
            column.task,
            "",
            (Dots(f"{table.family} · {column.place}", title(column), dots, column.decimals),),
        )
        if column.subset != "all":
            continue
        yield from _cost(column, found, title)
        rows = [(label, cell.rows[0]) for label, cell in found if cell.value is not None and cell.rows]
        chosen = set(few(label for label, _ in rows))
        try:
            drawn = {label: items(stored) for label, stored in rows if label in chosen}
            yield from _of_items(table, column, drawn, rows, metric_of, title)
        except PacoError as error:
            problem(str(error))


def _cost(column: Column, found: Sequence[tuple[str, Cell]], title: Title) -> Iterator[Chart]:
    """Yield the score against the number of parameters, where at least three sizes were measured."""
    points = [
        (cell.rows[0].row.cost.get("parameters", 0.0), label, cell) for label, cell in found if cell.rows
    ]
    points = [(cost, label, cell) for cost, label, cell in points if cost > 0 and cell.value is not None]
    if len({cost for cost, _, _ in points}) < 3:
        return
    curves = tuple(
        Curve(label, (cost,), (nan_of(cell.value),), (nan_of(cell.low),), (nan_of(cell.high),))
        for cost, label, cell in points
    )
    panel = Lines(f"{column.task}, by size", "parameters", title(column), curves, log=True)
    yield Chart(f"{column.task}-cost", column.task, "Score against the size of the encoder.", (panel,))


def _of_items(
    table: Table,
    column: Column,
    items: Mapping[str, pd.DataFrame],
    rows: Sequence[tuple[str, Stored]],
    metric_of: MetricOf,
    title: Title,
) -> Iterator[Chart]:
    if not items:
        return
    label, first = next(iter(items.items()))
    task, columns, head = column.task, set(first.columns), f"{table.family} · {column.place}"
    if {"score", "truth"} <= columns:
        yield Chart(
            f"{task}-roc", task, "True accepts against false accepts, all pairs.", (_roc(head, items),)
        )
    elif {"prediction", "truth", "confidence"} <= columns or table.family.endswith("expression"):
        yield Chart(
            f"{task}-confusion",
            task,
            f"{label}: rows are true classes and sum to 100 %.",
            (_confusion(f"{head}, {label}", first, rows[0][1].row),),
        )
    elif "error" in columns and table.family.endswith("landmarks"):
        panel = _cumulative(head, items, title(column), _failure_threshold(rows[0][1], items))
        yield Chart(f"{task}-ced", task, "Share of faces with at most each error.", (panel,))
    if {"nearest", "believed"} <= columns:
        from tasks.kinds.codebook import position_entropy

        maps = [
            _map(f"{name} tokens of {label}", position_entropy(first, name))
            for name in ("nearest", "believed")
        ]
        yield Chart(
            f"{task}-places",
            task,
            "Entropy of the tokens at each place of the aligned face, in nats.",
            tuple(maps),
        )
    for angle in ANGLES:
        panel_ = angle_panel(angle, head, items, rows, metric_of, title(column))
        if panel_ is not None:
            caption = f"{title(column)} in bins of the true {angle}."
            yield Chart(f"{task}-{angle}-bins", task, caption, (panel_,))


def roc_points(truth: pd.Series, score: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return false and true positive rates (k,) from (0, 0) to (1, 1); equal scores share one point."""
    positive = np.asarray(truth, dtype=bool)
    values = np.asarray(score, dtype=np.float64)
    order = np.argsort(-values, kind="stable")
    last = np.append(np.flatnonzero(np.diff(values[order])), len(order) - 1)
    hits = np.cumsum(positive[order])[last]
    false = last + 1 - hits
    rates = [false / max(1, (~positive).sum()), hits / max(1, positive.sum())]
    return np.append(0.0, rates[0]), np.append(0.0, rates[1])


def _roc(head: str, items: Mapping[str, pd.DataFrame]) -> Lines:
    """Return true accepts over a logarithmic false accept rate, down to one accepted impostor."""
    impostors = max(int((~frame.truth.astype(bool)).sum()) for frame in items.values())
    least = 10.0 ** np.floor(np.log10(1 / max(10, impostors)))
    grid = np.logspace(np.log10(least), 0, 60)
    curves = []
    for label, frame in items.items():
        false, true = roc_points(frame.truth, frame.score.fillna(-np.inf))
        reached = true[np.searchsorted(false, grid, side="right") - 1]
        curves.append(Curve(label, tuple(grid.tolist()), tuple((100 * reached).tolist())))
    return Lines(
        head,
        "false accepts, share of impostor pairs",
        "true accepts, %",
        tuple(curves),
        log=True,
        dense=True,
        top=100.0,
    )


def _cumulative(head: str, items: Mapping[str, pd.DataFrame], xlabel: str, limit: float) -> Lines:
    curves = []
    for label, frame in items.items():
        found = frame.error.to_numpy(dtype=np.float64)  # NaN is a failure and stays above every limit
        ordered = np.sort(found[np.isfinite(found) & (found <= limit)])
        share = 100 * np.arange(len(ordered) + 1) / max(1, len(found))
        curves.append(Curve(label, *thinned([0, *ordered, limit], [*share, share[-1]])))
    return Lines(head, xlabel, "faces with at most this error, %", tuple(curves), dense=True, top=100.0)


def _failure_threshold(stored: Stored, items: Mapping[str, pd.DataFrame]) -> float:
    """Return t of the row's failure rate at t, named fr7 or fr10; else what nearly all errors are under."""
    found = [re.fullmatch(r"fr(\d+(?:\.\d+)?)", name) for name in stored.row.metrics]
    limits = [float(match.group(1)) for match in found if match]
    return max(limits) if limits else float(np.ceil(np.nanquantile(next(iter(items.values())).error, 0.97)))


def classes_of(row: Row) -> Sequence[str]:
    """Return the names of a row's classes: from its definition, else the expressions, else none."""
    options = row.definition.options if row.definition is not None else {}
    return options.get("classes") or (EXPRESSIONS if row.family.endswith("expression") else ())


def class_name(row: Row, code: int) -> str:
    """Return a class as people call it, its number where nobody named it."""
    names = classes_of(row)
    if code < 0:
        return "none"
    return str(names[code]).replace("_", " ") if code < len(names) else str(code)


def _confusion(head: str, items: pd.DataFrame, row: Row) -> Cells:
    scored = items[items.prediction >= 0]
    codes = sorted(set(scored.truth) | set(scored.prediction))
    names = tuple(class_name(row, code) for code in codes)
    place = {code: i for i, code in enumerate(codes)}
    counts = np.zeros((len(codes), len(codes)))
    np.add.at(counts, (scored.truth.map(place), scored.prediction.map(place)), 1)
    share = counts / np.maximum(1, counts.sum(axis=1))[:, None]
    texts = tuple(tuple(f"{100 * v:.0f}" if v else "" for v in row) for row in share)
    return Cells(head, "predicted", "true", names, names, share, texts)


def _map(head: str, values: np.ndarray) -> Cells:
    """Return a number for each place of the face."""
    side = round(len(values) ** 0.5)
    grid = np.reshape(values, (side, side)).astype(np.float64)
    texts = tuple(tuple(f"{value:.1f}" for value in row) for row in grid)
    blank = ("",) * side
    return Cells(head, "", "", blank, blank, grid / max(1e-9, float(grid.max())), texts)


def angle_panel(
    angle: str,
    head: str,
    items: Mapping[str, pd.DataFrame],
    rows: Sequence[tuple[str, Stored]],
    metric_of: MetricOf,
    ylabel: str,
) -> Lines | None:
    """Return the score in bins of a true angle, None where it is not known or the metric has no definition."""
    stored = rows[0][1]
    metric = metric_of(stored.row, stored.row.main_metric)
    if metric is None or not all(knows_angle(frame, angle) for frame in items.values()):
        return None
    edges, sign = ANGLES[angle]
    curves = []
    for label, frame in items.items():
        bins = by_angle(frame, metric, angle, edges)
        known = bins[bins.value.notna()]
        centre = (known.low + known.high) / 2
        curves.append(Curve(label, tuple(centre.tolist()), tuple(known.value.astype(float).tolist())))
    if max(len(curve.x) for curve in curves) < 2:
        return None
    return Lines(head, f"true {angle}, degrees; positive: {sign}", ylabel, tuple(curves))


_FEW_SHOT = re.compile(r"few-shot (\d+(?:\.\d+)?) ?(%|per class)")


def few_shot_charts(tables: Sequence[Table], title: Title = plain_title) -> dict[str, list[Chart]]:
    """Return scores against labelled items for each task, under the title of a table to stand with.

    The protocols ``few-shot 1%`` and ``few-shot 5 per class`` are points of a curve, ``frozen`` with the same
    departures (a limit, say) is its end at all items. The curve stands with the table of its fewest items.
    """
    points: dict[tuple[str, str, Column, str], list[tuple[float, Table, int]]] = defaultdict(list)
    for table in tables:
        if table.compared or table.mimic:
            continue
        name, departures = apart(table.protocol)
        found = _FEW_SHOT.fullmatch(name)
        if not (found or name == "frozen"):
            continue
        for at, column in enumerate(table.columns):
            if not column.main or column.level >= 0 or column.subset != "all":
                continue
            for unit in [found[2]] if found else ["%", "per class"]:
                amount = float(found[1]) if found else np.inf
                points[unit, departures, column, table.family].append((amount, table, at))
    drawn: dict[str, list[Chart]] = defaultdict(list)
    for (unit, _, column, family), places in points.items():
        amounts = sorted({amount for amount, _, _ in places})
        if len(amounts) < 2:
            continue
        panel = _few_shot(places, amounts, unit, f"{family} · {column.place}", title(column))
        _, first, _ = min(places, key=lambda place: place[0])
        name = f"{column.task}-few-shot-{'share' if unit == '%' else 'per-class'}"
        caption = "Score against the number of labelled items; band: interval."
        drawn[first.title].append(Chart(name, column.task, caption, (panel,)))
    return drawn


def _few_shot(
    places: Sequence[tuple[float, Table, int]], amounts: Sequence[float], unit: str, head: str, ylabel: str
) -> Lines:
    found: dict[str, list[tuple[float, Cell]]] = defaultdict(list)
    labelled: dict[float, float] = {}
    for amount, table, at in sorted(places, key=lambda place: place[0]):
        for line in measured(table):
            cell = line.cells[at]
            if cell and cell.value is not None:
                found[line.label].append((float(amounts.index(amount)), cell))
                count = cell.rows[0].row.chosen.get("labelled")
                labelled[amount] = max(labelled.get(amount, 0.0), float(count or 0.0))
    ticks = tuple(
        (
            float(i),
            ("all" if np.isinf(amount) else f"{amount:g} {unit}")
            + (f"\nn = {labelled[amount]:.0f}" if labelled.get(amount) else ""),
        )
        for i, amount in enumerate(amounts)
    )
    curves = tuple(
        Curve(
            label,
            tuple(x for x, _ in cells),
            tuple(nan_of(cell.value) for _, cell in cells),
            tuple(nan_of(cell.low) for _, cell in cells),
            tuple(nan_of(cell.high) for _, cell in cells),
        )
        for label, cells in found.items()
    )
    return Lines(head, "labelled items used for training", ylabel, curves, ticks)
