"""``paco-eval data align``."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from paco_eval.cli import completion
from paco_eval.cli.options import data_root as data_root_option


@click.command("align")
@click.argument("source", required=False)
@click.argument("out", type=click.Path(path_type=Path, file_okay=False), required=False)
@click.option("--for", "task_name", metavar="TASK", shell_complete=completion.tasks,
              help="In place of SOURCE and OUT: find points in the pictures of a task, or FAMILY=PATH, that has none, and "
                   "keep them as landmarks.parquet in its folder.")  # fmt: skip
@data_root_option
@click.option("--detector", type=click.Choice(["face-alignment", "dlib"]), default="face-alignment", show_default=True,
              help="dlib needs pip install 'paco-eval[dlib]' and no download after it.")  # fmt: skip
@click.option("--several", type=click.Choice(["largest", "central", "reject"]), default="largest", show_default=True,
              help="Which of several faces counts.")  # fmt: skip
@click.option(
    "--min-side",
    type=click.FloatRange(min=0),
    default=48.0,
    show_default=True,
    help="Of a face's box, in pixels.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Processes, each with its own detector.",
)
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda or cuda:N.")
def align(
    source: str | None, out: Path | None, task_name: str | None, data_root: Path | None, detector: str, several: str,
    min_side: float, workers: int, device: str,
) -> None:  # fmt: skip
    """Find faces and 68 points, and cut five-point crops; the same command goes on where it was stopped.

    OUT/faces is a SOURCE for `data pack` and `pretrain`; OUT/report.parquet says what became of each photograph. OUT keeps
    who is who where photographs lie in folders of people, and is then what `evaluate --folder recognition=OUT` takes.
    Photographs that have landmarks keep them. Faces that are found with a score below 0.8 or turned by more than
    60 degrees are left out, and the report says so.

    With --for TASK no crops are made: the points are kept beside the set, and `evaluate --tasks TASK --crop arcface`
    (farl, dlib, or encoder) cuts by them. A face that no detector finds gets its points from its box, if it has one.
    """
    if task_name is not None:
        if source is not None:
            raise click.UsageError("--for TASK stands in place of SOURCE and OUT.")
        _beside(task_name, data_root, detector, workers, device)
        return
    if source is None or out is None:
        raise click.UsageError("Name SOURCE and OUT, or --for TASK.")
    from typing import cast

    from paco_fr.data.align import Rules, Several
    from paco_fr.data.align import align as run

    rules = Rules(several=cast(Several, several), min_side=min_side, detector=detector)
    for status, count in run(source, out, rules, workers=workers, device=device, progress=True).most_common():
        click.echo(f"{count:>9,}  {status}")
    faces, people = (shlex.quote(str(path)) for path in (out / "faces", out))
    click.echo(f"Faces: {out / 'faces'}\nReport: {out / 'report.parquet'}")
    click.echo(f"Next: paco-eval data pack {faces} PACKED")
    click.echo(f"Or, of folders of people: paco-eval evaluate ENCODER --folder recognition={people}")


def _beside(name: str, data_root: Path | None, detector: str, workers: int, device: str) -> None:
    """Find the points of a task's pictures and keep them beside the set."""
    from paco_fr.data.points import find_points
    from paco_fr.faces.records import BESIDE
    from paco_fr.utils.errors import MissingDataError, PacoError
    from tasks.readers.records import folder_of
    from tasks.task import resolve
    from tasks.user_tasks import named_task

    task = named_task(name)
    if missing := task.missing(data_root):
        raise MissingDataError(f"{task.name}: {', '.join(missing)} is missing. {task.obtain}")
    folder = folder_of(task, data_root)
    if folder is None:
        raise PacoError(f"{name}: has no folder of its own beside which points could lie.")
    path = folder / BESIDE
    records = resolve(task.reader)(data_root, **task.reader_options)
    found = find_points(records, path, detector=detector, workers=workers, device=device, progress=True)
    for status, count in found.most_common():
        click.echo(f"{count:>9,}  {status}")
    asked = f"--folder {shlex.quote(name)}" if "=" in name else f"--tasks {name}"
    click.echo(f"Points: {path}\nNext: paco-eval evaluate ENCODER {asked} --crop encoder")
