"""``paco-eval compare``."""

from __future__ import annotations

import json
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
    from paco_eval.analysis.compare import compare
    from paco_eval.analysis.names import names_of
    from paco_eval.analysis.significance import registered_metrics
    from paco_eval.report.leaderboard.layout import one_table, titled
    from paco_eval.report.leaderboard.selection import Asked, titles_of
    from paco_eval.report.leaderboard.writers import written
    from paco_eval.report.tables.comparison import comparison_lines, comparison_records, comparison_tables
    from paco_eval.report.tables.formats import to_markdown
    from paco_eval.rows.store import load_rows
    from paco_fr.utils.errors import PacoError

    definitions, given = registered_metrics(), names_of(names)
    loaded = load_rows(runs)
    titles = titles_of(loaded.rows, given)
    named = {title: label for label, title in titles.items()}
    comparison, wrong = None, None
    try:
        comparison = compare(loaded.rows, named.get(baseline, baseline), metric_of=definitions)
    except PacoError as error:  # a baseline that is not there: the tables still come
        wrong = error
    asked = Asked(baseline=baseline if comparison else "", names=given)
    problems = [*loaded.problems, *(comparison.problems if comparison else ())]
    if comparison is not None:
        if style == "json":
            click.echo(json.dumps(comparison_records(comparison, titles), indent=1, ensure_ascii=False))
        elif style == "md":
            click.echo(
                "\n".join(to_markdown(titled(table, titles)) for table in comparison_tables(comparison))
            )
        else:
            boards = one_table(loaded.rows, asked, metric_of=definitions)
            click.echo(written(boards, "text", width=screen_width(), bold=bold))
            for line in comparison_lines(comparison, titles):
                click.echo(line)
        if not comparison.differences:
            wrong = PacoError("; ".join(["Nothing could be compared", *problems]))
    for problem in problems if style and out is None else ():
        progress.say(f"Note: {problem}")
    if style is None or out is not None:
        from paco_eval.report.build import build_report

        result = build_report(
            runs, out or runs[0] / "comparison", metric_of=definitions, published=published, table=asked,
            comparison=comparison, title=f"Compared with {baseline}" if comparison else "Face encoders, measured",
        )  # fmt: skip
        for problem in result.problems:
            progress.say(f"Note: {problem}")
        for path in result.files:
            click.echo(str(path), err=style == "json")
    if wrong:
        raise wrong
