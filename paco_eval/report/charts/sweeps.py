"""Where encoders break: curves over yaw, occlusion and light, and all that sweeps of derived tasks can show.

Rendered and perturbed pictures never meet in one chart. Where pictures are covered, the share of the face that this
hides stands under each level.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise, product
from statistics import fmean

import numpy as np

from paco_eval.analysis.columns import Column
from paco_eval.analysis.robustness import CONSTANT, angle_by_level, by_group, knows_angle, sweeps
from paco_eval.analysis.significance import MetricOf
from paco_eval.evaluation.protocols import apart
from paco_eval.report.charts.panels import Cells, Chart, Curve, Lines, few
from paco_eval.report.charts.scores import (
    ANGLES,
    Items,
    Problem,
    Title,
    angle_panel,
    main_columns,
    measured,
    nan_of,
    plain_title,
)
from paco_eval.report.tables.table import FAMILIES, Cell, Line, Table
from paco_eval.rows.store import Stored
from paco_fr.utils.errors import PacoError
from tasks.derived import CLEAN, PREFIX
from tasks.perturbations.catalogue import FACTORS

GROUPS = {"occlusion": "occluder", "illumination": "light"}
"""By factor the column of items that names it, where faces were rendered with several."""

ALL = "mean of kinds"
SOURCES = {
    "rendered": "Faces drawn again behind things or in other light",
    "perturbed": "Pictures painted over, relit or degraded",
}
MOST_MAPS = 1
"""Encoders whose score is mapped over yaw and level, the best ones; each map reads the items of a whole sweep."""


def breaking(
    tables: Sequence[Table], items: Items, metric_of: MetricOf, problem: Problem, title: Title = plain_title
) -> dict[str, Chart | None]:
    """Return for yaw, occlusion and illumination a chart with a panel a task; None where nothing says."""
    return {
        "yaw": _by_yaw(tables, items, metric_of, problem, title),
        "occlusion": _by_factor("occlusion", tables, items, metric_of, problem, title),
        "illumination": _by_factor("illumination", tables, items, metric_of, problem, title),
    }


def _plain_tasks(tables: Sequence[Table]) -> Iterator[tuple[Table, Column, list[tuple[str, Stored]]]]:
    for table in tables:
        if table.compared or table.mimic or apart(table.protocol)[0] != "frozen":
            continue
        for column, found in main_columns(table):
            rows = [(label, cell.rows[0]) for label, cell in found if cell.value is not None and cell.rows]
            chosen = set(few(label for label, _ in rows))
            rows = [(label, stored) for label, stored in rows if label in chosen]
            if column.subset == "all" and rows and "codebook" not in column.task:
                yield table, column, rows


def _by_yaw(
    tables: Sequence[Table], items: Items, metric_of: MetricOf, problem: Problem, title: Title
) -> Chart | None:
    panels = []
    for _, column, rows in _plain_tasks(tables):
        try:
            found = {label: items(stored) for label, stored in rows}
            panels.append(angle_panel("yaw", column.task, found, rows, metric_of, title(column)))
        except PacoError as error:
            problem(str(error))
    drawn = tuple(panel for panel in panels if panel is not None)
    return Chart("breaks-yaw", "", "", drawn) if drawn else None


def _by_factor(
    factor: str,
    tables: Sequence[Table],
    items: Items,
    metric_of: MetricOf,
    problem: Problem,
    title: Title,
) -> Chart | None:
    panels: list[Lines] = []
    for table in tables:
        if table.compared or table.mimic or apart(table.protocol)[0] != "frozen":
            continue
        for task, columns in swept(table).items():
            name, _, base = task.partition("/")
            curves = _mean_curves(table, columns)
            if name.removeprefix(PREFIX) == factor and any(len(curve.x) > 1 for curve in curves):
                drawn = ", drawn" if _source(table, columns) == "rendered" else ", painted"
                panels.append(_levels(table, columns, f"{base}{drawn}", _few_of(columns[0], curves), title))
    if not panels:
        for _, column, rows in _plain_tasks(tables):
            try:
                panels += _grouped(factor, column, rows, items, metric_of, title)
            except PacoError as error:
                problem(str(error))
    return Chart(f"breaks-{factor}", "", "", tuple(panels)) if panels else None


def _few_of(column: Column, curves: Sequence[Curve]) -> tuple[Curve, ...]:
    sign = -1.0 if column.higher_is_better else 1.0
    ranked = sorted(curves, key=lambda curve: sign * fmean(curve.y))
    kept = set(few(curve.label for curve in ranked))
    return tuple(curve for curve in ranked if curve.label in kept)


def _grouped(
    factor: str,
    column: Column,
    rows: Sequence[tuple[str, Stored]],
    items: Items,
    metric_of: MetricOf,
    title: Title,
) -> Iterator[Lines]:
    """Yield the score by the occluder or the light that faces of the task were rendered with."""
    row = rows[0][1].row
    metric, by = metric_of(row, row.main_metric), GROUPS[factor]
    found = {label: items(stored) for label, stored in rows}
    if metric is None or not all(by in frame for frame in found.values()):
        return
    scores = {label: by_group(frame, metric, by) for label, frame in found.items()}
    names = list(dict.fromkeys(name for score in scores.values() for name in score))
    if len(names) < 2:
        return
    curves = tuple(
        Curve(label, tuple(float(names.index(name)) for name in score), tuple(score.values()))
        for label, score in scores.items()
    )
    ticks = tuple((float(i), name.replace("_", " ")) for i, name in enumerate(names))
    yield Lines(column.task, by, title(column), curves, ticks)


def swept(table: Table) -> dict[str, list[Column]]:
    """Return the main columns of each derived task, clean first; tasks without a clean column are left out."""
    found: dict[str, list[Column]] = defaultdict(list)
    for column in sorted(table.columns, key=lambda column: (column.task, column.level)):
        if column.main and column.level >= 0:
            found[column.task].append(column)
    return {
        task: columns
        for task, columns in found.items()
        if columns[0].level == 0 < columns[-1].level and len({column.task_version for column in columns}) == 1
    }


def sweep_charts(table: Table, problem: Problem, title: Title = plain_title) -> Iterator[Chart]:
    """Yield for each derived task of a table its curves, a panel per kind, and the best encoders' maps of yaw."""
    if table.compared:
        return
    for task, columns in swept(table).items():
        panels = list(_kinds(table, columns, title))
        if not panels:
            continue
        caption = "First panel: kinds weigh alike; band: lowest and highest seed. Others: the interval."
        yield Chart(f"{task}-levels", task, caption, tuple(panels), notes=_seeds([table]))
        try:
            yield from _maps(table, task, columns, title)
        except PacoError as error:
            problem(str(error))


