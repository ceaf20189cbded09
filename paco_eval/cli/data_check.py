"""``paco-eval data check``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from paco_eval.cli import completion
from paco_eval.cli.options import data_root as data_root_option

if TYPE_CHECKING:
    from tasks.data_check import Passport


@click.command("check")
@click.argument("names", metavar="NAME", shell_complete=completion.tasks)
@data_root_option
@click.option("--quick", is_flag=True, help="Do not decode every picture; see only whether it is there.")
@click.option("--format", "style", type=click.Choice(["table", "json"]), default="table", show_default=True)
def check(names: str, data_root: Path | None, quick: bool, style: str) -> None:
    """Print the passport of the data of NAME: a task, a glob, several separated by commas, or FAMILY=PATH of your own.

    FAMILY=PATH is what `evaluate --folder` takes.

    A glob passes over sets that are drawn here and have no files.

    Exit status 1: something is not as expected. 3: a task named outright has no data.
    """
    from paco_fr.utils.errors import MissingDataError
    from tasks.data_check import passport
    from tasks.registry import select
    from tasks.user_tasks import own_task

    asked = [(own_task(names), True)] if "=" in names else select(names)
    chosen = [(task, named) for task, named in asked if named or task.files]
    found = [
        passport(task, data_root, decode=not quick)
        for task, named in chosen
        if named or not task.missing(data_root)
    ]
    if style == "json":
        click.echo(
            json.dumps(
                [vars(one) | {"differences": one.differences, "sound": one.sound} for one in found], indent=2
            )
        )
    else:
        for one in found:
            click.echo("\n".join(_lines(one)))
        for task, named in chosen:
            if not named and task.missing(data_root):
                click.echo(f"{task.name}: no data. {task.obtain}")
    absent = [one for one in found if one.missing]
    if absent:
        raise MissingDataError(
            f"{', '.join(one.task for one in absent)}: no data under {data_root or '--data-root'}."
        )
    if not all(one.sound for one in found):
        raise SystemExit(1)


def _lines(one: Passport) -> list[str]:
    """Return the passport as text."""
    state = "missing" if one.missing else "as expected" if one.sound else "NOT as expected"
    lines = [f"{one.task}: {state} ({one.data_kind})", f"  licence      {one.licence}"]
    lines += [f"  withdrawn    {one.withdrawn}"] if one.withdrawn else []
    lines += [f"  missing      {name}" for name in one.missing]
    lines += [f"  refused      {one.problem}"] if one.problem else []
    if one.counts:
        lines.append(f"  faces        {', '.join(f'{name} {count}' for name, count in one.counts.items())}")
        lines.append(
            f"  pictures     {one.pictures} expected, {one.pictures - one.absent} found, {len(one.broken)} broken"
        )
        lines.append(f"  fingerprint  {one.fingerprint}")
    if one.shared:
        lines.append(f"  shared       {one.shared} pictures are both in train and in test")
    if not one.missing and not one.problem:
        lines += [
            f"  differs      {name}: {want} expected, {got} found"
            for name, (want, got) in one.differences.items()
        ]
    lines += [f"  broken       {reason}" for reason in list(one.broken.values())[:5]]
    lines += [f"  known copy   {text}" for text in one.known_bad]
    return lines + ([f"  remedy       {one.remedy}"] if one.remedy else [])
