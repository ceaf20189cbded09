"""``paco-eval evaluate``."""

from __future__ import annotations

from pathlib import Path

import click

from paco_eval.cli.options import data_root as data_root_option


@click.command("evaluate")
@click.argument("encoders", nargs=-1, required=True, metavar="ENCODER...")
@click.option("--tasks", default="*", show_default=True, help="Names or globs, separated by commas.")
@click.option("--protocol", type=click.Choice(["frozen"]), default="frozen", show_default=True)
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("paco-results"), show_default=True
)
@data_root_option
@click.option("--overwrite", type=click.Choice(["never", "missing", "always"]), default="missing", show_default=True,
              help="never: refuse if rows are there; missing: measure what is not; always: measure again.")  # fmt: skip
@click.option(
    "--limit", type=click.IntRange(min=1), help="At most so many pictures of each part; marked in the row."
)
@click.option("--dry-run", is_flag=True, help="Print the plan and stop.")
@click.option(
    "--tasks-from", type=click.Path(path_type=Path, dir_okay=False), help="A Python file that declares tasks."
)
def command(
    encoders: tuple[str, ...], tasks: str, protocol: str, out: Path, data_root: Path | None,
    overwrite: str, limit: int | None, dry_run: bool, tasks_from: Path | None,
) -> None:  # fmt: skip
    """Score encoders on tasks: one row each, written as it comes.

    ENCODER is paco:FOLDER, timm:NAME, random:RECIPE_OR_TIMM[@SEED], pixels or constant.
    """
    from paco_fr.errors import MissingDataError
    from tasks.registry import select
    from tasks.registry import tasks_from as read_tasks

    chosen = select(tasks, read_tasks(tasks_from) if tasks_from else ())
    usable = []
    absent = []
    for task, named in chosen:
        missing = task.missing(data_root)
        if not missing:
            usable.append(task)
        elif named:
            absent.append(
                f"{task.name}: {', '.join(missing)} not under {data_root or '--data-root (not given)'}. {task.obtain}"
            )
        else:
            click.echo(f"Skipped {task.name}: no data. {task.obtain}", err=True)
    if absent and not usable:
        raise MissingDataError("\n".join(absent))
    if dry_run:
        for encoder in encoders:
            for task in usable:
                click.echo(f"{encoder}  {task.name} v{task.version}  {protocol}")
        return

    from paco_eval.runner import evaluate_all

    failed = evaluate_all(list(encoders), usable, out=out, data_root=data_root, overwrite=overwrite, limit=limit,
                          say=lambda text: click.echo(text, err=True))  # fmt: skip
    click.echo(f"Rows: {out / 'rows'}\nReport: paco-eval report {out}")
    if absent:
        raise MissingDataError("\n".join(absent))
    if failed:
        raise SystemExit(1)