def overview_charts(tables: Sequence[Table], title: Title = plain_title) -> dict[str, list[Chart]]:
    """Return a chart of rendered and one of perturbed pictures, under the title of a table to stand with.

    A line of panels for each factor and a panel for each task. Each curve is the mean over kinds of an encoder, or
    of a method over its pretraining seeds with a band from the lowest to the highest seed. Protocols have charts
    of their own; what departs from one, as where a choice came from, stands above the panel.
    """
    panels: dict[tuple[str, str], dict[tuple[str, str], tuple[Table, Lines]]] = defaultdict(dict)
    for table in tables:
        if table.compared or table.mimic:
            continue
        protocol, departures = apart(table.protocol)
        for task, columns in swept(table).items():
            curves = _mean_curves(table, columns)
            if len({x for curve in curves for x in curve.x}) > 1:
                name, _, base = task.partition("/")
                factor, base = name.removeprefix(PREFIX), f"{base} {departures}".strip()
                panel = _levels(table, columns, f"{factor} · {base}", curves, title)
                panels[_source(table, columns), protocol][factor, base] = table, panel
    drawn: dict[str, list[Chart]] = defaultdict(list)
    for (source, protocol), found in panels.items():
        factors = [factor for factor in FACTORS if factor in {factor for factor, _ in found}]
        bases = sorted({base for _, base in found}, key=_base_order)
        across = len(bases) if min(len(factors), len(bases)) > 1 else min(len(found), 4)
        grid = tuple(found[place][1] if place in found else None for place in product(factors, bases))
        name = f"robustness-{source}" if protocol == "frozen" else f"robustness-{source}-{protocol}"
        caption = f"{SOURCES[source]}: mean over kinds, which weigh alike. Several seeds: mean, band from lowest to highest."
        first = next(iter(found.values()))[0]
        notes = _seeds(table for table, _ in found.values())
        drawn[first.title].append(Chart(name, "", caption, grid, across, notes))
    return drawn


