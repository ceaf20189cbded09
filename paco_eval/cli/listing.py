"""``paco-eval list``."""

from __future__ import annotations

import json
import textwrap
from collections import defaultdict
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from paco_eval.cli import completion
from paco_eval.cli.options import data_root as data_root_option
from paco_eval.cli.options import screen_width

if TYPE_CHECKING:
    from tasks.task import Task

Rows = list[dict[str, str]]

KINDS = ("tasks", "encoders", "datasets", "recipes", "fields")


@click.command("list")
@click.argument("what", metavar=f"{{{','.join(KINDS)}}}")
@click.argument("name", required=False, metavar="[NAME]", shell_complete=completion.listed)
@click.option("--format", "style", type=click.Choice(["table", "json"]), default="table", show_default=True)
@data_root_option
def command(what: str, name: str | None, style: str, data_root: Path | None) -> None:
    """List what there is; NAME, or a glob, tells all of one: a task, a data set, a setting of a recipe."""
    from paco_fr.utils.errors import unknown_name

    if what not in KINDS:
        raise unknown_name("list", what, KINDS)
    rows = _chosen(_ROWS[what](data_root), name, what)
    if style == "json":
        click.echo(json.dumps(rows, indent=2))
        return
    width = max(screen_width(), 40)
    lines = _told(rows, width) if name else _LINES[what](rows, width)
    for line in lines:
        click.echo(line)


def _chosen(rows: Rows, name: str | None, what: str) -> Rows:
    """Return the rows whose first entry is meant."""
    from paco_fr.utils.errors import unknown_name

    if name is None:
        return rows
    first = next(iter(rows[0]))
    words = {row[first]: _words(row[first], row.get("tasks", "")) for row in rows}
    low = name.lower()
    exact = [row for row in rows if row[first].lower().partition("@")[0] == low or row[first].lower() == low]
    found = [row for row in rows if low in words[row[first]] or fnmatchcase(row[first].lower(), low)]
    if not found:
        raise unknown_name(what.rstrip("s"), name, set().union(*words.values()))
    return exact or found


def _words(name: str, tasks: str) -> set[str]:
    """Return what means an entry besides its name: its family or section, and the tasks that read a data set."""
    parts = {
        name,
        name.partition("@")[0],
        name.partition("/")[0],
        name.rpartition(".")[0],
        *tasks.split(", "),
    }
    return {part.lower() for part in parts if part}


def _told(rows: Rows, width: int) -> list[str]:
    """Return everything of each row, a wrapped line a field."""
    lines: list[str] = []
    for row in rows:
        (_, title), *fields = row.items()
        lines += [*([""] if lines else []), title]
        for name, value in fields:
            if value:
                lines += textwrap.wrap(
                    f"{name}: {value}", width - 2, initial_indent="  ", subsequent_indent="    "
                )
    return lines


def _tasks(data_root: Path | None) -> Rows:
    from paco_eval.analysis.names import metric_title
    from tasks.kinds import way_of
    from tasks.registry import all_tasks, derived, select

    known = all_tasks()
    plain = [task for task in known.values() if "@" not in task.name]
    variants = ",".join(f"{task.name}@{other}" for task in plain for other in task.variants)
    swept = [task for task in derived().values() if "@" not in task.name]
    return [
        {
            "task": task.name,
            "data": _state(task, data_root),
            "main metric": metric_title(task.main_metric, ""),
            "version": str(task.version),
            "kind": task.kind,
            "split": task.split.replace("_", " "),
            "measured": f"{way_of(task)}; canvas at least {task.crop.canvas} px",
            "variants": ", ".join(f"@{name}" for name in task.variants),
            "subsets": ", ".join((*task.views, *task.subsets)),
            "derived from": task.sweep.base if task.sweep else "",
            "tried on": task.tried_on,
            "licence": task.licence,
            "files": ", ".join(task.files),
            "how to get it": task.obtain,
            "citation": task.citation,
        }
        for task in (*plain, *(task for task, _ in select(variants)), *swept)
    ]


def _state(task: Task, data_root: Path | None) -> str:
    return "missing" if task.missing(data_root) else "found" if task.files else "made here"


def _task_lines(rows: Rows, width: int) -> list[str]:
    """Return a line a task, by family, derived ones folded into one line a factor."""
    families: dict[str, Rows] = defaultdict(list)
    folded: dict[str, int] = defaultdict(int)
    for row in rows:
        if "@" in row["task"]:
            continue
        if row["derived from"]:
            folded[row["task"].partition("/")[0]] += 1
        else:
            families[row["task"].partition("/")[0]].append(row)
    lines: list[str] = []
    for family, found in families.items():
        lines += [*([""] if lines else []), family]
        table = [
            {"task": row["task"], "data": row["data"], "main metric": row["main metric"]} for row in found
        ]
        lines += [f"  {line}" for line in _columns(table, width - 2)]
    lines += ["", "derived from any of these, scored under trouble at five levels"]
    lines += [f"  {f'{factor}/TASK':24}  {count} tasks" for factor, count in folded.items()]
    return [*lines, "", "paco-eval list tasks NAME tells all of one."]


