"""``paco-eval report``."""

from __future__ import annotations

from pathlib import Path

import click

from paco_eval.cli.options import REPLICATES
from paco_fr.utils import progress


@click.command("report")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option("--format", "formats", multiple=True, type=click.Choice(["html", "md", "csv", "latex", "figures", "archive"]),
              help="May be given several times; archive: all rows in few files.  [default: html, md, csv, latex]")  # fmt: skip
@click.option("--style", type=click.Choice(["families", "paper"]), default="families", show_default=True)
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
    include_mimic: bool,
    out: Path | None,
) -> None:
    """Tables, plots and one page to look at, from the rows of one or several runs."""
    from typing import cast

    from paco_eval.analysis.significance import registered_judge
    from paco_eval.report.build import Format, Style, build_report

    result = build_report(
        runs,
        out or runs[0] / "report",
        formats=cast("tuple[Format, ...]", formats or ("html", "md", "csv", "latex")),
        include_mimic=include_mimic,
        judge=registered_judge(replicates=REPLICATES),
        published=published,
        style=cast(Style, style),
    )
    for problem in result.problems:
        progress.say(f"Note: {problem}")
    for path in result.files:
        click.echo(str(path))
