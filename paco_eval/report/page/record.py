"""What numbers rest on: the record of each row, licences and versions, as plain data for the page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from paco_eval.report.page.contents import Contents
from paco_eval.rows.schema import Row
from paco_fr.contracts import content_hash

MOST_SOURCES = 8
"""Rows behind a number that its card tells of."""


def licences(rows: Iterable[Row]) -> list[tuple[str, str, str]]:
    """Return kind, name and terms of data and weights."""
    found = set()
    for row in rows:
        if "data" in row.licences:
            found.add(("data", row.task, row.licences["data"]))
        if "weights" in row.licences:
            found.add(("weights", row.encoder, row.licences["weights"]))
    return sorted(found)


def versions(rows: Iterable[Row]) -> list[tuple[str, str]]:
    """Return what the rows were made with."""
    found: dict[str, set[str]] = {}
    for row in rows:
        for name, value in [*row.versions.items(), ("commit", row.commit), *row.hardware.items()]:
            found.setdefault(name, set()).add(value)
    return [(name, ", ".join(sorted(values))) for name, values in sorted(found.items())]


Facts = tuple[str, list[tuple[str, str, bool]]]


def origin_key(origin: str) -> str:
    """Return the key of where a published number was found."""
    return f"published-{content_hash(origin)}"


def sources(contents: Contents) -> dict[str, Facts]:
    """Return by key of a row what its number rests on, of all rows that are shown."""
    cells = [cell for table, _ in contents.tables for line in table.lines for cell in line.cells if cell]
    several = [cell.rows for cell in cells if len(cell.rows) <= MOST_SOURCES]
    several += [
        score.rows for board in contents.boards for entry in board.entries for score in entry.scores if score
    ]
    found = {stored.row.key: provenance(stored.row) for rows in several for stored in rows}
    for cell in cells:
        if cell.origin:
            found[origin_key(cell.origin)] = ("Published", [("found", cell.origin, False)])
    return found


def provenance(row: Row) -> Facts:
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
