"""``paco-eval data``: looking at data, passports and miniatures of the benchmarks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from paco_eval.cli.data_align import align
from paco_eval.cli.data_pack import pack
from paco_eval.cli.options import data_root as data_root_option

if TYPE_CHECKING:
    from tasks.data_check import Passport


@click.group("data")
def command() -> None:
    """Look at data, check it against its benchmark, or rehearse on a miniature."""


@command.command("check")
@click.argument("names", metavar="NAME")
@data_root_option
@click.option("--quick", is_flag=True, help="Do not decode every picture; see only whether it is there.")
@click.option("--format", "style", type=click.Choice(["table", "json"]), default="table", show_default=True)
def check(names: str, data_root: Path | None, quick: bool, style: str) -> None:
    """Print the passport of the data of NAME, a task, a glob, or several separated by commas.

    A glob passes over sets that are drawn here and have no files.

    Exit status 1: something is not as expected. 3: a task named outright has no data.
    """
    from paco_fr.utils.errors import MissingDataError
    from tasks.data_check import passport
    from tasks.registry import select

    chosen = [(task, named) for task, named in select(names) if named or task.files]
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


@command.command("mimic")
@click.argument("names", metavar="NAME")
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--faces",
    type=click.IntRange(min=12),
    default=24,
    show_default=True,
    help="Synthetic faces in each part.",
)
def mimic_command(names: str, out: Path, faces: int) -> None:
    """Write miniatures of NAME (a task, a glob, or several) below the data root OUT, in their official layouts.

    Rows measured on them say so and stay out of reports unless asked for.
    """
    from paco_fr.utils.errors import PacoError
    from tasks.mimics import WRITERS, mimic
    from tasks.registry import select

    chosen = [(task, named) for task, named in select(names) if named or task.name in WRITERS]
    if not chosen:
        raise PacoError(f"None of '{names}' has a miniature. Known: {', '.join(WRITERS)}.")
    for task, _ in chosen:
        counts = mimic(task, out, faces)
        click.echo(f"{task.name}: {', '.join(f'{name} {count}' for name, count in counts.items())}")
    click.echo(f"Rehearse: paco-eval evaluate pixels --tasks '{names}' --data-root {out}")


@command.command("describe")
@click.argument("what", metavar="[SOURCE_OR_TASK]", default="synthetic:n=8")
@click.option("--perturb", metavar="NAME", help="Show instead each level of a perturbation, a factor or all.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("paco-results/data"),
    show_default=True,
)
@data_root_option
def describe(what: str, perturb: str | None, out: Path, data_root: Path | None) -> None:
    """Contact sheet, points and distributions of a task's data or of any SOURCE; or a checkpoint at work.

    SOURCE is synthetic[:n=N,seed=S], a folder, parquet, or hf:OWNER/NAME; a few synthetic faces by default.
    paco:FOLDER shows masks, where the belief looks and the nearest tokens of a run.
    """
    from paco_eval.report.inspect.faces import describe, describe_levels
    from paco_fr.data.sources import load_source
    from paco_fr.utils.errors import MissingDataError
    from paco_fr.utils.files import writable_folder
    from tasks.registry import all_tasks
    from tasks.task import resolve

    if what.startswith("paco:"):
        from paco_eval.report.inspect.checkpoint import describe_checkpoint

        checkpoint = Path(what.removeprefix("paco:"))
        for path in describe_checkpoint(checkpoint, writable_folder(out / f"checkpoint-{checkpoint.name}")):
            click.echo(str(path))
        return
    tasks = all_tasks()
    crop = tasks[what].crop if what in tasks else None
    if what in tasks:
        task = tasks[what]
        if task.missing(data_root):
            raise MissingDataError(
                f"{task.name}: {', '.join(task.missing(data_root))} is missing. {task.obtain}"
            )
        records = resolve(task.reader)(data_root, **task.reader_options)
    else:
        records = load_source(what)
    folder = writable_folder(out / what.replace("/", "-").replace(":", "-"))
    if perturb:
        from paco_eval.report.inspect.perturbations import describe_perturbed

        click.echo(str(describe_perturbed(records, perturb, folder, crop=crop)[0]))
        return
    files = describe(records, folder, title=what)
    if what.partition(":")[0] == "synthetic":
        files += describe_levels(folder)
    for path in files:
        click.echo(str(path))


command.add_command(align)
command.add_command(pack)
