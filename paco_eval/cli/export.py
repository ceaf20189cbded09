"""``paco-eval export``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("export")
@click.argument("checkpoint", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--to",
    type=click.Choice(["timm", "onnx", "half"]),
    required=True,
    help="A folder for timm, a file for onnxruntime, or a checkpoint in half precision.",
)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="[default: CHECKPOINT/FORM]")
@click.option(
    "--scores",
    type=click.Path(path_type=Path, exists=True),
    metavar="RUN",
    help="The --out folder of an evaluation: the card lists its scores of these very weights.",
)
@click.option(
    "--push",
    metavar="OWNER/NAME",
    help="Also put it on the hub, with a card that lists licence, data and --scores; for timm with the checkpoint for "
    "paco:hf:OWNER/NAME.",
)
def command(checkpoint: Path, to: str, out: Path | None, scores: Path | None, push: str | None) -> None:
    """Write an encoder that others load without this package, with its pixel contract and a model card.

    What was written is loaded again and held against the checkpoint.
    """
    from paco_eval.api.commands import export

    folder = export(checkpoint, to=to, out=out, scores=scores)
    click.echo(f"Encoder and card: {folder}")
    if to == "timm":
        click.echo(f"Load it: timm.create_model('local-dir:{folder}', pretrained=True)")
    if push:
        from paco_eval.api.hub import push_encoder

        click.echo(f"On the hub: {push_encoder(checkpoint, folder, push, to=to, scores=scores)}")
