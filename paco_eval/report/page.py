"""The page: one self-contained HTML file from tables, figures and the record of a run."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from itertools import groupby
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from paco_eval.analysis.columns import Column
from paco_eval.report.figures import Drawn
from paco_eval.report.plots.style import Look, to_svg
from paco_eval.report.tables.table import Cell, Table
from paco_eval.report.theme import inline_svg, themed, variables
from paco_eval.rows.artefacts import Pretraining
from paco_eval.rows.schema import Row
from paco_eval.rows.store import Stored
from paco_fr.contracts import content_hash


@dataclass(frozen=True)
class Contents:
    """What goes into a page.

    Attributes:
        rows: all rows that were read, shown or not.
        tables: with their figures, in the order of the page.
        pretrainings: with their figures.
        training: figures of several pretraining runs together.
        failures: task, expected, scored, reasons and encoders of rows with failures.
        looks: colour of every line of a table.
        problems: sentences about what was left out.

    """

    rows: Sequence[Stored]
    tables: Sequence[tuple[Table, Sequence[Drawn]]]
    pretrainings: Sequence[tuple[Pretraining, Mapping[str, Any], Sequence[Drawn]]]
    training: Sequence[Drawn]
    failures: Sequence[Mapping[str, Any]]
    looks: Mapping[str, Look]
    problems: Sequence[str] = field(default_factory=list)


def render(contents: Contents, title: str) -> str:
    """Return the page as HTML that needs nothing from outside; all text from data is escaped."""
    environment = Environment(
        loader=PackageLoader("paco_eval", "report"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    folder = files("paco_eval") / "report"
    script = (folder / "page.js").read_text(encoding="utf-8")
    css = (folder / "page.css").read_text(encoding="utf-8").replace(":root {", f":root {{ {variables()}", 1)
    # Only this script may run: one that came in with the data would be refused by the browser as well.
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    rows = [stored.row for stored in contents.rows]
    shown = [table for table, _ in contents.tables if not table.compared]
    tasks = sorted({column.task for table in shown for column in table.columns})
    place = {task: i for i, task in enumerate(tasks)}
    return environment.get_template("page.html").render(
        title=title,
        version=_own_version(),
        css=Markup(css),
        script=Markup(script),
        script_hash=f"sha256-{digest}",
        tiles=_tiles(rows, contents),
        problems=contents.problems,
        leaders=[
            lead
            for table, _ in contents.tables
            if not (table.mimic or table.compared)
            for lead in _leaders(table, place)
        ],
        encoders=list(dict.fromkeys(line.label for t, _ in contents.tables for line in t.lines)),
        tasks=tasks,
        colours={name: themed(look.colour) for name, look in contents.looks.items()},
        tables=[_view(table, figures, place) for table, figures in contents.tables],
        pretrainings=[_pretraining(*run) for run in contents.pretrainings],
        training=[_figure(drawn, {}) for drawn in contents.training],
        failures=contents.failures,
        licences=_licences(rows),
        versions=_versions(rows),
        commands=sorted({row.command for row in rows if row.command}),
        sources=_sources(contents),
    )


def _own_version() -> str:
    try:
        return version("paco-fr")
    except PackageNotFoundError:
        return "from source"


def slug(text: str) -> str:
    """Return text as part of an address: lower case letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _tiles(rows: Sequence[Row], contents: Contents) -> list[tuple[str, str]]:
    tables = [table for table, _ in contents.tables]
    return [
        ("encoders", str(len({line.label for t in tables for line in t.lines if line.kind == "measured"}))),
        ("tasks", str(len({column.task for t in tables if not t.compared for column in t.columns}))),
        ("rows", f"{len(rows):,}"),
        ("items scored", f"{sum(row.n_scored for row in rows):,}"),
        ("failed", f"{sum(row.n_expected - row.n_scored for row in rows):,}"),
    ]


def _leaders(table: Table, place: Mapping[str, int]) -> Iterable[dict[str, Any]]:
    """Yield for each main metric on the plain test split who leads and whether that can be told."""
    for position, column in enumerate(table.columns):
        if not column.main or column.level >= 0 or column.subset != "all":
            continue
        found = [
            (cell.value, line, cell)
            for line in table.lines
            if line.kind == "measured" and (cell := line.cells[position]) and cell.value is not None
        ]
        found.sort(key=lambda entry: -entry[0] if column.higher_is_better else entry[0])
        if not found:
            continue
        first = found[0]
        second = found[1] if len(found) > 1 else None
        yield {
            "id": slug(table.title), "t": place[column.task], "task": column.task,
            "place": f"v{column.task_version} · {table.protocol} · ", "heading": column.heading, "first": first[1].label,
            "first_score": column.number(first[0]), "second": second[1].label if second else "",
            "second_score": column.number(second[0]) if second else "",
            "verdict": _verdict([line.note for _, line, _ in found], first[2]),
        }  # fmt: skip


def _verdict(notes: Sequence[str], first: Cell) -> str:
    """Say what holds of the leader; with one seed on any side it is observed, not a rule."""
    if len(notes) == 1:
        return "no other encoder was measured"
    said = "ahead of every other" if first.best else "not distinguishable from the next"
    return f"{said}; observed, with one seed in places" if any("observed" in note for note in notes) else said


