"""``paco-eval data pack``."""

from __future__ import annotations

import os
from pathlib import Path

import click


@click.command("pack")
@click.argument("source")
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--recipe", default="tiny", show_default=True, help="Whose size and crops to cut: a name or a TOML file."
)
@click.option("--encoding", type=click.Choice(["raw", "jpeg"]), default="raw", show_default=True,
              help="raw uint8: nothing to decode; jpeg: about a tenth of the bytes.")  # fmt: skip
@click.option(
    "--workers", type=click.IntRange(min=1), default=lambda: os.cpu_count() or 1, help="[default: all cores]"
)
@click.option(
    "--set", "pairs", multiple=True, metavar="KEY=VALUE", help="Override a field, e.g. data.jitter=0.1."
)
def pack(
    source: str,
    out: Path,
    recipe: str,
    encoding: str,
    workers: int,
    pairs: tuple[str, ...],
) -> None:
    """Cut faces once into shards with checksums; the same command goes on where it was stopped.

    Train on the result with `pretrain --recipe RECIPE --data OUT`.
    """
    from typing import cast

    from paco_fr.config import load_recipe, set_fields
    from paco_fr.data.pack import SHARD_SIZE, largest_shard
    from paco_fr.data.pack import pack as run
    from paco_fr.data.shards import Encoding

    config = load_recipe(recipe, set_fields(pairs))
    manifest = run(
        source, out, config, workers=workers, progress=True, encoding=cast(Encoding, encoding),
        shard_size=min(SHARD_SIZE, largest_shard(config.encoder.size)),
    )  # fmt: skip
    skipped = sum(len(shard.skipped) for shard in manifest.shards)
    size = sum(shard.bytes for shard in manifest.shards)
    click.echo(
        f"{manifest.count:,} pictures of {manifest.settings.size} px in {len(manifest.shards)} shards, {size / 1e9:.2f} GB, "
        f"{skipped:,} skipped (see {out / 'skipped.txt'})\nfingerprint {manifest.fingerprint}\n"
        f"Train: paco-eval pretrain --recipe {recipe} --data {out}"
    )
