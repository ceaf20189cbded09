"""``paco-eval results``."""

from __future__ import annotations

from pathlib import Path

import click


@click.group("results")
def command() -> None:
    """Rows to the hub and from it, as a data set."""


@command.command("push")
@click.argument("run", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("repository", metavar="OWNER/NAME")
def push(run: Path, repository: str) -> None:
    """Put the rows of a folder of results, or an archive, on the hub.

    Rows with their items travel; pictures of faces, logs and reports stay here.
    """
    from paco_eval.api.hub import push_results

    click.echo(push_results(run, repository))


@command.command("pull")
@click.argument("repository", metavar="OWNER/NAME[@REVISION]")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="[default: paco-results/hub/OWNER-NAME]"
)
def pull(repository: str, out: Path | None) -> None:
    """Fetch rows from the hub and verify them."""
    from paco_eval.api.hub import pull_results

    name, _, revision = repository.partition("@")
    folder = out or Path("paco-results") / "hub" / name.replace("/", "-")
    loaded = pull_results(name, folder, revision)
    click.echo(f"{len(loaded.rows)} rows: {folder}\nReport: paco-eval report {folder}")
