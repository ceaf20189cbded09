"""``paco-eval compare``."""

from __future__ import annotations

from pathlib import Path

import click

from paco_fr.utils import progress


@click.command("compare")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option(
    "--baseline", default="pixels", show_default=True, help="An encoder, or a method with several seeds."
)
@click.option("--published", is_flag=True, help="Set numbers from the literature below measured ones.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="[default: the first RUN/comparison]"
)
def command(runs: tuple[Path, ...], baseline: str, published: bool, out: Path | None) -> None:
    """Who wins where against a baseline, by how much, and whether it is more than chance."""
    from paco_eval.analysis.compare import compare
    from paco_eval.analysis.significance import by_resampling, registered_metrics
    from paco_eval.report.build import build_report
    from paco_eval.report.tables.comparison import comparison_tables
    from paco_eval.report.tables.formats import to_markdown
    from paco_eval.rows.store import load_rows
    from paco_fr.utils.errors import PacoError

    definitions = registered_metrics()
    comparison, wrong = None, None
    try:
        comparison = compare(load_rows(runs).rows, baseline, metric_of=definitions)
    except PacoError as error:  # a baseline that is not there: the tables still come
        wrong = error
    result = build_report(
        runs, out or runs[0] / "comparison", judge=by_resampling(definitions), published=published,
        comparison=comparison, title=f"Compared with {baseline}" if comparison else "Face encoders, measured",
    )  # fmt: skip
    for problem in result.problems:
        progress.say(f"Note: {problem}")
    for table in comparison_tables(comparison) if comparison else ():
        click.echo(to_markdown(table))
    for path in result.files:
        click.echo(str(path))
    if wrong:
        raise wrong