def _encoders(data_root: Path | None) -> Rows:
    from importlib.metadata import entry_points  # takes as long as a list

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
    """Return a row a data folder, with the tasks that read it."""
    from tasks.registry import all_tasks

    folders: dict[str, list[Task]] = defaultdict(list)
    for task in all_tasks().values():
        if "@" in task.name:
            continue
        for folder in dict.fromkeys(Path(name).parts[0] for name in task.files) or [
            "(drawn by this package)"
        ]:
            folders[folder].append(task)
    return [
        {
            "data": folder,
            "state": _together(_state(task, data_root) for task in tasks),
            "tasks": ", ".join(task.name for task in tasks),
            "files": ", ".join(dict.fromkeys(name for task in tasks for name in task.files)),
            "obtain": " ".join(dict.fromkeys(task.obtain for task in tasks)),
            "licence": "; ".join(dict.fromkeys(task.licence for task in tasks)),
        }
        for folder, tasks in sorted(folders.items())
    ]


def _together(states: Iterable[str]) -> str:
    found = list(dict.fromkeys(states))
    return found[0] if len(found) == 1 else "in part"


def _dataset_lines(rows: Rows, width: int) -> list[str]:
    table = [{name: row[name] for name in ("data", "state", "tasks", "licence")} for row in rows]
    return [
        *_columns(table, width),
        "",
        "paco-eval list datasets NAME tells all of one, and how to obtain it.",
    ]


def _recipes(data_root: Path | None) -> Rows:
    folder = Path(__file__).parents[2] / "paco_fr" / "recipes"
    return [
        {"recipe": path.stem, "about": path.read_text(encoding="utf-8").split("\n", 1)[0].lstrip("# ")}
        for path in sorted(folder.glob("*.toml"))
    ]


def _fields(data_root: Path | None) -> Rows:
    from paco_fr.config import PretrainConfig

    return [
        {"field": key, "default": json.dumps(field.get_default(call_default_factory=True), default=_plain),
         "values": _values(field.annotation), "reason": field.description or ""}
        for key, field in _leaves(PretrainConfig)
    ]  # fmt: skip


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else str(value)


def _leaves(model: Any, section: str = "") -> Iterable[tuple[str, Any]]:
    for name, field in model.model_fields.items():
        if hasattr(field.annotation, "model_fields"):
            yield from _leaves(field.annotation, f"{section}{name}.")
        else:
            yield f"{section}{name}", field


def _values(annotation: Any) -> str:
    """Return the words that a setting knows, or its type."""
    from typing import Literal, get_args, get_origin

    if get_origin(annotation) is Literal:
        return ", ".join(map(str, get_args(annotation)))
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")


def _field_lines(rows: Rows, width: int) -> list[str]:
    """Return every setting with its default, and below it what it is for."""
    lines = []
    for row in rows:
        known = f"  ({row['values']})" if "," in row["values"] else ""
        lines += textwrap.wrap(f"{row['field']} = {row['default']}{known}", width, subsequent_indent="    ")
        lines += textwrap.wrap(row["reason"], width, initial_indent="    ", subsequent_indent="    ")
    return [
        *lines,
        "",
        "paco-eval pretrain --set FIELD=VALUE changes one; list fields NAME tells one, or a section.",
    ]


def _columns(rows: Iterable[Mapping[str, str]], width: int) -> list[str]:
    """Return rows in columns that fit the width: the last ones are cut where it does not suffice."""
    table = [list(row.values()) for row in rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    room = width - 2 * (len(widths) - 1)
    for place in reversed(range(1, len(widths))):
        others = sum(widths) - widths[place]
        widths[place] = min(widths[place], max(room - others, 12))
    lines = [
        "  ".join(_cut(cell, most).ljust(most) for cell, most in zip(line, widths, strict=True))
        for line in table
    ]
    return [line.rstrip()[:width] for line in lines]


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _plain_lines(rows: Rows, width: int) -> list[str]:
    return _columns(rows, width)


def _encoder_lines(rows: Rows, width: int) -> list[str]:
    table = [{"name": row["name"], "what": row["what"]} for row in rows]
    return [*_columns(table, width), "", "paco-eval list encoders NAME tells pixels and crop, too."]


_ROWS = {
    "tasks": _tasks,
    "encoders": _encoders,
    "datasets": _datasets,
    "recipes": _recipes,
    "fields": _fields,
}
_LINES = {
    "tasks": _task_lines, "encoders": _encoder_lines, "datasets": _dataset_lines, "recipes": _plain_lines,
    "fields": _field_lines,
}  # fmt: skip
