"""What a report shows, collected from rows and from what lies beside them; every heavy thing is read once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from paco_eval.analysis.columns import Column, line_label
from paco_eval.analysis.names import metric_title
from paco_eval.analysis.significance import MetricOf
from paco_eval.report.charts.panels import Chart, slug
from paco_eval.report.charts.scores import Items, few_shot_charts, table_charts
from paco_eval.report.charts.sweeps import breaking, overview_charts, sweep_charts
from paco_eval.report.charts.training import compared_runs
from paco_eval.report.leaderboard.board import Leaderboard
from paco_eval.report.page.faces import Pictures, matrices
from paco_eval.report.page.inside import MOST, Inside, checkpoint_of, look_inside
from paco_eval.report.tables.presets import ROBUSTNESS
from paco_eval.report.tables.table import Table, family_tables
from paco_eval.rows.artefacts import Pretraining
from paco_eval.rows.store import Stored
from paco_fr.checkpoint import SHIPPED
from paco_fr.utils.errors import PacoError
from paco_fr.utils.progress import tracked


@dataclass(frozen=True)
class Contents:
    """What goes into a page.

    Attributes:
        rows: all rows that were read, shown or not.
        boards: the one table of each protocol, the first on top of the page.
        titles: what lines of tables are called, by label; in the order of the first board.
        breaks: by yaw, occlusion and illumination a chart; None where nothing says.
        matrices: faces with what was predicted on them, see :mod:`paco_eval.report.page.faces`.
        pictures: of the matrices.
        inside: checkpoints.
        tables: of families with their charts, in the order of the page.
        training: charts of several pretraining runs together.
        failures: task, expected, scored, reasons and encoders of rows with failures.
        problems: sentences about what was left out.

    """

    rows: Sequence[Stored]
    boards: Sequence[Leaderboard] = ()
    titles: Mapping[str, str] = field(default_factory=dict)
    breaks: Mapping[str, Chart | None] = field(default_factory=dict)
    matrices: Sequence[dict[str, Any]] = ()
    pictures: Pictures = field(default_factory=Pictures)
    inside: Sequence[Inside] = ()
    tables: Sequence[tuple[Table, Sequence[Chart]]] = ()
    training: Sequence[Chart] = ()
    failures: Sequence[Mapping[str, Any]] = ()
    problems: Sequence[str] = ()

    @property
    def charts(self) -> list[Chart]:
        """All charts that are worth a file of their own."""
        found = [chart for _, charts in self.tables for chart in charts]
        return [*found, *self.training, *(chart for one in self.inside for chart in one.charts)]


def collect(
    rows: Sequence[Stored],
    boards: Sequence[Leaderboard],
    tables: Sequence[Table],
    condensed: Sequence[Table],
    runs: Sequence[Pretraining],
    metric_of: MetricOf,
    problems: list[str],
    *,
    named: Mapping[str, str],
    several: set[str],
    page: bool = True,
) -> Contents:
    """Return what a report shows.

    Args:
        rows: all of them.
        boards: the one table of each protocol.
        tables: of families, whole.
        condensed: the same as they are printed.
        runs: pretraining runs of the folders.
        metric_of: definitions of metrics.
        problems: gets a sentence for each thing that had to be left out.
        named: what each line is called.
        several: methods of which a line is the mean over seeds.
        page: whether faces and checkpoints, which only the page shows, are wanted.

    """
    items, say = Items(), problems.append
    titles = _titles(boards, tables, {line_label(s.row, several) for s in rows}, named)
    shown = _with_charts(rows, tables, condensed, items, metric_of, say, several)
    # What concerns the top of the page looks at the tables of families, even where those of papers are printed.
    plain = (
        family_tables((s for s in rows if s.row.protocol == boards[0].protocol), several=several)
        if boards and page
        else []
    )
    pictures = Pictures()
    return Contents(
        rows,
        boards,
        titles,
        breaking(plain, items, metric_of, say, axis_title) if page else {},
        matrices(_plain_rows(rows, boards, several), items, pictures, say) if page and boards else [],
        pictures,
        look_inside(_runs(rows, runs, titles, several), say, most=MOST if page else 0),
        shown,
        list(compared_runs(runs, say)),
        failures_of(rows),
        problems,
    )


def axis_title(column: Column) -> str:
    """Return a metric as people write it, with its direction."""
    return metric_title(column.metric, column.unit) + column.arrow


def _titles(
    boards: Sequence[Leaderboard], tables: Sequence[Table], labels: set[str], named: Mapping[str, str]
) -> dict[str, str]:
    """Return what to call each line, those of the first board first, then published ones and differences by their label."""
    found = {entry.label: entry.name for board in boards for entry in board.entries}
    for label, name in named.items():
        if label in labels:
            found.setdefault(label, name)
    for table in tables:
        for line in table.lines:
            found.setdefault(line.label, line.label)
    return found


def _plain_rows(
    rows: Sequence[Stored], boards: Sequence[Leaderboard], several: set[str]
) -> list[tuple[str, Stored]]:
    """Return a row of every line and plain task of the first board, lines and tasks in its order."""
    order = {entry.label: place for place, entry in enumerate(boards[0].entries)}
    found: dict[tuple[str, str], Stored] = {}
    for stored in rows:
        row = stored.row
        if row.protocol != boards[0].protocol or row.level is not None or row.subset != "all":
            continue
        label = line_label(row, several)
        if label in order and (row.data_kind == "mimic") == boards[0].mimic:
            found.setdefault((label, row.task), stored)
    tasks = list(dict.fromkeys(task for head in boards[0].heads for task in head.tasks))
    place = {task: at for at, task in enumerate(tasks)}
    ordered = sorted(found, key=lambda key: (place.get(key[1], len(place)), key[1], order[key[0]]))
    return [(key[0], found[key]) for key in ordered]


def _runs(
    rows: Sequence[Stored], runs: Sequence[Pretraining], titles: Mapping[str, str], several: set[str]
) -> list[tuple[str, str, Pretraining]]:
    """Return the checkpoints to look into: measured ones in the order of the table, then the other runs at hand."""
    known = {run.folder.resolve(): run for run in runs}
    place = {label: at for at, label in enumerate(titles)}
    found: dict[Path, tuple[str, str, Pretraining]] = {}
    measured = sorted(
        {(line_label(s.row, several), s.row.encoder) for s in rows},
        key=lambda each: (place.get(each[0], 0), each),
    )
    for label, encoder in measured:
        folder = checkpoint_of(encoder, SHIPPED)
        if folder is not None and folder.resolve() not in found:
            run = known.pop(folder.resolve(), None) or Pretraining(folder.name, folder)
            name = titles.get(label, label)
            found[folder.resolve()] = (label, name if label == encoder else f"{name}: {run.name}", run)
    return [*found.values(), *(("", run.name, run) for run in known.values())]


def _with_charts(
    rows: Sequence[Stored],
    tables: Sequence[Table],
    condensed: Sequence[Table],
    items: Items,
    metric_of: MetricOf,
    say: Callable[[str], None],
    several: set[str],
) -> list[tuple[Table, list[Chart]]]:
    together = [
        few_shot_charts(tables, axis_title),
        overview_charts(tables, axis_title),
        _preset_curves(rows, tables, several),
    ]
    taken: set[str] = set()
    shown = []
    both = list(zip(tables, condensed, strict=True))
    for table, short in tracked(both, "drawing figures of families", unit="family"):
        charts = [
            *table_charts(table, items, metric_of, say, axis_title),
            *sweep_charts(table, say, axis_title),
        ]
        named = [_named(chart, table, taken) for chart in charts]
        more = [chart for found in together for chart in found.get(table.title, [])]
        shown.append((short, [*more, *named]))
    return shown


def _preset_curves(
    rows: Sequence[Stored], tables: Sequence[Table], several: set[str]
) -> dict[str, list[Chart]]:
    """Return the curves of sweeps for tables of papers, which hold no levels, under the titles of these."""
    places = {table.protocol: table.title for table in tables if table.family == ROBUSTNESS}
    levels = [stored for stored in rows if stored.row.level is not None] if places else []
    swept = family_tables(levels, several=several)
    protocols = {table.title: table.protocol for table in swept}
    drawn: dict[str, list[Chart]] = defaultdict(list)
    for title, found in overview_charts(swept, axis_title).items():
        drawn[places.get(protocols[title], "")] += found
    return drawn


def _named(chart: Chart, table: Table, taken: set[str]) -> Chart:
    """Return the chart under a name of its own: one task may have tables of several protocols and presets."""
    plain = table.protocol == "frozen" and not table.mimic
    name = chart.name if plain else f"{chart.name}-{table.protocol}{'-mimic' if table.mimic else ''}"
    if slug(name) in taken:
        name = f"{name}-{table.family}"
    taken.add(slug(name))
    return replace(chart, name=name)


def failures_of(rows: Sequence[Stored]) -> list[dict[str, Any]]:
    """Return a line per task and set of failures, with the encoders that met them."""
    found: dict[tuple[str, int, int, str], list[str]] = {}
    for stored in rows:
        row = stored.row
        lost, of, _ = row.failed
        if lost:
            case = (row.task, of, of - lost, _reasons(stored))
            found.setdefault(case, []).append(row.encoder)
    return [
        {
            "task": task,
            "expected": expected,
            "scored": scored,
            "reasons": reasons,
            "encoders": sorted(set(names)),
        }
        for (task, expected, scored, reasons), names in sorted(found.items())
    ]


def _reasons(stored: Stored) -> str:
    try:
        items = stored.items()
    except PacoError as error:
        return str(error)
    named = items.failure[items.failure.fillna("") != ""] if "failure" in items else items.id[:0]
    counted = (f"{reason} ({count})" for reason, count in named.value_counts().items())
    return "; ".join(counted) or "not told by the items"
