"""The page: one self-contained HTML file from what :mod:`paco_eval.report.page.contents` collected."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from markupsafe import Markup

from paco_eval.analysis.columns import line_order
from paco_eval.report.charts.panels import Chart, Lines, limits, slug
from paco_eval.report.leaderboard.board import Entry, Head, Leaderboard, Score
from paco_eval.report.page.contents import Contents
from paco_eval.report.page.frame import environment_of, text_of
from paco_eval.report.page.inside import Inside
from paco_eval.report.page.record import MOST_SOURCES, licences, origin_key, sources, versions
from paco_eval.report.page.svg import Ids, panel_svg, strip, strip_axis, swatch
from paco_eval.report.page.theme import themed, variables
from paco_eval.report.plots.style import looks
from paco_eval.report.tables.table import Cell, Table
from paco_eval.rows.schema import Row
from paco_fr import __version__

BREAKS = {
    "yaw": ("Turned heads", "No task here knows the true yaw of its faces and the definition of its metric."),
    "occlusion": ("Covered faces", "Not measured. Add --tasks 'perturbed-occlusion/*' to the evaluation."),
    "illumination": (
        "Other light",
        "Not measured. Add --tasks 'perturbed-illumination/*' to the evaluation.",
    ),
}
"""Headings of what encoders break at, and what stands in place of a chart."""


def render(contents: Contents, title: str) -> str:
    """Return the page as HTML that needs nothing from outside; all text from data is escaped."""
    labels = list(contents.titles)
    ids = Ids(labels, contents.titles)
    rows = [stored.row for stored in contents.rows]
    boards = [_board(board, ids) for board in contents.boards]
    return (
        environment_of("page")
        .get_template("page.html")
        .render(
            title=title,
            version=__version__,
            css=Markup(_css(text_of("page", "page.css"), labels)),
            lede=_lede(contents.boards[0]) if contents.boards else "",
            boards=boards,
            leads=_strips(contents.boards[0], ids, behind=False) if contents.boards else None,
            sure=_strips(contents.boards[0], ids, behind=True) if contents.boards else None,
            breaks=[
                (BREAKS[key][0], chart and _figure(chart, ids), BREAKS[key][1])
                for key, chart in contents.breaks.items()
            ],
            break_legend=_shared_legend(contents, ids),
            inside=[_inside(one, contents, ids) for one in contents.inside],
            tables=[_view(table, charts, ids) for table, charts in contents.tables],
            training=[_figure(chart, ids) for chart in contents.training],
            matrices=bool(contents.matrices),
            landmarks=any(row.family.endswith(("landmarks", "pose")) for row in rows),
            failures=contents.failures,
            problems=contents.problems,
            licences=licences(rows),
            versions=versions(rows),
            commands=sorted({row.command for row in rows if row.command}),
            counts=_counts(rows),
            data={
                "sources": sources(contents),
                "faces": _faces(contents, ids),
                "pictures": contents.pictures.addresses,
            },
        )
    )


def _css(css: str, labels: Sequence[str]) -> str:
    """Return the style with all colours, and one of them for each line; what learned nothing is dashed."""
    colours = looks(labels)
    own = []
    for place, label in enumerate(labels):
        dashes = f"--d:{(5, 2, 1)[line_order(label)[0] - 1]} 2;" if line_order(label)[0] else ""
        own.append(f".e{place}{{--c:{themed(colours[label].colour)};{dashes}}}")
    return css.replace(":root {", f":root {{ {variables()}", 1) + "\n" + "".join(own)


def _lede(board: Leaderboard) -> str:
    """Return the answer in a sentence or two."""
    first, count = board.entries[0], len(board.entries)
    if count == 1 or first.rank is None:
        return f"{first.name} was measured{' alone' if count == 1 else ''}."
    ranked = sum(head.ranked for head in board.heads)
    led = sum(claim.leader == first.name for claim in board.claims)
    ahead = sum(claim.ahead and claim.leader == first.name for claim in board.claims)
    of = len(board.claims)
    sure = f", on {ahead} of them surely ahead of everyone" if ahead else ""
    told = [
        f"{first.name} ranks first of {count} encoders, on average {first.rank:.1f} over {ranked} "
        f"{'score' if ranked == 1 else 'scores'}.",
        f"It leads on {led} of {of}{sure}." if led else "It leads on none.",
    ]
    own = [entry for entry in board.entries if entry.own and entry is not first]
    if own:
        place = board.entries.index(own[0]) + 1
        told.append(f"{own[0].name}, with which you came, is number {place}.")
    return " ".join(told)


def _counts(rows: Sequence[Row]) -> str:
    items = sum(row.n_items or row.n_expected for row in rows)
    return f"{len(rows):,} rows, {items:,} items scored"


def _entry(entry: Entry, ids: Ids) -> dict[str, Any]:
    place = ids.place(entry.label)
    return {
        "e": place,
        "name": entry.name,
        "own": entry.own,
        "baseline": entry.baseline,
        "swatch": swatch(entry.label, ids),
        "seeds": f"mean of {entry.seeds} trainings" if entry.seeds > 1 else "",
        "encoder": entry.encoder,
    }


@dataclass(frozen=True)
class Cost:
    """A column of what an encoder costs: its head, where it is found, and how it is written."""

    name: str
    small: str
    of: Callable[[Entry], float | None]
    written: Callable[[float], str]

    def text(self, value: float | None) -> str:
        """Return a value, or a dash for none."""
        return "–" if value is None else self.written(value)


def _big(value: float) -> str:
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.0f}"


COSTS = (
    Cost("parameters", "", lambda entry: entry.parameters, _big),
    Cost("GFLOP", "a picture", lambda entry: entry.gflop, lambda value: f"{value:.2g}" if value else "0"),
    Cost("pictures/s", "encoding", lambda entry: entry.images_per_s, lambda value: f"{value:,.0f}"),
)


def _board(board: Leaderboard, ids: Ids) -> dict[str, Any]:
    notes = list(board.notes)
    shown = [cost for cost in COSTS if any(cost.of(entry) is not None for entry in board.entries)]
    lines = []
    for entry in board.entries:
        cells = [
            None if score is None else _score(head, score, notes)
            for head, score in zip(board.heads, entry.scores, strict=True)
        ]
        lines.append(
            {
                **_entry(entry, ids),
                "rank": entry.rank,
                "cells": cells,
                "costs": [(cost.of(entry), cost.text(cost.of(entry))) for cost in shown],
            }
        )
    return {
        "id": slug(f"board {board.protocol} {'mimic' if board.mimic else ''}"),
        "protocol": board.protocol,
        "mimic": board.mimic,
        "heads": board.heads,
        "costs": [(cost.name, cost.small) for cost in shown],
        "lines": lines,
        "claims": board.claims,
        "definitions": board.definitions,
        "baseline": board.baseline,
        "notes": [(_letter(place), note) for place, note in enumerate(notes)],
        "own": any(entry.own for entry in board.entries),
    }


def _letter(place: int) -> str:
    return ("" if place < 26 else _letter(place // 26 - 1)) + "abcdefghijklmnopqrstuvwxyz"[place % 26]


def _score(head: Head, score: Score, notes: Sequence[str]) -> dict[str, Any]:
    delta = ""
    if score.delta is not None:
        ends = (head.number(end, signed=True) for end in (score.delta.low, score.delta.high))
        delta = head.number(score.delta.value, signed=True) + ("*" if score.beyond else "")
        delta += "" if math.isnan(score.delta.low) else f" [{', '.join(ends)}]"
    return {
        "value": score.value,
        "text": head.number(score.value),
        "ahead": score.ahead,
        "struck": score.struck,
        "low": head.number(score.low) if score.low is not None else "",
        "high": head.number(score.high),
        "delta": delta,
        "marks": ",".join(_letter(notes.index(note)) for note in score.notes),
        "source": " ".join(stored.row.key for stored in score.rows),
    }


def _strips(board: Leaderboard, ids: Ids, *, behind: bool) -> dict[str, Any] | None:
    """Return a table of strips: each score with its interval, or how far each is behind the best of its column."""
    columns: list[dict[str, Any]] = []
    for at, head in enumerate(board.heads):
        scores = [entry.scores[at] for entry in board.entries]
        known = [_ends(score, behind) for score in scores]
        best = next((score for score in scores if score is not None and score.rank == 1), None)
        if all(value is None for value in known) or (behind and best is None):
            continue
        floor = [line_order(entry.label)[0] == 3 for entry in board.entries]
        ends = _scale(
            [v for v, low in zip(known, floor, strict=True) if v and not low], [v for v in known if v]
        )
        if behind:
            ends = (min(0.0, ends[0]), max(ends[1], 1e-9))
        better_left = behind or not head.higher_is_better
        band = (
            None if behind or best is None or best.low is None or best.high is None else (best.low, best.high)
        )
        cells = []
        for entry, score, value in zip(board.entries, scores, known, strict=True):
            if value is None:
                leads = behind and score is not None and score.rank == 1
                cells.append(("leads" if leads else "", "best" if leads else "", None))
                continue
            told = _told(entry.name, head, value, behind)
            drawn = strip(
                entry.label,
                *value,
                ends,
                band,
                ids,
                better_left=better_left,
                zero=0.0 if behind else None,
                hollow=behind and not value[1] > 0,
                told=told,
            )
            cells.append(
                (
                    drawn,
                    head.number(value[0])
                    if not behind
                    else "−" + head.number(abs(value[0]))
                    if value[0] > 0
                    else head.number(0.0),
                    None,
                )
            )
        columns.append({"head": head, "cells": cells, "axis": strip_axis(ends, better_left=better_left)})
    if not columns:
        return None
    lines = [
        {**_entry(entry, ids), "cells": [column["cells"][at] for column in columns]}
        for at, entry in enumerate(board.entries)
    ]
    return {"columns": columns, "lines": lines}


Ends = tuple[float, float, float]


def _ends(score: Score | None, behind: bool) -> Ends | None:
    if score is None or score.value is None:
        return None
    if behind:
        return None if score.behind is None else (score.behind.value, score.behind.low, score.behind.high)
    missing = float("nan")
    return (
        score.value,
        missing if score.low is None else score.low,
        missing if score.high is None else score.high,
    )


def _scale(values: Sequence[Ends], everything: Sequence[Ends]) -> tuple[float, float]:
    """Return the scale of a column; what knows nothing may lie outside, or it would press the others together."""
    inner, outer = (
        limits([v for ends in given for v in ends]) for given in (values or everything, everything)
    )
    return outer if outer[1] - outer[0] <= 1.5 * (inner[1] - inner[0]) else inner


def _told(name: str, head: Head, ends: Ends, behind: bool) -> str:
    value, low, high = ends
    interval = "" if math.isnan(low) else f" [{head.number(low)}, {head.number(high)}]"
    if behind:
        sure = "" if low > 0 else ", cannot be told from the leader"
        return f"{name}: {head.number(value)}{interval} behind on {head.title}{sure}"
    return f"{name}: {head.number(value)}{interval}, {head.metric}, {head.title}"


def _shared_legend(contents: Contents, ids: Ids) -> list[tuple[Markup, str, int | None]]:
    drawn = {label for chart in contents.breaks.values() if chart for label in chart.labels}
    return [
        (swatch(label, ids), ids.name(label), ids.place(label)) for label in contents.titles if label in drawn
    ]


def _figure(chart: Chart, ids: Ids) -> dict[str, Any]:
    panels = [panel_svg(panel, ids) for panel in chart.panels if panel is not None]
    several = any(isinstance(panel, Lines) for panel in chart.panels)
    notes = dict(chart.notes)
    legend = [
        (swatch(label, ids), ids.name(label), notes.get(label, ""), ids.place(label))
        for label in chart.labels
    ]
    return {
        "id": slug(chart.name),
        "panels": panels,
        "caption": chart.caption,
        "legend": legend if several else [],
    }


def _inside(one: Inside, contents: Contents, ids: Ids) -> dict[str, Any]:
    scores = []
    for entry in contents.boards[0].entries if contents.boards and one.label else ():
        if entry.label == one.label:
            place = contents.boards[0].entries.index(entry) + 1
            scores = [("place", f"{place} of {len(contents.boards[0].entries)}")]
            scores += [
                (f"{head.title}, {head.metric}", head.number(score.value))
                for head, score in zip(contents.boards[0].heads, entry.scores, strict=True)
                if score is not None
            ]
    return {
        "id": slug(f"inside {one.run.name} {one.name}"),
        "name": one.name,
        "swatch": swatch(one.label, ids) if one.label else "",
        "scores": scores,
        "card": one.card,
        "sheets": one.sheets,
        "charts": [_figure(chart, ids) for chart in one.charts],
        "absent": one.absent,
        "place": ids.place(one.label) if one.label else None,
    }


def _faces(contents: Contents, ids: Ids) -> list[dict[str, Any]]:
    """Return the matrices with names and numbers of lines in place of labels."""
    made = []
    for matrix in contents.matrices:
        shown = dict(matrix)
        if "sets" in shown:
            shown["sets"] = [
                {**one, "name": ids.name(one["label"]), "rows": _named(one["rows"], ids)}
                for one in shown["sets"]
            ]
        else:
            shown["rows"] = _named(shown["rows"], ids)
        made.append(shown)
    return made


def _named(rows: Iterable[Mapping[str, Any]], ids: Ids) -> list[dict[str, Any]]:
    return [{**row, "e": ids.place(row["label"]), "name": ids.name(row["label"])} for row in rows]


def _view(table: Table, charts: Sequence[Chart], ids: Ids) -> dict[str, Any]:
    lines = [
        {
            "kind": line.kind,
            "name": ids.name(line.label),
            "note": line.note,
            "e": ids.place(line.label),
            "swatch": swatch(line.label, ids) if line.kind == "measured" else "",
            "cells": [
                None if cell is None else _cell(table, place, cell) for place, cell in enumerate(line.cells)
            ],
        }
        for line in table.lines
    ]
    return {
        "id": slug(table.title),
        "title": table.title,
        "mimic": table.mimic,
        "caption": table.caption,
        "notes": table.notes,
        "columns": [
            {
                "main": column.main,
                "place": table.place(column),
                "heading": column.heading,
                "higher": column.higher_is_better,
            }
            for column in table.columns
        ],
        "bodies": [(kind, list(group)) for kind, group in groupby(lines, key=lambda line: line["kind"])],
        "figures": [_figure(chart, ids) for chart in charts],
    }


def _cell(table: Table, place: int, cell: Cell) -> dict[str, Any]:
    column = table.columns[place]
    # A mean over a sweep rests on a hundred rows, which nobody reads in a card.
    keys = " ".join(stored.row.key for stored in cell.rows) if len(cell.rows) <= MOST_SOURCES else ""
    return {
        "value": cell.value,
        "text": cell.printed or column.number(cell.value),
        "low": column.number(cell.low) if cell.low is not None else "",
        "high": column.number(cell.high),
        "best": cell.best,
        "struck": cell.struck,
        "marks": ",".join(table.marks(cell)),
        "source": keys or (cell.origin and origin_key(cell.origin)),
    }
