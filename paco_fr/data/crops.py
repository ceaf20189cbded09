"""All crops of a source, cut once: packed into the cache on first use and read from there afterwards."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path

from datasets import IterableDataset

from paco_fr.config import PretrainConfig
from paco_fr.contracts import content_hash
from paco_fr.data.cut import Cutting, cut_record
from paco_fr.data.pack import SHARD_SIZE, largest_shard, refuse_broken, settings_of, write_shards
from paco_fr.data.shards import PackedFaces, is_packed, open_packed
from paco_fr.data.sources import Origin, origin_of
from paco_fr.faces.records import fingerprint
from paco_fr.synthetic import FaceSpec
from paco_fr.utils.errors import FormatError, PacoError
from paco_fr.utils.files import WriteError, cache_folder, hold, owned_folder, put_aside, writing
from paco_fr.utils.progress import say

SHARDS = 32
"""A source is packed into as many shards, so that all cores have work to the end ..."""
SMALLEST = 64
"""... but none smaller than this, nor larger than ``SHARD_SIZE``."""


def crop_pool(config: PretrainConfig, *, workers: int = 0, progress: bool = False) -> PackedFaces:
    """Return the crops of a source that is not packed, cut on first use and found in the cache afterwards.

    Args:
        config: the source, and how it is cut.
        workers: processes that cut, 0 means one for each core.
        progress: show bars.

    Raises:
        PacoError: too little of the source is usable, or the cache cannot be written.

    """
    origin, count = origin_of(config.data.source)
    source = _source(config.data.source, origin)
    name = _name(source, config, origin, count)
    folder = cache_folder("packed") / name
    hold(folder)
    workers = workers or os.cpu_count() or 1
    try:
        _fill(folder, source, config, origin, count, workers, progress)
    except FormatError as error:  # what it says of itself cannot be read
        put_aside(folder, error)
        _fill(folder, source, config, origin, count, workers, progress)
    try:
        packed = open_packed(folder, config, check_sums=config.run.verify, progress=progress)
    except PacoError as error:  # damaged, and only a cache
        put_aside(folder, error)
        _fill(folder, source, config, origin, count, workers, progress)
        packed = open_packed(folder, config, check_sums=False)
    if isinstance(origin, IterableDataset):
        return packed
    # Cut from a source that was there as a whole: known by it, and shuffled as a whole, whatever its size.
    return replace(packed, blocks=(len(packed.images),), fingerprint=name)


def sample_source(config: PretrainConfig, most: int = 200) -> str:
    """Cut a few faces of a source that is not packed and say what became of them; nothing is written.

    Args:
        config: the source, and how it is cut.
        most: faces that are looked at, evenly spaced; of a smaller source all.

    Raises:
        PacoError: the source is not there, or would be refused when it is cut.

    """
    origin, count = origin_of(config.data.source)
    if isinstance(origin, FaceSpec):
        return f"{count:,} faces to be drawn"
    cutting = Cutting.of(config)
    if isinstance(origin, IterableDataset):
        rows = dict(enumerate(islice(origin, min(most, 32))))
    else:
        rows = {index: origin[index] for index in range(0, count, -(-count // most))}
    skipped = []
    for index, row in rows.items():
        try:
            cut_record(row, cutting, index)
        except PacoError as error:
            skipped.append(f"{row.get('image_id') or f'{index:08d}'}: {error}")
    usable = len(rows) - len(skipped)
    # Of a part of the source, more broken ones than are allowed prove nothing yet: they are said.
    refuse_broken(config.data.source, usable, skipped, config.data.max_broken if len(rows) == count else 1.0)
    first = f" (first that cannot: {skipped[0]})" if skipped else ""
    return f"{usable} of the {len(rows)} faces that were looked at can be used{first}, of {count or 'an unknown number'}"


def _source(written: str, origin: Origin) -> str:
    """Return what stands for a source: what is drawn or comes from elsewhere its name, what lies here its contents."""
    lies_here = not isinstance(origin, (FaceSpec, IterableDataset))
    return f"files:{fingerprint(origin)}" if lies_here else written


def _name(source: str, config: PretrainConfig, origin: Origin, count: int) -> str:
    """Return the hash of a source and the way it is cut; of a stream, its name alone stands for the source."""
    cutting = asdict(Cutting.of(config))
    if isinstance(origin, IterableDataset):
        return content_hash({"source": source, **cutting})
    faces = f"{origin.fingerprint()} {count}" if isinstance(origin, FaceSpec) else str(count)
    size = cutting.pop("size")
    return content_hash({"size": size, "data": {"source": source, **cutting}, "faces": faces})


def _fill(
    folder: Path,
    source: str,
    config: PretrainConfig,
    origin: Origin,
    count: int,
    workers: int,
    progress: bool,
) -> None:
    """Pack a source into its folder of the cache, unless it is there or another run is just doing so."""
    if is_packed(folder):
        return
    cutting = Cutting.of(config)
    shard_size = SHARD_SIZE if count == 0 else min(SHARD_SIZE, max(SMALLEST, -(-count // SHARDS)))
    settings = settings_of(
        source, origin, count, cutting, shard_size=min(shard_size, largest_shard(cutting.size))
    )
    advice = "What is finished is kept: free some space, or let PACO_CACHE name another folder."
    with owned_folder(folder, wait=True), writing(f"the crops to {folder}", advice):
        if not is_packed(folder):
            if progress:  # minutes of silence, where nobody sees a bar
                say(f"Cutting {f'{count:,} ' if count else ''}crops into {folder}, once.")
            try:
                write_shards(folder, settings, origin, config.data.max_broken, workers, progress)
            except WriteError:
                raise
            except PacoError as error:  # the user knows the source by another name
                raise PacoError(str(error).replace(source, config.data.source)) from error
