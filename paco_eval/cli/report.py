"""``paco-eval report``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from paco_eval.cli import completion
from paco_eval.cli.options import bold, columns_option, names_option, screen_width
from paco_fr.utils import progress

if TYPE_CHECKING:
    from paco_eval.report.build import Format, Style
    from paco_eval.report.leaderboard.selection import Columns

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
    runs: tuple[Path, ...], formats: tuple[str, ...], tasks: str, encoders: str, baseline: str, names: tuple[str, ...],
    columns: str, cost: bool, style: str, published: bool, include_mimic: bool, out: Path | None,
) -> None:  # fmt: skip
    """One table first, then plots and a page to look at, from the rows of one or several runs."""
    from paco_eval.analysis.names import names_of
    from paco_eval.analysis.significance import registered_metrics
    from paco_eval.report.charts.leaders import to_svg
    from paco_eval.report.leaderboard.layout import one_table
    from paco_eval.report.leaderboard.selection import Asked
    from paco_eval.report.leaderboard.writers import written

    asked = Asked(tasks, encoders, baseline, names_of(names), None, cast("Columns", columns), cost)
    if formats and out is None and set(formats) <= set(PRINTED):
        from paco_eval.rows.store import load_rows
        from paco_fr.utils.errors import PacoError

        loaded = load_rows(runs)
        for problem in loaded.problems:
            progress.say(f"Note: {problem}")
        boards = one_table(loaded.rows, asked, metric_of=registered_metrics(), include_mimic=include_mimic)
        if not boards:
            raise PacoError(f"No table: no row under {', '.join(map(str, runs))} is of a whole task.")
        for style_of in formats:
            if style_of == "svg":
                click.echo(to_svg(boards[0]), nl=False)
                continue
            click.echo(written(boards, style_of, width=screen_width(), bold=bold, cost=cost), nl=False)
        return
    from paco_eval.report.build import DEFAULT_FORMATS, build_report

    result = build_report(
        runs,
        out or runs[0] / "report",
        formats=cast("tuple[Format, ...]", formats or DEFAULT_FORMATS),
        include_mimic=include_mimic,
        metric_of=registered_metrics(),
        table=asked,
        published=published,
        style=cast("Style", style),
    )
    for problem in result.problems:
        progress.say(f"Note: {problem}")
    for path in result.files:
        click.echo(str(path))
