"""``paco-eval quickstart``."""

from __future__ import annotations

from pathlib import Path

import click

from paco_fr.utils import progress


@click.command("quickstart")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("paco-results/quickstart"),
              show_default=True, help="Folder for everything that is made.")  # fmt: skip
def command(out: Path) -> None:
    """The whole line in three minutes, offline: the method at work and learning, tables and a page to look at."""
    from paco_eval.experiments.quickstart import Scale, gains, quickstart

    report = quickstart(out, scale=Scale(), say=progress.say)
    click.echo((report / "table.txt").read_text(encoding="utf-8"))
    click.echo("What a minute of training changed:")
    for line in gains(out):
        click.echo(f"  {line}")
    click.echo(f"Look at {report / 'report.html'}")