def _base_order(base: str) -> tuple[int, str]:
    family = base.partition("/")[0]
    return (FAMILIES.index(family) if family in FAMILIES else len(FAMILIES), base)


def _source(table: Table, columns: Sequence[Column]) -> str:
    """Return whether the pictures of a derived task are rendered or perturbed, as its rows say."""
    cells = (cell for line in measured(table) for cell in _cells(table, line, columns) if cell)
    return str(next(stored.row.chosen.get("source", "perturbed") for cell in cells for stored in cell.rows))


def _cells(table: Table, line: Line, columns: Sequence[Column]) -> list[Cell | None]:
    place = {column: position for position, column in enumerate(table.columns)}
    return [line.cells[place[column]] for column in columns]


def _levels(
    table: Table, columns: Sequence[Column], head: str, curves: Sequence[Curve], title: Title
) -> Lines:
    """Return a panel of curves over some columns of a derived task, with what is hidden at each level."""
    factor = columns[0].task.partition("/")[0].removeprefix(PREFIX)
    hidden: dict[int, list[float]] = defaultdict(list)
    for line in measured(table) if factor == "occlusion" else ():
        for column, cell in zip(columns, _cells(table, line, columns), strict=True):
            found = [stored.row.chosen.get("achieved") for stored in cell.rows] if cell else []
            hidden[column.level] += [float(share) for share in found if share is not None]
    shares = {level: f"\n{100 * fmean(found):.0f} %" for level, found in hidden.items() if found}
    ticks = tuple(
        (float(level), ("clean" if level == 0 else str(level)) + shares.get(level, ""))
        for level in sorted({column.level for column in columns})
    )
    xlabel = f"{factor}, level{' and share hidden' if shares else ''}"
    return Lines(head, xlabel, title(columns[0]), tuple(curves), ticks)


def _kinds(table: Table, columns: Sequence[Column], title: Title) -> Iterator[Lines]:
    """Yield the panel of the mean, then one for each kind; level 0 is the clean point of all of them."""
    kinds = sorted({column.subset for column in columns if column.level > 0})
    if len(kinds) > 1:
        curves = _few_of(columns[0], _mean_curves(table, columns))
        if len({x for curve in curves for x in curve.x}) > 1:
            yield _levels(table, list(columns), ALL, curves, title)
    for kind in kinds:
        own = [column for column in columns if column.level == 0 or column.subset == kind]
        found = []
        for line in measured(table):
            cells = [
                (column.level, cell)
                for column, cell in zip(own, _cells(table, line, own), strict=True)
                if cell and cell.value is not None
            ]
            if cells:
                x, y = [float(level) for level, _ in cells], [nan_of(cell.value) for _, cell in cells]
                low, high = [nan_of(cell.low) for _, cell in cells], [nan_of(cell.high) for _, cell in cells]
                found.append(Curve(line.label, tuple(x), tuple(y), tuple(low), tuple(high)))
        if len({x for curve in found for x in curve.x}) > 1:
            yield _levels(table, own, kind.replace("_", " "), _few_of(own[0], found), title)


