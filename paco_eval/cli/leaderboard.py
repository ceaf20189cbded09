"""``paco-eval leaderboard``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from paco_eval.cli import completion
from paco_eval.cli.options import names_option
from paco_fr.utils import progress


@click.command("leaderboard")
@click.argument(
    "rows", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True), metavar="ROWS..."
)
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("site"), show_default=True
)
@click.option("--tasks", default="", shell_complete=completion.tasks,
              help="Names or globs, separated by commas; derived tasks where a pattern begins with their factor. By default "
                   "all tasks, derived ones in tables of their own.")  # fmt: skip
@click.option("--title", default="Leaderboard", show_default=True)
@click.option("--replicates", type=click.IntRange(min=50), default=300, show_default=True,
              help="Bootstrap replicates behind what is claimed.")  # fmt: skip
@click.option("--no-published", is_flag=True, help="Leave numbers of the literature out.")
@names_option
def command(
    rows: tuple[Path, ...], out: Path, tasks: str, title: str, replicates: int, no_published: bool, names: tuple[str, ...]
) -> None:  # fmt: skip
    """Write a static site from rows: the one table with filters, a page for every encoder and task.

    Every number leads to the rows behind it. Rows of miniatures are left out.
    """
    from paco_eval.analysis.names import names_of
    from paco_eval.analysis.significance import registered_metrics
    from paco_eval.report.leaderboard.layout import leaderboards
    from paco_eval.report.leaderboard.selection import Asked
    from paco_eval.report.site.build import build_site
    from paco_eval.report.tables.published import FILE
    from paco_eval.rows.store import load_rows
    from tasks.registry import named_tasks

    # Numbers of the literature are on the site without being named.
    loaded = load_rows([path for path in rows if not (path / FILE).is_file()])
    for problem in loaded.problems:
        progress.say(f"Note: {problem}")
    asked = Asked(tasks=tasks, names=names_of(names), columns="tasks")
    boards = leaderboards(
        loaded.rows, asked, metric_of=registered_metrics(), parts=True, replicates=replicates
    )
    written = build_site(
        boards,
        out,
        tasks=named_tasks(),
        published=not no_published,
        title=title,
        problems=[_without_parents(problem, rows) for problem in loaded.problems],
    )
    click.echo(f"{len(written)} files: {written[0]}")


def _without_parents(text: str, paths: Iterable[Path]) -> str:
    """Return a text that names files from the folders that were given: a site is nobody's machine."""
    for path in paths:
        for parent in {str(path.parent), str(path.parent.resolve())} - {".", "/"}:
            text = text.replace(f"{parent}/", "")
    return text
