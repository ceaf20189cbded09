"""Trials: the lines of a grid judged on validation people, the only table that settings may be chosen by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from paco_eval.analysis.columns import Column
from paco_eval.report.tables.table import Cell, Line, Table

GAIN = "mean gain"


def trials_table(
    table: Table, scores: Mapping[str, Sequence[float | None]], seeds: Mapping[str, int]
) -> Table:
    """Return the table of a grid with scores on validation people, and what each line gains over the first.

    The gain of a line is the mean over tasks of its difference from the first line, positive where it is
    better, in standard deviations over the lines of that task (our choice): tasks count alike, whatever
    their unit. The highest is bold: what a choice by this table takes. One number a line, no interval.

    Args:
        table: main metrics of the grid, see :func:`paco_eval.experiments.ablate.ablation_table`; gives columns and lines.
        scores: label of a line -> score on validation a column, mean over seeds; None where there is none.
        seeds: label of a line -> pretraining seeds that were averaged.

    """
    values = np.array(
        [scores[line.label] for line in table.lines], dtype=float
    )  # (lines, tasks), None is nan
    signs = np.array([1.0 if column.higher_is_better else -1.0 for column in table.columns])
    spread = values.std(axis=0)
    gains = np.mean(signs * (values - values[0]) / np.where(spread > 0, spread, 1.0), axis=1)
    best = int(np.nanargmax(gains)) if np.isfinite(gains).any() else -1
    lines = []
    for at, (line, row) in enumerate(zip(table.lines, values, strict=True)):
        cells = [Cell(float(value)) if np.isfinite(value) else None for value in row]
        gain = Cell(float(gains[at]), best=at == best) if np.isfinite(gains[at]) else None
        count = seeds[line.label]
        lines.append(Line(line.label, f"{count} seed{'s' * (count > 1)}", (*cells, gain)))
    head = Column("validation", 0, "validation", "all", -1, 0, GAIN, "sd", True, main=True)
    columns = (*(replace(column, split="validation") for column in table.columns), head)
    caption = (
        f"Scores on validation people, at the strengths chosen there; {GAIN}: over the first line, in standard "
        "deviations over the lines, mean over tasks. The highest is bold; differences carry no interval."
    )
    return replace(table, family="trials", columns=columns, lines=tuple(lines), caption=caption)