def _mean_curves(table: Table, columns: Sequence[Column]) -> list[Curve]:
    """Return the mean over kinds of each line by level, with lowest and highest seed where there are several."""
    curves = []
    for line in measured(table):
        points = []
        for level in sorted({column.level for column in columns}):
            own = [column for column in columns if column.level == level]
            cells = [cell for cell in _cells(table, line, own) if cell and cell.value is not None]
            if len(cells) < len(own):
                continue  # no mean over some of the kinds
            seeds: dict[int | None, list[float]] = defaultdict(list)
            for cell in cells:
                for stored in cell.rows:
                    seeds[stored.row.pretrain_seed].append(nan_of(stored.row.main.value))
            means = [fmean(values) for values in seeds.values()]
            band = (min(means), max(means)) if len(means) > 1 else (float("nan"), float("nan"))
            points.append((float(level), fmean(nan_of(cell.value) for cell in cells), *band))
        if points:
            x, y, low, high = map(tuple, zip(*points, strict=True))
            curves.append(Curve(line.label, x, y, low, high))
    return curves


def _seeds(tables: Iterable[Table]) -> tuple[tuple[str, str], ...]:
    """Return over how many pretraining seeds the lines of tables are means, where it is more than one."""
    counts: dict[str, set[int]] = defaultdict(set)
    for table in tables:
        for line in measured(table):
            counts[line.label].add(
                len({s.row.pretrain_seed for cell in line.cells if cell for s in cell.rows})
            )
    return tuple(
        (label, f"{min(found)}–{max(found)} seeds" if len(found) > 1 else f"{max(found)} seeds")
        for label, found in counts.items()
        if max(found) > 1
    )


def _maps(table: Table, task: str, columns: Sequence[Column], title: Title) -> Iterator[Chart]:
    """Yield the score over true yaw, and pitch, and level of the best encoder, averaged over kinds and seeds."""
    higher = bool(columns[0].higher_is_better)
    ranked = []
    for line in measured(table):
        cells = [cell for cell in _cells(table, line, columns) if cell and cell.value is not None]
        if line.label != CONSTANT and len(cells) == len(columns):
            ranked.append((fmean(nan_of(cell.value) for cell in cells), line.label, cells))
    ranked.sort(key=lambda entry: (-entry[0] if higher else entry[0], entry[1]))
    for _, label, cells in ranked[:MOST_MAPS]:
        runs, read = sweeps(stored for cell in cells for stored in cell.rows), Items()
        for angle, (edges, sign) in ANGLES.items():
            if not runs or not knows_angle(read(runs[0].cells[CLEAN]), angle):
                continue
            found = [angle_by_level(run, angle, edges, read=read) for run in runs]
            values = np.mean([values for _, values in found], axis=0)
            panel = heat_map(
                values,
                levels=found[0][0],
                edges=edges,
                head=f"{task}, {label}",
                higher_is_better=higher,
                xlabel=f"true {angle}, degrees; positive: {sign}",
                ylabel=f"{task.partition('/')[0]}, level",
            )
            caption = (
                f"{title(columns[0])} by true {angle} and level, mean over kinds; the darker, the worse."
            )
            yield Chart(f"{task}-{label}-{angle}-by-level", task, caption, (panel,))


def heat_map(
    values: np.ndarray,
    *,
    levels: Sequence[int],
    edges: Sequence[float],
    head: str,
    xlabel: str,
    ylabel: str,
    higher_is_better: bool,
) -> Cells:
    """Return a score (L, B) by angle (columns) and severity (rows); the darker, the worse."""
    low, high = (np.nanmin(values), np.nanmax(values)) if np.isfinite(values).any() else (0.0, 1.0)
    bad = (high - values if higher_is_better else values - low) / max(float(high - low), 1e-12)
    digits = 2 if high <= 1.0 else 1
    texts = tuple(tuple(f"{v:.{digits}f}" if np.isfinite(v) else "–" for v in row) for row in values)
    names = tuple("clean" if level == 0 else str(level) for level in levels)
    bins = tuple(f"{(a + b) / 2:g}" for a, b in pairwise(edges))
    return Cells(head, xlabel, ylabel, names, bins, np.where(np.isfinite(bad), bad, 0.0), texts)
