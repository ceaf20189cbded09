"""``paco-eval list``."""

from __future__ import annotations

import json
from importlib.metadata import entry_points
from pathlib import Path

import click

from paco_eval.cli.options import data_root as data_root_option


@click.command("list")
@click.argument("what", type=click.Choice(["tasks", "encoders", "datasets", "recipes"]))
@click.argument("name", default="")
@click.option("--format", "style", type=click.Choice(["table", "json"]), default="table", show_default=True)
@data_root_option
def command(what: str, name: str, style: str, data_root: Path | None) -> None:
    """List what there is; for data, whether it was found and how to obtain it.

    `list tasks NAME` shows a task with its variants, NAME@VARIANT, and says of each how it is measured.
    """
    if name:
        _show(what, name, style)
        return
    rows = {"tasks": _tasks, "encoders": _encoders, "datasets": _datasets, "recipes": _recipes}[what](
        data_root
    )
    if style == "json":
        click.echo(json.dumps(rows, indent=2))
        return
    for line in _table(rows):
        click.echo(line)


Rows = list[dict[str, str]]


def _show(what: str, name: str, style: str) -> None:
    """Say how a task and each of its variants is measured."""
    from paco_fr.utils.errors import PacoError
    from tasks.kinds import way_of
    from tasks.registry import select

    if what != "tasks":
        raise PacoError(f"list {what} takes no name; list tasks NAME shows a task with its variants.")
    plain = name.partition("@")[0]
    found = [task for task, _ in select(plain)]
    names = ",".join(f"{task.name}@{other}" for task in found for other in task.variants)
    found += [task for task, _ in select(names)]
    rows = [
        {
            "task": task.name,
            "version": str(task.version),
            "main metric": task.main_metric,
            "measured": f"{way_of(task)}; canvas at least {task.crop.canvas} px",
            "how to get it": task.obtain,
        }
        for task in sorted(found, key=lambda task: task.name)
    ]
    if style == "json":
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        click.echo(f"{row['task']} v{row['version']}, {row['main metric']}")
        click.echo(click.wrap_text(row["measured"], 100, "  ", "  "))


def _tasks(data_root: Path | None) -> Rows:
    from tasks.registry import all_tasks, derived

    return [
        {
            "task": task.name,
            "version": str(task.version),
            "kind": task.kind,
            "main metric": task.main_metric,
            "variants": ", ".join(f"@{name}" for name in task.variants),
            "data": "missing" if task.missing(data_root) else ("made here" if not task.files else "found"),
            "tried on": task.tried_on,
            "licence": task.licence,
            "how to get it": task.obtain if task.missing(data_root) else "",
        }
        for task in (*all_tasks().values(), *derived().values())
        if "@" not in task.name
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
