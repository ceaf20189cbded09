"""``paco-eval data align``."""

from __future__ import annotations

import shlex
from pathlib import Path

import click


@click.command("align")
@click.argument("source")
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.option("--several", type=click.Choice(["largest", "central", "reject"]), default="largest", show_default=True,
              help="Which of several faces counts.")  # fmt: skip
@click.option(
    "--min-side",
    type=click.FloatRange(min=0),
    default=48.0,
    show_default=True,
    help="Of a face's box, in pixels.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Processes, each with its own detector.",
)
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda or cuda:N.")
def align(source: str, out: Path, several: str, min_side: float, workers: int, device: str) -> None:
    """Find faces and 68 points, and cut five-point crops; the same command goes on where it was stopped.

    OUT/faces is a SOURCE for `data pack` and `pretrain`; OUT/report.parquet says what became of each photograph. OUT keeps
    who is who where photographs lie in folders of people, and is then what `evaluate --folder recognition=OUT` takes.
    Photographs that have landmarks keep them. Faces that are found with a score below 0.8 or turned by more than
    60 degrees are left out, and the report says so.
    """
    from typing import cast

    from paco_fr.data.align import Rules, Several
    from paco_fr.data.align import align as run

    rules = Rules(several=cast(Several, several), min_side=min_side)
    for status, count in run(source, out, rules, workers=workers, device=device, progress=True).most_common():
        click.echo(f"{count:>9,}  {status}")
    faces, people = (shlex.quote(str(path)) for path in (out / "faces", out))
    click.echo(f"Faces: {out / 'faces'}\nReport: {out / 'report.parquet'}")
    click.echo(f"Next: paco-eval data pack {faces} PACKED")
    click.echo(f"Or, of folders of people: paco-eval evaluate ENCODER --folder recognition={people}")
