"""Who wins where against a baseline, by how much, and whether it is more than chance.

Two encoders are compared on a task only where everything but the encoder is equal: task version, protocol,
split, subset, level, crop and images. What differs is named and left out.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from paco_eval.judging import MetricOf
from paco_eval.rows import Row, Stored
from paco_eval.statistics import Interval, Verdict, mean_rank, over_seeds, verdict
from paco_eval.tables import Cell, Column, Line, Table, column_of, line_label, line_order, methods_with_seeds
from paco_fr.errors import PacoError, unknown_name

Place = tuple[str, Column]
"""Protocol and column of a comparison."""

SHORT: dict[Verdict, str] = {
    "better": "better", "worse": "worse", "not distinguishable": "n.d.", "observed": "observed",
}  # fmt: skip


@dataclass(frozen=True)
class Difference:
    """An encoder less the baseline in the main metric of one task.

    Attributes:
        encoder: line of a table, a method where there are several pretraining seeds.
        protocol: of both.
        column: task, version, subset, level, metric, unit and direction.
        value: of the encoder, mean over seeds.
        reference: of the baseline, mean over seeds.
        interval: the difference with its ends, in the unit of the metric.
        verdict: what may be said.
        rows: of the encoder, then of the baseline.

    """

    encoder: str
    protocol: str
    column: Column
    value: float
    reference: float
    interval: Interval
    verdict: Verdict
    rows: tuple[Stored, ...]


class Comparison(NamedTuple):
    """Differences of all encoders to one baseline, what they sum up to, and what could not be compared."""

    baseline: str
    differences: list[Difference]
    summary: pd.DataFrame
    problems: list[str]


def compare(
    rows: Iterable[Stored], baseline: str, *, metric_of: MetricOf, replicates: int = 1000
) -> Comparison:
    """Return all differences to ``baseline`` in main metrics, with intervals paired over items and seeds.

    Args:
        rows: as :func:`paco_eval.rows.load_rows` returns them; miniatures are left out.
        baseline: name of an encoder, or of a method with several pretraining seeds.
        metric_of: definitions of the metrics, see :func:`paco_eval.judging.metrics_of_tasks`.
        replicates: bootstrap replicates of every interval.

    Raises:
        PacoError: no row is of the baseline; similar names are suggested.

    """
    rows = [stored for stored in rows if stored.row.data_kind != "mimic"]
    several = methods_with_seeds(rows)
    by_line: dict[str, dict[Place, list[Stored]]] = defaultdict(lambda: defaultdict(list))
    for stored in rows:
        place = (stored.row.protocol, column_of(stored.row))
        by_line[line_label(stored.row, several)][place].append(stored)
    if baseline not in by_line:
        raise unknown_name("baseline", baseline, by_line)
    problems: list[str] = []
    found = [
        difference
        for label in sorted(by_line, key=line_order)
        if label != baseline
        for difference in _differences(
            label, by_line[label], by_line[baseline], metric_of, replicates, problems
        )
    ]
    return Comparison(baseline, found, _summary(by_line, baseline, found, problems), problems)


def _differences(
    label: str,
    mine: dict[Place, list[Stored]],
    reference: dict[Place, list[Stored]],
    metric_of: MetricOf,
    replicates: int,
    problems: list[str],
) -> list[Difference]:
    found = []
    for place in sorted(mine):
        protocol, column = place
        where = f"{label} on {column.task}, {column.place}, {protocol}"
        if place not in reference:
            problems.append(f"{where}: the baseline has no row of this task version, protocol and subset.")
            continue
        a, b = mine[place], reference[place]
        unlike = _unlike([stored.row for stored in (*a, *b)])
        definition = metric_of(a[0].row, column.metric)
        if unlike or definition is None:
            problems.append(f"{where}: {unlike or 'no definition of its metric'}; not compared.")
            continue
        try:
            tables = [stored.items() for stored in (*a, *b)]
            interval = over_seeds(
                definition, tables[: len(a)], baseline=tables[len(a) :], replicates=replicates
            )
        except PacoError as error:
            problems.append(f"{where}: {error}")
            continue
        except KeyError as error:
            problems.append(f"{where}: the items have no column {error}; evaluate again.")
            continue
        said = verdict(interval, bool(column.higher_is_better), min(_seeds(a), _seeds(b)))
        value, level = _mean(column, a), _mean(column, b)
        found.append(Difference(label, protocol, column, value, level, interval, said, (*a, *b)))
    return found


def _unlike(rows: Sequence[Row]) -> str:
    if len({row.crop_hash for row in rows}) > 1:
        return "another face crop than the baseline"
    if len({row.data_fingerprint for row in rows}) > 1:
        return "other images than the baseline"
    return ""


def _seeds(rows: Sequence[Stored]) -> int:
    """Return the number of pretraining seeds; what was not pretrained has no luck to rule out."""
    seeds = {stored.row.pretrain_seed for stored in rows}
    return 2 if seeds == {None} else len(seeds - {None})


def _mean(column: Column, rows: Sequence[Stored]) -> float:
    values = [stored.row.metrics[column.metric].value for stored in rows]
    return math.nan if None in values else sum(v for v in values if v is not None) / len(values)


def _summary(
    by_line: dict[str, dict[Place, list[Stored]]],
    baseline: str,
    differences: Sequence[Difference],
    problems: list[str],
) -> pd.DataFrame:
    """Return a line per encoder: counts of verdicts, mean rank with its interval, cost."""
    lines = {label: dict.fromkeys(map(str, SHORT), 0) for label in sorted(by_line, key=line_order)}
    for difference in differences:
        lines[difference.encoder][difference.verdict] += 1
    frame = pd.DataFrame.from_dict(lines, orient="index").astype(object)
    frame.loc[baseline, list(SHORT)] = None
    return frame.join(_ranks(by_line, problems)).join(_cost(by_line))


def _ranks(by_line: dict[str, dict[Place, list[Stored]]], problems: list[str]) -> pd.DataFrame:
    scores = pd.DataFrame(
        {
            label: {f"{p}|{c.task}|{c.place}": _mean(c, rows) for (p, c), rows in places.items()}
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


def _cost(by_line: dict[str, dict[Place, list[Stored]]]) -> pd.DataFrame:
    costs = {
        label: pd.DataFrame([stored.row.cost for rows in places.values() for stored in rows]).mean()
        for label, places in by_line.items()
    }
    return pd.DataFrame(costs).T.reindex(columns=["parameters", "flops", "images_per_s"])


def comparison_frame(comparison: Comparison) -> pd.DataFrame:
    """Return one line per difference, with everything needed to use it elsewhere."""
    return pd.DataFrame(
        [
            {
                "encoder": d.encoder, "baseline": comparison.baseline, "protocol": d.protocol,
                "task": d.column.task, "task_version": d.column.task_version, "split": d.column.split,
                "subset": d.column.subset, "level": None if d.column.level < 0 else d.column.level,
                "metric": d.column.metric, "unit": d.column.unit,
                "higher_is_better": d.column.higher_is_better,
                "value": d.value, "baseline_value": d.reference,
                "difference": d.interval.value, "low": d.interval.low, "high": d.interval.high,
                "verdict": d.verdict,
            }
            for d in comparison.differences
        ]
    )  # fmt: skip


def comparison_tables(comparison: Comparison) -> list[Table]:
    """Return the summary and, for each protocol, the differences, for the renderers of tables."""
    tables = [_summary_table(comparison)]
    for protocol in sorted({difference.protocol for difference in comparison.differences}):
        found = [d for d in comparison.differences if d.protocol == protocol]
        columns = tuple(sorted({d.column for d in found}))
        cells = {(d.encoder, d.column): _difference_cell(d) for d in found}
        lines = tuple(
            Line(label, "", tuple(cells.get((label, column)) for column in columns))
            for label in dict.fromkeys(d.encoder for d in found)
        )
        caption = (
            f"Protocol: {protocol}. Encoder less {comparison.baseline} in the main metric, with the 95 % "
            "interval of the paired difference over the same items; people and seeds are resampled together. "
            "n.d.: not distinguishable. Observed: one pretraining seed, so another might turn it round."
        )
        family = f"difference to {comparison.baseline}"
        tables.append(Table(family, protocol, False, columns, lines, caption, compared=True))
    return tables


def _difference_cell(difference: Difference) -> Cell:
    low, high = difference.interval.low, difference.interval.high
    value = f"{difference.interval.value:+.{difference.column.decimals}f}".replace("-", "−")
    known = not math.isnan(low)
    return Cell(
        difference.interval.value,
        low if known else None,
        high if known else None,
        difference.rows,
        printed=f"{value} {SHORT[difference.verdict]}",
    )


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
        f"Verdicts on {tasks} main scores against {comparison.baseline}. Mean rank: 1 is best, over the "
        "scores that every encoder has, with the 95 % interval over tasks. Cost as stated by the rows."
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
        known = not math.isnan(float(record["low"]))
        low, high = (float(record["low"]), float(record["high"])) if known else (None, None)
        return Cell(value, low, high, printed=f"{value:.2f}")
    return Cell(value, printed=f"{value:,.0f}")
