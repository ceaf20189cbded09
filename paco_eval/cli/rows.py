"""``paco-eval rows``."""

from __future__ import annotations

from pathlib import Path

import click

from paco_fr.utils import progress


@click.group("rows")
def command() -> None:
    """Rows as files: do they hold?"""


@command.command("check")
@click.argument(
    "rows", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True), metavar="ROWS..."
)
@click.option("--against", multiple=True, type=click.Path(path_type=Path, exists=True), metavar="ROWS",
              help="Rows that are trusted, e.g. results/reference: the same name has to be the same encoder and the "
                   "same data.")  # fmt: skip
def check(rows: tuple[Path, ...], against: tuple[Path, ...]) -> None:
    """Say whether rows may stand beside others: row files, folders, archives.

    Digests, keys and hashes are verified, main metrics computed again from the items, and tasks, versions, protocols
    and identities held against those known here. Exit status 1 where anything does not hold.
    """
    from paco_eval.experiments.check import check_rows

    found = check_rows(rows, against)
    for problem in found.problems:
        progress.error(problem)
    if found.problems:
        click.echo(f"Refused: {len(found.problems)} problems in {found.rows} rows.")
        raise SystemExit(1)
    click.echo(f"{found.rows} rows hold.")
