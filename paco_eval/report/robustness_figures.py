"""Figures of derived tasks: curves over levels by kind and over all kinds, and maps of yaw by level.

Rendered and perturbed pictures never meet in one figure. Where pictures are covered, the share of the face that
this hides stands under each level.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product
from statistics import fmean

import numpy as np
import pandas as pd

from paco_eval.analysis.columns import Column
from paco_eval.analysis.robustness import CONSTANT, angle_by_level, knows_angle, sweeps
from paco_eval.evaluation.protocols import apart
from paco_eval.report.figures import ANGLES, Drawn
from paco_eval.report.plots.robustness import Panel, heat_map, robustness_curves
from paco_eval.report.plots.style import short_name
from paco_eval.report.tables.table import FAMILIES, Cell, Line, Table
from paco_fr.utils.errors import PacoError
from tasks.derived import CLEAN, PREFIX
from tasks.perturbations.catalogue import FACTORS

ALL = "mean of kinds"
TITLES = {
    "rendered": "Faces drawn again behind things or in other light, mean of kinds",
    "perturbed": "Pictures painted over, relit or degraded, mean of kinds",
}
"""Of the two sources of trouble, which share no figure."""
MOST_ACROSS = 4
"""Panels side by side where there is one factor, or one task."""
MOST_MAPS = 3
"""Encoders whose score is mapped over yaw and level, the best ones."""

COLUMNS = ["encoder", "level", "value", "low", "high"]


def sweep_figures(table: Table, problem: Callable[[str], None]) -> Iterator[Drawn]:
    """Yield for each derived task of a table its curves, a panel per kind, and the best encoders' maps of yaw."""
    if table.compared:
        return
    for task, columns in _swept(table).items():
        panels = _panels(table, columns)
        if not panels:
            continue
        yield Drawn(
            f"{task}-levels", task, "First panel: kinds weigh alike; band: lowest and highest seed. Others: the interval.",
            robustness_curves(panels, title=task, shared=True, notes=_seeds([table])), True,
            spoken=f"{columns[0].heading} at growing severity of {task.partition('/')[0]}",
        )  # fmt: skip
        try:
            yield from _maps(table, task, columns)
        except PacoError as error:
            problem(str(error))


def overview_figures(tables: Sequence[Table]) -> dict[str, list[Drawn]]:
    """Return a figure of rendered and one of perturbed pictures, under the title of a table to stand with.

    A line of panels for each factor and a panel for each task. Each curve is the mean over kinds of an encoder, or
    of a method over its pretraining seeds with a band from the lowest to the highest seed. Protocols have figures
    of their own; what departs from one, as where a choice came from, stands above the panel.
    """
    panels: dict[tuple[str, str], dict[tuple[str, str], tuple[Table, Panel]]] = defaultdict(dict)
    for table in tables:
        if table.compared or table.mimic:
            continue
        protocol, departures = apart(table.protocol)
        for task, columns in _swept(table).items():
            scores = _mean_curves(table, columns)
            if len(set(scores.level)) > 1:
                name, _, base = task.partition("/")
                factor, base = name.removeprefix(PREFIX), f"{base}\n{departures}".strip()
                panel = _panel(table, columns, f"{factor} · {base}", scores)
                panels[_source(table, columns), protocol][factor, base] = table, panel
    drawn: dict[str, list[Drawn]] = defaultdict(list)
    for (source, protocol), found in panels.items():
        factors = [factor for factor in FACTORS if factor in {factor for factor, _ in found}]
        bases = sorted({base for _, base in found}, key=_base_order)
        across = len(bases) if min(len(factors), len(bases)) > 1 else min(len(found), MOST_ACROSS)
        grid = [found[place][1] if place in found else None for place in product(factors, bases)]
        notes = _seeds(table for table, _ in found.values())
        figure = robustness_curves(grid, title=TITLES[source], shared=False, columns=across, notes=notes)
        caption = (
            "Mean over kinds, which weigh alike. Several seeds: mean, band from the lowest to the highest."
        )
        name = f"robustness-{source}" if protocol == "frozen" else f"robustness-{source}-{protocol}"
        first = next(iter(found.values()))[0]
        drawn[first.title].append(Drawn(name, "", caption, figure, True))
    return drawn


def _base_order(base: str) -> tuple[int, str]:
    family = base.partition("/")[0]
    return (FAMILIES.index(family) if family in FAMILIES else len(FAMILIES), base)


def _source(table: Table, columns: Sequence[Column]) -> str:
    """Return whether the pictures of a derived task are rendered or perturbed, as its rows say."""
    cells = (cell for line in _measured(table) for cell in _cells(table, line, columns) if cell)
    return str(next(stored.row.chosen.get("source", "perturbed") for cell in cells for stored in cell.rows))


