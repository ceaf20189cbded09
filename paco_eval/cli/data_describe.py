"""``paco-eval data describe``."""

from __future__ import annotations

from pathlib import Path

import click

from paco_eval.cli import completion
from paco_eval.cli.options import data_root as data_root_option


@click.command("describe")
@click.argument("what", metavar="[SOURCE_OR_TASK]", default="synthetic:n=8", shell_complete=completion.tasks)
@click.option("--perturb", metavar="NAME", help="Show instead each level of a perturbation, a factor or all.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("paco-results/data"),
    show_default=True,
)
@data_root_option
def describe(what: str, perturb: str | None, out: Path, data_root: Path | None) -> None:
    """Contact sheet, points and distributions of a task's data, of FAMILY=PATH or any SOURCE; or a checkpoint at work.

    SOURCE is synthetic[:n=N,seed=S], a folder, parquet, or hf:OWNER/NAME; a few synthetic faces by default.
    paco:FOLDER shows masks, where the belief looks and the nearest tokens of a run.
    """
    from paco_eval.report.inspect.faces import describe as draw
    from paco_eval.report.inspect.faces import describe_levels
    from paco_fr.data.sources import load_source
    from paco_fr.utils.errors import MissingDataError
    from paco_fr.utils.files import writable_folder
    from tasks.readers.records import records_of
    from tasks.registry import named_tasks
    from tasks.user_tasks import own_task

    if what.startswith("paco:"):
        from paco_eval.report.inspect.checkpoint import describe_checkpoint

        checkpoint = Path(what.removeprefix("paco:"))
        for path in describe_checkpoint(checkpoint, writable_folder(out / f"checkpoint-{checkpoint.name}")):
            click.echo(str(path))
        return
    tasks = named_tasks()
    if "=" in what and not what.startswith(("synthetic", "hf:")) and not Path(what).exists():
        task = own_task(what)
        tasks, what = {task.name: task}, task.name
    crop = tasks[what].crop if what in tasks else None
    if what in tasks:
        task = tasks[what]
        if task.missing(data_root):
            raise MissingDataError(
                f"{task.name}: {', '.join(task.missing(data_root))} is missing. {task.obtain}"
            )
        records = records_of(task, data_root)
    else:
        records = load_source(what)
    folder = writable_folder(out / what.replace("/", "-").replace(":", "-"))
    if perturb:
        from paco_eval.report.inspect.perturbations import describe_perturbed

        click.echo(str(describe_perturbed(records, perturb, folder, crop=crop)[0]))
        return
    files = draw(records, folder, title=what)
    if what.partition(":")[0] == "synthetic":
        files += describe_levels(folder)
    for path in files:
        click.echo(str(path))
