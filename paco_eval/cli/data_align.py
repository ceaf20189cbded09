"""``paco-eval data align``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("align")
@click.argument("source")
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--template",
    type=click.Choice(["farl", "arcface"]),
    default="farl",
    show_default=True,
    help="Five-point template.",
)
@click.option(
    "--canvas", type=click.IntRange(min=16), default=256, show_default=True, help="Side of a crop in pixels."
)
@click.option("--several", type=click.Choice(["largest", "central", "reject"]), default="largest", show_default=True,
              help="Which of several faces counts.")  # fmt: skip
@click.option(
    "--min-score", type=click.FloatRange(0, 1), default=0.8, show_default=True, help="Of the detector."
)
@click.option(
    "--min-side",
    type=click.FloatRange(min=0),
    default=48.0,
    show_default=True,
    help="Of a face's box, in pixels.",
)
@click.option(
    "--max-turn",
    type=click.FloatRange(0, 90),
    default=60.0,
    show_default=True,
    help="To a side, in degrees, roughly.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Processes, each with its own detector.",
)
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda or cuda:N.")
def align(
    source: str, out: Path, template: str, canvas: int, several: str, min_score: float, min_side: float,
    max_turn: float, workers: int, device: str,
) -> None:  # fmt: skip
    """Find faces and 68 points, and cut five-point crops; the same command goes on where it was stopped.

    OUT/faces is a SOURCE for `data pack` and `pretrain`; OUT/report.parquet says what became of each photograph.
    Photographs that have landmarks keep them.
    """
    from typing import Any

    from paco_fr.data.align import Rules
    from paco_fr.data.align import align as run

    settings: dict[str, Any] = {"several": several, "template": template}
    rules = Rules(canvas=canvas, min_score=min_score, min_side=min_side, max_turn=max_turn, **settings)
    for status, count in run(source, out, rules, workers=workers, device=device, progress=True).most_common():
        click.echo(f"{count:>9,}  {status}")
    click.echo(
        f"Faces: {out / 'faces'}\nReport: {out / 'report.parquet'}\nNext: paco-eval data pack {out / 'faces'} PACKED"
    )