def _panel(table: Table, columns: Sequence[Column], name: str, scores: pd.DataFrame) -> Panel:
    """Return a panel of curves over some columns of a derived task, with what is hidden at each level."""
    factor = columns[0].task.partition("/")[0].removeprefix(PREFIX)
    if factor != "occlusion":
        return Panel(name, columns[0].heading, f"{factor}, level", scores)
    shares: dict[int, list[float]] = defaultdict(list)
    for line in _measured(table):
        for column, cell in zip(columns, _cells(table, line, columns), strict=True):
            found = [stored.row.chosen.get("achieved") for stored in cell.rows] if cell else []
            shares[column.level] += [float(share) for share in found if share is not None]
    hidden = {level: f"{100 * fmean(found):.0f} %" for level, found in shares.items() if found}
    return Panel(name, columns[0].heading, f"{factor}, level and share hidden", scores, hidden)


def _swept(table: Table) -> dict[str, list[Column]]:
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


def _measured(table: Table) -> list[Line]:
    return [line for line in table.lines if line.kind == "measured"]


def _seeds(tables: Iterable[Table]) -> dict[str, str]:
    """Return over how many pretraining seeds the lines of tables are means, where it is more than one."""
    counts: dict[str, set[int]] = defaultdict(set)
    for table in tables:
        for line in _measured(table):
            counts[line.label].add(
                len({s.row.pretrain_seed for cell in line.cells if cell for s in cell.rows})
            )
    return {
        label: f"{min(found)}–{max(found)} seeds" if len(found) > 1 else f"{max(found)} seeds"
        for label, found in counts.items()
        if max(found) > 1
    }


def _cells(table: Table, line: Line, columns: Sequence[Column]) -> list[Cell | None]:
    place = {column: position for position, column in enumerate(table.columns)}
    return [line.cells[place[column]] for column in columns]


def _panels(table: Table, columns: Sequence[Column]) -> list[Panel]:
    """Return the panel of the mean, then one for each kind; level 0 is the clean point of all of them."""
    kinds = sorted({column.subset for column in columns if column.level > 0})
    panels = [(list(columns), ALL, _mean_curves(table, columns))] if len(kinds) > 1 else []
    for kind in kinds:
        own = [column for column in columns if column.level == 0 or column.subset == kind]
        lines = [
            (line.label, column.level, cell.value, cell.low, cell.high)
            for line in _measured(table)
            for column, cell in zip(own, _cells(table, line, own), strict=True)
            if cell and cell.value is not None
        ]
        panels.append((own, kind.replace("_", " "), pd.DataFrame(lines, columns=COLUMNS)))
    return [
        _panel(table, own, name, frame.astype(dict.fromkeys(COLUMNS[2:], float)))
        for own, name, frame in panels
        if len(set(frame.level)) > 1
    ]


def _mean_curves(table: Table, columns: Sequence[Column]) -> pd.DataFrame:
    """Return the mean over kinds of each line by level, with lowest and highest seed where there are several."""
    lines = []
    for line in _measured(table):
        for level in sorted({column.level for column in columns}):
            own = [column for column in columns if column.level == level]
            cells = [cell for cell in _cells(table, line, own) if cell and cell.value is not None]
            if len(cells) < len(own):
                continue  # no mean over some of the kinds
            seeds: dict[int | None, list[float]] = defaultdict(list)
            for cell in cells:
                for stored in cell.rows:
                    assert stored.row.main.value is not None  # a cell of undefined rows has no value
                    seeds[stored.row.pretrain_seed].append(stored.row.main.value)
            means = [fmean(values) for values in seeds.values()]
            band = (min(means), max(means)) if len(means) > 1 else (np.nan, np.nan)
            mean = fmean(cell.value for cell in cells if cell.value is not None)
            lines.append((line.label, level, mean, *band))
    return pd.DataFrame(lines, columns=COLUMNS)


def _maps(table: Table, task: str, columns: Sequence[Column]) -> Iterator[Drawn]:
    """Yield the score over true yaw, and pitch, and level of the best encoders, averaged over kinds and seeds."""
    higher = bool(columns[0].higher_is_better)
    ranked = []
    for line in _measured(table):
        cells = [cell for cell in _cells(table, line, columns) if cell and cell.value is not None]
        if line.label != CONSTANT and len(cells) == len(columns):
            ranked.append((fmean(cell.value for cell in cells if cell.value is not None), line.label, cells))
    ranked.sort(key=lambda entry: (-entry[0] if higher else entry[0], entry[1]))
    for _, label, cells in ranked[:MOST_MAPS]:
        runs = sweeps(stored for cell in cells for stored in cell.rows)
        for angle, edges, sign in ANGLES:
            if not runs or not knows_angle(runs[0].cells[CLEAN].items(), angle):
                continue
            found = [angle_by_level(run, angle, edges) for run in runs]
            figure = heat_map(
                np.mean([values for _, values in found], axis=0), levels=found[0][0], edges=edges,
                title=f"{task} · {short_name(label)}", xlabel=f"true {angle} (°), positive: {sign}",
                ylabel=f"{task.partition('/')[0]}, level", higher_is_better=higher,
            )  # fmt: skip
            caption = (
                f"{columns[0].heading} by true {angle} and level, mean over kinds; the darker, the worse."
            )
            yield Drawn(f"{task}-{label}-{angle}-by-level", task, caption, figure)
