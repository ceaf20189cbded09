"""``paco-eval repro``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from paco_eval.cli.options import data_root as data_root_option
from paco_eval.cli.options import trust_option
from paco_fr.utils import progress


@click.command("repro")
@click.argument("row", metavar="ROW.json|ARCHIVE#KEY")
@click.option("--checkpoint", type=click.Path(path_type=Path, exists=True, file_okay=False),
              help="Weights trained again, for a row of `repro: retrain`.")  # fmt: skip
@click.option("--encoder-from", metavar="FILE:CLASS",
              help="What gives the encoder of a row that was measured from Python; needs --trust.")  # fmt: skip
@trust_option
@data_root_option
@click.option(
    "--tasks-from",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The Python file that declares the task.",
)
@click.option(
    "--folder",
    metavar="FAMILY=PATH[,key=value,...]",
    help="The task on your own pictures.  [default: as the row says]",
)
@click.option("--train-identities", type=click.Path(path_type=Path, exists=True, file_okay=False),
              help="The folders of people that the row was fitted on.")  # fmt: skip
@click.option(
    "--cached",
    is_flag=True,
    help="Trust features and rendered faces in the cache.  [default: make them anew]",
)
def command(row: str, **call: Any) -> None:
    """Measure a stored row again: same, within its interval, or different, and which recorded fields differ.

    Exit status: 0 same or within the interval, 1 different, 2 it could not be measured.
    """
    from paco_eval.api.commands import repro

    found = repro(row, **call, say=progress.say)
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
