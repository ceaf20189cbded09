"""``paco-eval ablate``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from paco_eval.cli import completion
from paco_eval.cli.options import data_root as data_root_option
from paco_fr.utils import progress


@click.command("ablate")
@click.option("--recipe", default="tiny", show_default=True, help="A recipe's name or a TOML file.")
@click.option("--vary", "pairs", multiple=True, metavar="KEY=A,B,C",
              help="Values of a field, e.g. codebook.candidates=1,4,8 or objective=paco,simmim,untrained.")  # fmt: skip
@click.option("--one-at-a-time", is_flag=True, help="The recipe and each value alone, not all combinations.")
@click.option("--line", "lines", multiple=True, metavar="KEY=A,KEY=B",
              help="One more line, of several fields changed together.")  # fmt: skip
@click.option("--seeds", type=click.IntRange(min=1), default=1, show_default=True, help="Seeds of each cell.")
@click.option("--presentations", type=click.IntRange(min=1), help="Pictures shown in each cell.")
@click.option("--set", "fixed", multiple=True, metavar="KEY=VALUE", help="Override a field in all cells.")
@click.option(
    "--tasks",
    default="*/synthetic",
    show_default=True,
    shell_complete=completion.tasks,
    help="Names or globs, separated by commas.",
)
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("paco-results/ablation"),
    show_default=True, help="Folder of checkpoints, rows, table and plots.",
)  # fmt: skip
@data_root_option
@click.option("--dry-run", is_flag=True, help="Print the grid and stop.")
def command(
    recipe: str, pairs: tuple[str, ...], one_at_a_time: bool, lines: tuple[str, ...], seeds: int,
    presentations: int | None, fixed: tuple[str, ...], tasks: str, out: Path, data_root: Path | None, dry_run: bool,
) -> None:  # fmt: skip
    """Train and measure a grid of settings: a table with intervals over people and seeds, and the cost of each.

    The same command goes on where it was stopped. Exit status 1: a cell failed.
    """
    from paco_eval.experiments.ablate import ablate, variants
    from paco_eval.features.processes import use_device
    from paco_fr.config import set_fields
    from paco_fr.train.signals import Interrupted
    from tasks.registry import select

    if not pairs and not lines:
        raise click.UsageError("Nothing to vary: give --vary KEY=A,B,C or --line KEY=A,KEY=B.")
    changes = set_fields(fixed)
    if presentations is not None:
        changes["optimiser.presentations"] = presentations
    grid = variants(
        recipe, _values(pairs), seeds, fixed=changes, one_at_a_time=one_at_a_time,
        lines=[set_fields(tuple(line.split(","))) for line in lines],
    )  # fmt: skip
    chosen = [task for task, named in select(tasks) if named or not task.missing(data_root)]
    if dry_run:
        for variant in grid:
            click.echo(f"{variant.method}  x {len(variant.seeds)} seeds")
        click.echo(
            f"{sum(len(v.seeds) for v in grid)} runs of {grid[0].seeds[0].optimiser.presentations:,} pictures"
        )
        click.echo(f"Tasks: {', '.join(task.name for task in chosen)}")
        return
    use_device("auto")
    try:
        failed = ablate(grid, chosen, out=out, data_root=data_root, say=progress.say)
    except Interrupted as stop:
        progress.error(str(stop))
        raise SystemExit(128 + stop.number) from stop
    table = out / "ablation.md"
    if table.exists():
        click.echo(table.read_text(encoding="utf-8"))
    if failed:
        raise SystemExit(1)


def _values(pairs: tuple[str, ...]) -> dict[str, list[Any]]:
    """Return the values of each field; each is read as a value of ``--set`` is."""
    from paco_fr.config import set_fields

    found: dict[str, list[Any]] = {}
    for pair in pairs:
        key, separator, text = pair.partition("=")
        values = [part for part in text.split(",") if part]
        if not separator or not key or not values:
            raise click.BadParameter(f"'{pair}' is not of the form key=a,b,c.", param_hint="--vary")
        found[key] = [set_fields((f"{key}={value}",))[key] for value in values]
    return found
