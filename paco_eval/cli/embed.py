"""``paco-eval embed``."""

from __future__ import annotations

from pathlib import Path

import click

from paco_eval.cli import completion
from paco_eval.cli.options import device_option, precision_option, trust_option
from paco_fr.utils import progress


@click.command("embed")
@click.argument("encoder", shell_complete=completion.encoders)
@click.argument("images", nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), default=Path("features.parquet"), show_default=True,
              help="A .parquet file, or .npy with the names beside it.")  # fmt: skip
@click.option("--block", default="", help="Which of the encoder's blocks.  [default: its own choice]")
@click.option(
    "--reduction", default="", help="mean, grid4, global or flat.  [default: global, else its first]"
)
@click.option(
    "--allow-random", is_flag=True, help="Go on with features that depend on chance or on the batch."
)
@click.option("--crop", default="",
              help="whole, box, farl, arcface or dlib, perhaps with settings as in box:margin=0.1:canvas=224.  "
                   "[default: what it requires, else whole]")  # fmt: skip
@precision_option
@device_option
@trust_option
def command(
    encoder: str, images: tuple[str, ...], out: Path, block: str, reduction: str, crop: str, precision: str,
    device: str, trust: bool, allow_random: bool,
) -> None:  # fmt: skip
    """Write the features of your own pictures: IMAGES are files, or one folder, parquet file or hf:OWNER/NAME.

    Pictures that cannot be read are listed, and stand in the file without features.
    """
    from accelerate import PartialState

    from paco_eval.api.commands import embed

    found = embed(
        encoder, images, out=out, block=block, reduction=reduction, crop=crop, precision=precision, device=device,
        trust=trust, allow_random=allow_random, progress=True,
    )  # fmt: skip
    if not PartialState().is_main_process:
        return
    for name, reason in found.failures.items():
        progress.error(f"Not read: {name}: {reason}")
    count, width = found.features.shape
    files = [out] if out.suffix == ".parquet" else [out, out.with_suffix(".ids.txt")]
    click.echo(
        f"{count - len(found.failures)} of {count} pictures, {width} numbers each: {', '.join(map(str, files))}"
    )
