"""``paco-eval export``."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click


@click.command("export")
@click.argument("checkpoint", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--to",
    "form",
    type=click.Choice(["timm", "onnx", "half"]),
    required=True,
    help="A folder for timm, a file for onnxruntime, or a checkpoint in half precision.",
)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="[default: CHECKPOINT/FORM]")
@click.option(
    "--scores",
    "run",
    type=click.Path(path_type=Path, exists=True),
    metavar="RUN",
    help="The --out folder of an evaluation: the card lists its scores of these very weights.",
)
def command(checkpoint: Path, form: str, out: Path | None, run: Path | None) -> None:
    """Write an encoder that others load without this package, with its pixel contract and a model card.

    What was written is loaded again and held against the checkpoint.
    """
    from paco_fr.export import export_half, export_onnx, export_timm

    export = {"timm": export_timm, "onnx": export_onnx, "half": export_half}[form]
    folder = out or checkpoint / form
    scores = None
    if run is not None:
        from paco_eval.report.tables.model_card import card_scores

        measurable = folder if form == "half" else checkpoint  # rounded weights have scores of their own
        scores = partial(card_scores, run, encoder=f"paco:{measurable}")
    export(checkpoint, folder, scores)
    click.echo(f"Encoder and card: {folder}")
    if form == "timm":
        click.echo(f"Load it: timm.create_model('local-dir:{folder}', pretrained=True)")
