"""``paco-eval compare``."""

from __future__ import annotations

from pathlib import Path

import click

from paco_eval.cli.options import bold, names_option, screen_width
from paco_fr.utils import progress


@click.command("compare")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option(
    "--baseline", default="pixels", show_default=True, help="An encoder, or a method with several seeds."
)
@click.option("--format", "style", type=click.Choice(["text", "md", "json"]),
              help="Print this and write nothing, unless --out is given.  [default: text, and a report]")  # fmt: skip
@names_option
@click.option("--published", is_flag=True, help="Set numbers from the literature below measured ones.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="[default: the first RUN/comparison]"
)
def command(
    runs: tuple[Path, ...],
    baseline: str,
    style: str | None,
    names: tuple[str, ...],
    published: bool,
    out: Path | None,
) -> None:
    """Who wins where against a baseline, by how much, and whether it is more than chance.

    Exit status: 2 where nothing could be compared.
    """
    from paco_eval.api.tables import compared

    found = compared(runs, baseline=baseline, names=names)
    if found.comparison is not None:
        click.echo(found.text(style or "text", width=screen_width(), bold=bold))
    for problem in found.problems if style and out is None else ():
        progress.say(f"Note: {problem}")
    if style is None or out is not None:
        report = found.write(out or runs[0] / "comparison", published=published)
        for problem in report.problems:
            progress.say(f"Note: {problem}")
        for path in report.files:
            click.echo(str(path), err=style == "json")
    found.whole()  # an error where nothing was compared
