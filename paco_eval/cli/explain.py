"""``paco-eval explain``."""

from __future__ import annotations

from pathlib import Path

import click

from paco_eval.cli.options import data_root as data_root_option
from paco_eval.cli.options import trust_option


@click.command("explain")
@click.argument("row", metavar="ROW.json|ARCHIVE#KEY")
@click.option("--limit", type=click.IntRange(min=10), default=300, show_default=True,
              help="Pictures of each part that are looked at.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("paco-results/explain"),
              show_default=True, help="Folder of the sheet of worst faces.")  # fmt: skip
@data_root_option
@click.option("--encoder-from", metavar="FILE:CLASS", help="The encoder of the row, where its name cannot be loaded; "
                                                           "needs --trust.")  # fmt: skip
@click.option(
    "--tasks-from",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The Python file that declares the task.",
)
@click.option("--folder", metavar="FAMILY=PATH[,key=value,...]", help="The task on your own pictures.")
@trust_option
def command(
    row: str, limit: int, out: Path, data_root: Path | None, encoder_from: str | None, tasks_from: Path | None,
    folder: str | None, trust: bool,
) -> None:  # fmt: skip
    """Say why a number is low: the likeliest cause with its evidence, what else was tried, and the worst faces.

    Measured again on a part of the task with one thing changed at a time: order of colours, range of pixels, crop,
    mirrored pictures; mirrored labels, points counted from 1, train and test exchanged.
    """
    from paco_eval.api.commands import explain

    found = explain(
        row, limit=limit, out=out, data_root=data_root, encoder_from=encoder_from, tasks_from=tasks_from,
        folder=folder, trust=trust,
    )  # fmt: skip
    for line in found.lines():
        click.echo(line)
