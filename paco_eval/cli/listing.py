"""``paco-eval list``."""

from __future__ import annotations

import json
from importlib.metadata import entry_points
from pathlib import Path

import click

from paco_eval.cli.options import data_root as data_root_option


@click.command("list")
@click.argument("what", type=click.Choice(["tasks", "encoders", "datasets", "recipes"]))
@click.option("--format", "style", type=click.Choice(["table", "json"]), default="table", show_default=True)
@data_root_option
def command(what: str, style: str, data_root: Path | None) -> None:
    """List what there is; for data, whether it was found and how to obtain it."""
    rows = {"tasks": _tasks, "encoders": _encoders, "datasets": _datasets, "recipes": _recipes}[what](
        data_root
    )
    if style == "json":
        click.echo(json.dumps(rows, indent=2))
        return
    for line in _table(rows):
        click.echo(line)


Rows = list[dict[str, str]]


def _tasks(data_root: Path | None) -> Rows:
    from tasks.registry import all_tasks, derived

    return [
        {
            "task": task.name,
            "version": str(task.version),
            "kind": task.kind,
            "main metric": task.main_metric,
            "data": "missing" if task.missing(data_root) else ("made here" if not task.files else "found"),
            "tried on": task.tried_on,
            "licence": task.licence,
            "how to get it": task.obtain if task.missing(data_root) else "",
        }
        for task in (*all_tasks().values(), *derived().values())
    ]


def _encoders(data_root: Path | None) -> Rows:
    from paco_eval.encoders import ADAPTERS

    folder = Path(__file__).parents[2] / "paco_fr" / "weights"  # not by import: that would bring in torch
    known = [(adapter.usage, adapter.pixels, adapter.crop, adapter.about) for adapter in ADAPTERS.values()]
    known += [
        (path.parent.name, "of its recipe", "the task's", "comes with this package")
        for path in sorted(folder.glob("*/card.json"))
    ]
    known += [
        (
            f"{entry.name}:...",
            "of its package",
            "of its package",
            f"comes with {entry.dist.name if entry.dist else entry.value}",
        )
        for entry in entry_points(group="paco_eval.encoders")
    ]
    return [dict(zip(("name", "pixels", "crop", "what"), entry, strict=True)) for entry in known]


def _datasets(data_root: Path | None) -> Rows:
    from tasks.registry import all_tasks

    return [
        {
            "files": ", ".join(task.files) or "(none)",
            "state": "missing" if task.missing(data_root) else "found" if task.files else "made here",
            "tasks": task.name,
            "obtain": task.obtain,
            "licence": task.licence,
        }
        for task in all_tasks().values()
    ]


def _recipes(data_root: Path | None) -> Rows:
    folder = Path(__file__).parents[2] / "paco_fr" / "recipes"
    return [
        {"recipe": path.stem, "about": path.read_text(encoding="utf-8").split("\n", 1)[0].lstrip("# ")}
        for path in sorted(folder.glob("*.toml"))
    ]


def _table(rows: Rows) -> list[str]:
    columns = list(rows[0])
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in columns}
    lines = ["  ".join(name.upper().ljust(widths[name]) for name in columns)]
    lines += ["  ".join(row[name].ljust(widths[name]) for name in columns) for row in rows]
    return [line.rstrip() for line in lines]
