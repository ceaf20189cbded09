"""``paco-eval repro``."""

from __future__ import annotations

from pathlib import Path

import click

from paco_eval.cli.options import data_root as data_root_option
from paco_fr.utils import progress


@click.command("repro")
@click.argument("row", metavar="ROW.json|ARCHIVE#KEY")
@click.option("--checkpoint", type=click.Path(path_type=Path, exists=True, file_okay=False),
              help="Weights trained again, for a row of `repro: retrain`.")  # fmt: skip
@data_root_option
@click.option(
    "--tasks-from",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The Python file that declares the task.",
)
@click.option("--folder", metavar="FAMILY=PATH[,key=value,...]", help="The task on your own pictures.")
@click.option("--train-identities", type=click.Path(path_type=Path, exists=True, file_okay=False),
              help="The folders of people that the row was fitted on.")  # fmt: skip
@click.option(
    "--cached",
    is_flag=True,
    help="Trust features and rendered faces in the cache.  [default: make them anew]",
)
def command(
    row: str, checkpoint: Path | None, data_root: Path | None, tasks_from: Path | None, folder: str | None,
    train_identities: Path | None, cached: bool,
) -> None:  # fmt: skip
    """Measure a stored row again: same, within its interval, or different, and which recorded fields differ.

    Exit status: 0 same or within the interval, 1 different, 2 it could not be measured.
    """
    from paco_eval.experiments.repro import reproduce
    from paco_eval.features.processes import use_device
    from tasks.registry import all_tasks
    from tasks.registry import tasks_from as read_tasks
    from tasks.user_tasks import own_task

    extra = [*(read_tasks(tasks_from) if tasks_from else ()), *([own_task(folder)] if folder else ())]
    use_device("auto")
    found = reproduce(
        row, all_tasks(extra), checkpoint=checkpoint, data_root=data_root, train_identities=train_identities,
        cached=cached, say=progress.say,
    )  # fmt: skip
    if found is None:
        return
    click.echo(
        f"{found.answer}: {found.recorded.task}  {found.recorded.encoder}, judged by {found.judged_by}"
    )
    for number in found.numbers:
        ends = "no interval" if number.low is None else f"{number.low:.6g} to {number.high:.6g}"
        then, now = ("undefined" if v is None else f"{v:.6g}" for v in (number.recorded, number.measured))
        click.echo(f"  {number.name}: recorded {then}, now {now} ({ends}): {number.answer}")
    click.echo("Fields that differ:" if found.fields else "No recorded field differs.")
    for name, (recorded, measured) in found.fields.items():
        click.echo(f"  {name}: recorded {recorded}, now {measured}")
    raise SystemExit(1 if found.answer == "different" else 0)
