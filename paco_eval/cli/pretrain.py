"""``paco-eval pretrain``."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import click

from paco_fr.utils import progress


@click.command("pretrain")
@click.option("--recipe", default="tiny", show_default=True, help="A recipe's name or a TOML file.")
@click.option(
    "--objective",
    type=click.Choice(["paco", "mae", "simmim", "data2vec", "untrained"]),
    help="What to train.  [default: the recipe's]",
)
@click.option("--data", help="synthetic[:identities=N,...], a folder, parquet, or hf:OWNER/NAME.")
@click.option("--crops", type=click.Choice(["aligned", "box", "whole"]), help="One kind of crop only.")
@click.option("--seed", type=click.IntRange(min=0), help="Seed of weights, order and masks.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder of the checkpoint.")
@click.option("--resume", is_flag=True, help="Continue an interrupted run in --out.")
@click.option("--dry-run", is_flag=True, help="Build everything, run two steps, write nothing.")
@click.option("--set", multiple=True, metavar="KEY=VALUE", help="Override a field, e.g. masking.ratio=0.7.")
def command(
    recipe: str, objective: str | None, data: str | None, crops: str | None, seed: int | None,
    out: Path | None, resume: bool, dry_run: bool, set: tuple[str, ...],
) -> None:  # fmt: skip
    """Pretrain an encoder: PaCo-FR or a rival under the same loop.

    Many GPUs or nodes: accelerate launch --no_python paco-eval pretrain ..., or torchrun --no-python likewise. On CPUs
    ask accelerate for --multi_gpu --num_processes N (under --cpu it starts one process, whatever N).
    SIGTERM and Ctrl-C save a state, print the command that continues, and exit with 128 + the signal's number.
    """
    if dry_run:
        from paco_eval.api.commands import changes_of
        from paco_fr.config import load_recipe
        from paco_fr.train.dry_run import plan

        click.echo(plan(load_recipe(recipe, changes_of(objective, data, crops, seed, set))))
        return

    from paco_eval.api.commands import pretrain
    from paco_fr.train.signals import Interrupted

    main = os.environ.get("RANK", "0") == "0"
    try:
        folder = pretrain(
            recipe=recipe, objective=objective, data=data, crops=crops, seed=seed, out=out, resume=resume, set=set,
            progress=True, say=_say, command=_again(sys.argv),
        )  # fmt: skip
    except Interrupted as stop:
        if main:
            _say(str(stop))
        raise SystemExit(128 + stop.number) from stop
    if main:
        click.echo(f"Checkpoint: {folder}\nEvaluate it: paco-eval evaluate paco:{folder} pixels constant")


def _say(text: str) -> None:
    progress.say(text)


def _again(arguments: list[str]) -> str:
    """Return the command that continues the run that these arguments started."""
    words = ["paco-eval", *arguments[1:]]
    return shlex.join(words if "--resume" in words else [*words, "--resume"])