def _view(table: Table, figures: Sequence[Drawn], place: Mapping[str, int]) -> dict[str, Any]:
    lines = [
        {
            "kind": line.kind,
            "label": line.label,
            "note": line.note,
            "cells": [
                None if cell is None else _cell(table, column, cell)
                for column, cell in zip(table.columns, line.cells, strict=True)
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
        "landmarks": table.family.endswith("landmarks"),
        "samples": any(drawn.name.endswith("-faces") for drawn in figures),
        "columns": [
            {
                "t": place.get(column.task, ""), "main": column.main, "place": table.place(column),
                "heading": column.heading, "higher": column.higher_is_better,
            }
            for column in table.columns
        ],
        "bodies": [(kind, list(group)) for kind, group in groupby(lines, key=lambda line: line["kind"])],
        "figures": [_figure(drawn, place) for drawn in figures],
    }  # fmt: skip


def _cell(table: Table, column: Column, cell: Cell) -> dict[str, Any]:
    return {
        "value": cell.value,
        "text": cell.printed or column.number(cell.value),
        "low": column.number(cell.low) if cell.low is not None else "",
        "high": column.number(cell.high),
        "best": cell.best,
        "struck": cell.struck,
        "marks": ",".join(table.marks(cell)),
        "source": " ".join(stored.row.key for stored in cell.rows)
        or (cell.origin and _origin_key(cell.origin)),
    }


def _figure(drawn: Drawn, place: Mapping[str, int]) -> dict[str, Any]:
    label = str(escape(f"{drawn.name}: {drawn.spoken or drawn.caption}"))
    svg = Markup(inline_svg(to_svg(drawn.figure), slug(drawn.name), label))
    return {"svg": svg, "caption": drawn.caption, "wide": drawn.wide, "t": place.get(drawn.task)}


def _pretraining(run: Pretraining, card: Mapping[str, Any], figures: Sequence[Drawn]) -> dict[str, Any]:
    absent = [
        f"No {what}: {name} is not there."
        for what, name in (
            ("loss curves", "metrics.jsonl"), ("reconstructions", "reconstruction.npz"),
        )
        if not (run.folder / name).exists()
    ]  # fmt: skip
    shown = [(name.replace("_", " "), _plain(value)) for name, value in card.items()]
    return {
        "name": run.name,
        "card": [(name, value) for name, value in shown if value],
        "figures": [_figure(drawn, {}) for drawn in figures],
        "absent": absent,
    }


def _plain(value: Any) -> str:
    """Return a value of a card as short text; nested ones are left to the file itself."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    return value if isinstance(value, str) else ""


def _licences(rows: Iterable[Row]) -> list[tuple[str, str, str]]:
    found = set()
    for row in rows:
        if "data" in row.licences:
            found.add(("data", row.task, row.licences["data"]))
        if "weights" in row.licences:
            found.add(("weights", row.encoder, row.licences["weights"]))
    return sorted(found)


def _versions(rows: Iterable[Row]) -> list[tuple[str, str]]:
    found: dict[str, set[str]] = {}
    for row in rows:
        for name, value in [*row.versions.items(), ("commit", row.commit), *row.hardware.items()]:
            found.setdefault(name, set()).add(value)
    return [(name, ", ".join(sorted(values))) for name, values in sorted(found.items())]


Facts = tuple[str, list[tuple[str, str, bool]]]


def _origin_key(origin: str) -> str:
    return f"published-{content_hash(origin)}"


def _sources(contents: Contents) -> dict[str, Facts]:
    cells = [cell for table, _ in contents.tables for line in table.lines for cell in line.cells if cell]
    found = {stored.row.key: _provenance(stored.row) for cell in cells for stored in cell.rows}
    for cell in cells:
        if cell.origin:
            found[_origin_key(cell.origin)] = ("Published", [("found", cell.origin, False)])
    return found


def _provenance(row: Row) -> Facts:
    """Return a heading and (name, text, is a hash) of everything that a number rests on."""
    items = f"{row.n_items} {row.item}s of " if row.n_items and row.item != "picture" else ""
    scored = f"{items}{row.n_expected} pictures{f', {row.failures}' if row.failures else ''}"
    where = [row.split, *([row.subset] if row.subset != "all" else []), *_level(row)]
    seeds = {"pretraining": row.pretrain_seed, "probe": row.probe_seed, "split": row.split_seed}
    facts: list[tuple[str, str, bool]] = [
        ("task", f"{row.task}, version {row.task_version}", False),
        ("protocol", f"{row.protocol}, {', '.join(where)}", False),
        ("scored", f"{scored}, {row.data_kind} data", False),
        ("chosen", ", ".join(f"{name} {_short(value)}" for name, value in row.chosen.items()), False),
        ("validation", "" if row.val_score is None else _short(row.val_score), False),
        ("interval", _interval(row), False),
        ("seeds", ", ".join(f"{name} {seed}" for name, seed in seeds.items() if seed is not None), False),
        ("weights", row.weight_hash, True),
        ("pixels", row.pixel_hash, True),
        ("crop", row.crop_hash, True),
        ("data", row.data_fingerprint, True),
        ("row", row.key, True),
        ("commit", row.commit, True),
    ]
    return row.encoder, [fact for fact in facts if fact[1]]


def _level(row: Row) -> list[str]:
    return [] if row.level is None else [f"level {row.level}"]


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _interval(row: Row) -> str:
    made = row.interval
    if made is None:
        return "none"
    made_of = f"{made.method} over {made.n_units} × {made.unit}, {made.replicates} replicates"
    return f"{100 * made.confidence:g} %, {made_of}"
