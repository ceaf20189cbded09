"""A comparison as tables for the renderers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import pandas as pd

from paco_eval.analysis.bootstrap import finite
from paco_eval.analysis.columns import Column
from paco_eval.analysis.compare import Comparison, Difference
from paco_eval.analysis.effect_size import FamilyDifference
from paco_eval.analysis.statistics import ALPHA, Verdict
from paco_eval.report.tables.table import Cell, Line, Table


def comparison_records(comparison: Comparison, titles: Mapping[str, str]) -> dict[str, Any]:
    """Return a comparison as JSON has it; ``titles`` are what lines are called."""

    def claim(found: Difference | FamilyDifference) -> dict[str, Any]:
        return {
            "encoder": found.encoder, "name": titles.get(found.encoder, found.encoder), "protocol": found.protocol,
            "difference": found.interval.value, "low": finite(found.interval.low), "high": finite(found.interval.high),
            "p_value": finite(found.p_value), "p_adjusted": finite(found.p_adjusted), "verdict": found.verdict,
            "seeds": found.seeds,
        }  # fmt: skip

    return {
        "baseline": comparison.baseline,
        "differences": [
            {
                **claim(found), "task": found.column.task, "task_version": found.column.task_version,
                "subset": found.column.subset, "metric": found.column.metric, "unit": found.column.unit,
                "higher_is_better": found.column.higher_is_better, "value": finite(found.value),
                "reference": finite(found.reference), "keys": [stored.row.key for stored in found.rows],
            }
            for found in comparison.differences
        ],
        "families": [{**claim(found), "family": found.family, "tasks": list(found.tasks)} for found in comparison.families],
        "problems": list(comparison.problems),
    }  # fmt: skip


def comparison_lines(comparison: Comparison, titles: Mapping[str, str]) -> list[str]:
    """Return a sentence for every difference: who, where, by how much, what may be said."""
    baseline = titles.get(comparison.baseline, comparison.baseline)
    lines = []
    for found in comparison.differences:
        column = found.column
        place = column.task if column.subset == "all" else f"{column.task} ({column.subset})"
        low, high = found.interval.low, found.interval.high
        ends = "" if math.isnan(low) else f" [{column.number(low)}, {column.number(high)}]"
        p = "" if math.isnan(found.p_adjusted) else f", p {found.p_adjusted:.2g}"
        lines.append(
            f"{place}: {titles.get(found.encoder, found.encoder)} less {baseline} "
            f"{found.interval.value:+.{column.decimals}f}{ends}{p}: {found.verdict}"
        )
    return lines


Place = TypeVar("Place", Column, str)

SHORT: dict[Verdict, str] = {
    "better": "better", "worse": "worse", "not distinguishable": "n.d.", "observed": "observed",
}  # fmt: skip


def comparison_tables(comparison: Comparison) -> list[Table]:
    """Return the summary and, for each protocol, families and differences, for the renderers of tables."""
    tables = [_summary_table(comparison), *_family_tables(comparison)]
    for protocol in sorted({difference.protocol for difference in comparison.differences}):
        found = [d for d in comparison.differences if d.protocol == protocol]
        columns = tuple(sorted({d.column for d in found}))
        cells = {(d.encoder, d.column): _difference_cell(d) for d in found}
        lines = _lines(cells, columns)
        tests = sum(difference.claimable for difference in found)
        caption = (
            f"Protocol: {protocol}. Encoder less {comparison.baseline} in the main metric, with the 95 % "
            "interval of the paired difference over the same items; people and seeds are resampled together. "
            f"{_claims(tests, 'differences', 'better and worse')} An interval is that of its difference "
            "alone. Of derived tasks the drop is compared, how "
            "much worse than clean, mean over kinds and levels."
        )
        family = f"difference to {comparison.baseline}"
        tables.append(Table(family, protocol, False, columns, lines, caption, compared=True))
    return tables


def _family_tables(comparison: Comparison) -> list[Table]:
    tables = []
    for protocol in sorted({family.protocol for family in comparison.families}):
        found = [family for family in comparison.families if family.protocol == protocol]
        names = list(dict.fromkeys(family.family for family in found))
        columns = tuple(
            Column(f"family/{name}", 0, "test", "all", -1, order, "mean difference", "sd", True, main=True)
            for order, name in enumerate(names)
        )
        cells = {(family.encoder, family.family): _family_cell(family) for family in found}
        lines = _lines(cells, names)
        tests = sum(family.claimable for family in found)
        caption = (
            f"Protocol: {protocol}. Encoder less {comparison.baseline}, positive is better: the difference in the main "
            "metric of a task, in its standard deviations between people, mean over the tasks of the family "
            f"({_tasks_told(comparison, protocol)}), with the 95 % interval; people and seeds are resampled together. "
            f"{_claims(tests, 'families', 'better, the family is won,')} Families of derived tasks compare drops."
        )
        heading = f"families, difference to {comparison.baseline}"
        tables.append(Table(heading, protocol, False, columns, lines, caption, compared=True))
    return tables


def _lines(cells: Mapping[tuple[str, Place], Cell], places: Sequence[Place]) -> tuple[Line, ...]:
    """Return a line per encoder, in the order of the cells, with its cell or none at each place."""
    return tuple(
        Line(label, "", tuple(cells.get((label, place)) for place in places))
        for label in dict.fromkeys(label for label, _ in cells)
    )


def _claims(tests: int, what: str, words: str) -> str:
    observed = "Observed: one pretraining seed, so another might turn it round."
    if not tests:
        return observed
    return (
        f"To be called {words} the p-value, adjusted by Holm's method over the {tests} {what} that can be claimed, is "
        f"below {ALPHA}. n.d.: not distinguishable. {observed}"
    )


def _tasks_told(comparison: Comparison, protocol: str) -> str:
    tasks: dict[str, dict[str, None]] = {}
    for family in comparison.families:
        if family.protocol == protocol:
            names = tasks.setdefault(family.family, {})
            names.update(dict.fromkeys(name.partition("/")[2] for name in family.tasks))
    return "; ".join(f"{family}: {', '.join(names)}" for family, names in tasks.items())


def _family_cell(family: FamilyDifference) -> Cell:
    value, low, high = family.interval
    shown = f"{value:+.2f}".replace("-", "−")
    return Cell(value, finite(low), finite(high), printed=f"{shown} {SHORT[family.verdict]}")


def _difference_cell(difference: Difference) -> Cell:
    value, low, high = difference.interval
    shown = f"{value:+.{difference.column.decimals}f}".replace("-", "−")
    verdict = SHORT[difference.verdict]
    return Cell(value, finite(low), finite(high), difference.rows, printed=f"{shown} {verdict}")


def _summary_table(comparison: Comparison) -> Table:
    summary = comparison.summary
    headings = [*SHORT, "mean_rank", "parameters", "flops", "images_per_s"]
    shown = [name for name in headings if summary[name].notna().any()]
    columns = tuple(
        Column("comparison/all tasks", 0, "test", "all", -1, order, name, "rank", _direction(name), main=True)
        for order, name in enumerate(shown)
    )
    lines = tuple(
        Line(
            str(label),
            "baseline" if label == comparison.baseline else "",
            tuple(_summary_cell(name, record) for name in shown),
        )
        for label, record in summary.iterrows()
    )
    tasks = len({(d.protocol, d.column) for d in comparison.differences})
    caption = (
        f"Wins (better), losses (worse) and ties on {tasks} main scores against {comparison.baseline}. "
        "Mean rank: 1 is best, over the scores that every encoder has, with the 95 % interval over tasks. "
        "Cost as stated by the rows."
    )
    family = f"comparison with {comparison.baseline}"
    return Table(family, "all protocols", False, columns, lines, caption, compared=True)


def _direction(name: str) -> bool | None:
    return {"better": True, "worse": False, "mean_rank": False, "images_per_s": True}.get(name)


def _summary_cell(name: str, record: pd.Series) -> Cell | None:
    if pd.isna(record[name]):
        return None
    value = float(record[name])
    if name == "mean_rank":
        return Cell(value, finite(record["low"]), finite(record["high"]), printed=f"{value:.2f}")
    return Cell(value, printed=f"{value:,.0f}")
