"""``paco-eval report``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("report")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option("--format", "formats", multiple=True, type=click.Choice(["html", "md", "csv", "latex"]),
              help="May be given several times.  [default: all]")  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="[default: the first RUN/report]"
)
@click.option("--include-mimic", is_flag=True, help="Show rows measured on miniatures, marked.")
def command(runs: tuple[Path, ...], formats: tuple[str, ...], out: Path | None, include_mimic: bool) -> None:
    """Tables, plots and one page to look at, from the rows of one or several runs."""
    from paco_eval.report import build_report

    folder = out or runs[0] / "report"
    result = build_report(
        runs, folder, formats=formats or ("html", "md", "csv", "latex"), include_mimic=include_mimic
    )
    for problem in result.problems:
        click.echo(f"Note: {problem}", err=True)
    for path in result.files:
        click.echo(str(path))
