"""``paco-eval report``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from paco_eval.cli import completion
from paco_eval.cli.options import bold, columns_option, names_option, screen_width
from paco_fr.utils import progress

PRINTED = ("text", "md", "latex", "csv", "json", "svg")
"""Formats of the one table."""


@click.command("report")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option("--format", "formats", multiple=True,
              type=click.Choice(["html", *PRINTED, "figures", "archive"]),
              help="text, md, latex, csv, json, svg print the one table, unless --out is given; archive: all rows in few files. "
                   "May be given several times.  [default: html, md, csv, latex, into files]")  # fmt: skip
@click.option("--tasks", default="", shell_complete=completion.tasks,
              help="Show these: names or globs, separated by commas; the one table shows derived tasks (occlusion/...) "
                   "only where nothing else fits, or a pattern begins with theirs.  [default: all]")  # fmt: skip
@click.option(
    "--encoders", default="", help="Show these: encoders, methods or names, likewise.  [default: all]"
)
@click.option(
    "--baseline",
    default="",
    help="Show differences to an encoder, or to a method with several seeds; it is always shown.",
)
@names_option
@columns_option
@click.option(
    "--cost/--no-cost", default=True, show_default=True, help="Show parameters, operations and rate."
)
@click.option("--style", type=click.Choice(["families", "paper"]), default="families", show_default=True,
              help="Of the tables with all numbers, tables.md and tables.tex.")  # fmt: skip
@click.option("--published", is_flag=True, help="Set numbers from the literature below measured ones.")
@click.option("--include-mimic", is_flag=True, help="Show rows measured on miniatures, apart.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="[default: the first RUN/report]"
)
def command(
    runs: tuple[Path, ...],
    formats: tuple[str, ...],
    style: str,
    published: bool,
    out: Path | None,
    **asked: Any,
) -> None:
    """One table first, then plots and a page to look at, from the rows of one or several runs."""
    from paco_eval.api.tables import printed, report

    if formats and out is None and set(formats) <= set(PRINTED):
        for text in printed(runs, formats, **asked, width=screen_width(), bold=bold, say=progress.say):
            click.echo(text, nl=False)
        return
    for path in report(
        runs, format=formats, **asked, style=style, published=published, out=out, say=progress.say
    ):
        click.echo(str(path))
