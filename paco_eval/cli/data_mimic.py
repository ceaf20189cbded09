"""``paco-eval data mimic``."""

from __future__ import annotations

from pathlib import Path

import click

from paco_eval.cli import completion


@click.command("mimic")
@click.argument("names", metavar="NAME", shell_complete=completion.tasks)
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--faces",
    type=click.IntRange(min=12),
    default=24,
    show_default=True,
    help="Synthetic faces in each part.",
)
def mimic(names: str, out: Path, faces: int) -> None:
    """Write miniatures of NAME (a task, a glob, or several) below the data root OUT, in their official layouts.

    Rows measured on them say so and stay out of reports unless asked for.
    """
    from paco_fr.utils.errors import PacoError
    from tasks.mimics import WRITERS
    from tasks.mimics import mimic as write
    from tasks.registry import select

    chosen = [(task, named) for task, named in select(names) if named or task.plain_name in WRITERS]
    if not chosen:
        raise PacoError(f"None of '{names}' has a miniature. Known: {', '.join(WRITERS)}.")
    for task, _ in chosen:
        counts = write(task, out, faces)
        click.echo(f"{task.name}: {', '.join(f'{name} {count}' for name, count in counts.items())}")
    click.echo(f"Rehearse: paco-eval evaluate pixels --tasks '{names}' --data-root {out}")
