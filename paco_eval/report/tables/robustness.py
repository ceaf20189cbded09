"""Sweeps in a table: of each derived task the clean score, what is lost over all kinds and levels, and each kind."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

import numpy as np

from paco_eval.analysis.bootstrap import finite
from paco_eval.analysis.columns import Column
from paco_eval.analysis.robustness import Sweep, summary, sweeps
from paco_eval.report.tables.table import Cell, Table
from paco_eval.rows.store import Stored

ALL_KINDS = "mean of kinds"
"""Subset of the main number of a derived task: the mean score over kinds and levels."""

NOTE = (
    " Perturbations: {levels}; kinds weigh alike, and so do levels within a kind, without an interval. Drop: how much"
    " worse than clean, positive is worse; relative drop: of what there was to lose, clean less constant, and left out"
    " where the clean score lies within the interval of constant."
)


def over_levels(table: Table, references: Sequence[Stored] = ()) -> Table:
    """Return the table with few columns for each derived task in place of one for each kind and level.

    They are the clean score; the mean over kinds and levels, which is the main number; the drop; the relative drop;
    the worst kind with its drop; and each kind as the mean over its levels, for encoders that have all of them.
    Columns without a level stay as they are. A method with several pretraining seeds has the mean over these.
    Relative drops are held against ``constant``, of the table or among the rows of ``references``.

    Raises:
        PacoError: rendered and perturbed rows under one task.

    """
    levels = sorted({column.level for column in table.columns if column.level > 0})
    if not levels:
        return table
    groups: dict[tuple[str, int, str], dict[Column, list[int]]] = {}
    for position, column in enumerate(table.columns):
        if column.level < 0 or column.main:
            kind = replace(column, level=-1) if column.level > 0 else column
            task = groups.setdefault((column.task, column.task_version, column.split), {})
            task.setdefault(kind, []).append(position)
    columns: list[Column] = []
    cells: list[list[Cell | None]] = [[] for _ in table.lines]
    for _, kinds in sorted(groups.items()):
        ordered = sorted(kinds, key=lambda column: (table.columns[kinds[column][0]].level != 0, column))
        swept = [i for column in ordered for i in kinds[column] if table.columns[i].level >= 0]
        for place, column in enumerate(ordered):
            columns.append(column)
            for line, row in zip(table.lines, cells, strict=True):
                row.append(_level_mean([line.cells[i] for i in kinds[column]]))
            if place == 0 and table.columns[kinds[column][0]].level == 0 and len(swept) > 1:
                columns += _summary_columns(column)
                found = _summary_cells([[line.cells[i] for i in swept] for line in table.lines], references)
                for row, more in zip(cells, found, strict=True):
                    row += more
    lines = tuple(replace(line, cells=tuple(row)) for line, row in zip(table.lines, cells, strict=True))
    said = NOTE.format(levels=f"mean over levels {', '.join(map(str, levels))}")
    return replace(table, columns=tuple(columns), lines=lines, caption=table.caption + said)


def _level_mean(cells: Sequence[Cell | None]) -> Cell | None:
    found = [cell for cell in cells if cell is not None]
    if len(cells) == 1 or len(found) < len(cells):
        return found[0] if len(cells) == 1 and found else None
    values = [cell.value for cell in found if cell.value is not None]
    return Cell(
        fmean(values) if len(values) == len(found) else None,
        rows=tuple(stored for cell in found for stored in cell.rows),
        flags=tuple(dict.fromkeys(flag for cell in found for flag in cell.flags)),
    )


def _summary_columns(clean: Column) -> list[Column]:
    mean = replace(clean, subset=ALL_KINDS, level=-1)
    lost = replace(mean, higher_is_better=False)
    return [
        mean,
        replace(lost, metric="drop"),
        replace(lost, metric="relative_drop", unit="%"),
        replace(lost, subset="worst kind", metric="drop"),
    ]


def _summary_cells(
    lines: Sequence[Sequence[Cell | None]], references: Sequence[Stored]
) -> list[list[Cell | None]]:
    """Return the cells of the summary columns for every line of one derived task, from the cells of its sweeps."""
    runs = [sweeps(stored for cell in cells if cell for stored in cell.rows) for cells in lines]
    everything = [sweep for found in runs for sweep in found]
    whole = {cell for sweep in everything for cell in sweep.cells}
    facts = summary(everything, sweeps(references)).to_dict("records")
    starts = np.cumsum([0, *map(len, runs)])
    return [
        _line_summary(found, facts[start : start + len(found)])
        if found and all(set(sweep.cells) == whole for sweep in found)
        else [None] * 4
        for found, start in zip(runs, starts, strict=False)
    ]


def _line_summary(runs: Sequence[Sweep], facts: Sequence[Mapping[Hashable, Any]]) -> list[Cell | None]:
    """Return mean, drop, relative drop and worst kind of an encoder, or of a method over its seeds."""
    rows = tuple(stored for sweep in runs for stored in sweep.cells.values())
    drops = {kind: fmean(sweep.drop(kind) for sweep in runs) for kind in runs[0].kinds}
    worst = max(drops, key=lambda kind: (drops[kind], kind))
    values = [fmean(fact[name] for fact in facts) for name in ("mean", "drop", "relative_drop")]
    mean, drop, relative = map(finite, values)
    why = tuple(dict.fromkeys(f"no relative drop: {fact['note']}" for fact in facts if fact["note"]))
    places = Column("", 0, "", "", -1, 0, "", runs[0].clean.main.unit, False, False)
    lost = f"{worst.replace('_', ' ')} {places.number(drops[worst])}" if drops[worst] > 1e-9 else "none"
    return [
        Cell(mean, rows=rows),
        Cell(drop, rows=rows),
        Cell(None if relative is None else 100.0 * relative, rows=rows, flags=why),
        Cell(drops[worst], rows=rows, printed=lost),
    ]
