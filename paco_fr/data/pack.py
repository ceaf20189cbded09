"""Packing: the faces of any SOURCE cut once into shards that training reads (see :mod:`paco_fr.data.shards`)."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from datasets import Dataset, Features, Image, IterableDataset, List, Value
from PIL import Image as Pillow

from paco_fr.config import PretrainConfig
from paco_fr.contracts import content_hash
from paco_fr.data.cut import Cutting, OneCut, cut_record
from paco_fr.data.shards import (
    MANIFEST,
    Encoding,
    Manifest,
    Settings,
    Shard,
    file_sha256,
    is_packed,
    read_manifest,
    unsound,
)
from paco_fr.data.sources import Origin, origin_of, same_place
from paco_fr.faces.listing import as_text
from paco_fr.faces.records import digests_of_parts
from paco_fr.synthetic.spec import RENDERER_VERSION, FaceSpec
from paco_fr.utils.errors import FormatError, PacoError
from paco_fr.utils.files import (
    SETTINGS,
    atomic_file,
    never_onto,
    owned_folder,
    remove_torn,
    same_settings,
    write_text,
    writing,
)
from paco_fr.utils.pool import in_order
from paco_fr.utils.progress import stage
from paco_fr.utils.untrusted import read_json, shaped

SHARD_SIZE = 2048
AGAIN = "Remove it and run the same `data pack` again."
EARLY = 1000
"""Records after which a source with too many broken pictures is given up, instead of at its end."""

MANY = 20_000
"""Pictures from which on it pays to start processes. Threads decode and resize fewer of them sooner."""

Rows = Iterable[dict[str, Any]]


def pack(
    source: str,
    folder: Path,
    config: PretrainConfig,
    *,
    encoding: Encoding = "raw",
    quality: int = 95,
    shard_size: int = SHARD_SIZE,
    workers: int = 1,
    progress: bool = False,
) -> Manifest:
    """Cut the faces of a source and write them as shards; what is already there is kept.

    The crops are those that pretraining on the source would see: synthetic faces are drawn straight as crops.

    Args:
        source: a SOURCE; ``hf:`` data sets stream, nothing else of them is stored.
        folder: of the shards; one run at a time owns it.
        config: a recipe, for ``encoder.size`` and section ``data``.
        encoding: ``raw`` uint8 (nothing to decode) or ``jpeg`` (a tenth of the bytes).
        quality: of JPEG.
        shard_size: records of the source in each shard.
        workers: processes that cut.
        progress: show a bar.

    Raises:
        PacoError: the folder holds faces packed otherwise, cannot be written, or too little is usable.

    """
    cutting = Cutting.of(config)
    if encoding == "raw" and shard_size > largest_shard(cutting.size):
        raise PacoError(
            f"A shard of {shard_size} raw crops of {cutting.size} px is too large. Use a smaller shard size."
        )
    never_onto(folder, Path(source).expanduser())
    origin, count = origin_of(source)
    settings = settings_of(
        source, origin, count, cutting, encoding=encoding, quality=quality, shard_size=shard_size
    )
    advice = (
        "Finished shards are kept: free some space or mend the permissions, then run the same command again."
    )
    with owned_folder(folder), writing(f"to {folder}", advice):
        return write_shards(folder, settings, origin, config.data.max_broken, workers, progress)


def largest_shard(size: int) -> int:
    """Return how many raw crops (size, size, 3) a shard can hold: its values are numbered in 31 bits."""
    return (2**31 - 1) // (size**2 * 3)


def settings_of(
    source: str,
    origin: Origin,
    count: int,
    cutting: Cutting,
    *,
    shard_size: int,
    encoding: Encoding = "raw",
    quality: int = 0,
) -> Settings:
    """Return the settings of a folder that a source is packed into, see :func:`pack`."""
    return Settings(
        source=as_text(source),
        records=count,
        **asdict(cutting),
        encoding=encoding,
        quality=quality if encoding == "jpeg" else 0,
        shard_size=shard_size,
        renderer=RENDERER_VERSION if isinstance(origin, FaceSpec) else 0,
    )


def write_shards(
    folder: Path, settings: Settings, origin: Origin, max_broken: float, workers: int, progress: bool
) -> Manifest:
    """Write the shards that are not there yet, and their manifest; the caller owns the folder.

    Raises:
        PacoError: the folder holds faces packed otherwise, or too little is usable.

    """
    inputs = _inputs(origin, settings)
    done = _finished(folder, settings, inputs)
    _note(settings, folder, bool(done))
    _forget_others(folder, set(done), settings)
    try:
        with stage(f"packing {settings.source}", settings.records or None, "img", shown=progress) as bar:
            bar.update(sum(shard.count + len(shard.skipped) for shard in done.values()))
            seen = 0
            for shard in _make_missing(folder, settings, origin, set(done), workers, inputs):
                done[_number(shard.file)] = shard
                bar.update(shard.count + len(shard.skipped))
                seen += shard.count + len(shard.skipped)
                if seen >= EARLY:
                    check_broken(done.values(), settings.source, max_broken)
        check_broken(done.values(), settings.source, max_broken)
    except PacoError:
        for number, shard in done.items():
            if shard.skipped:  # made again by the next call: somebody may have mended the pictures
                _sidecar(folder, number).unlink(missing_ok=True)
        raise
    shards = tuple(done[number] for number in sorted(done))
    lines = [f"{line}\n" for shard in shards for line in shard.skipped]
    write_text(folder / "skipped.txt", "".join(lines))
    write_text(folder / MANIFEST, Manifest(settings, shards).as_json())  # last: it says that all is there
    for number in done:
        _sidecar(folder, number).unlink(missing_ok=True)
    return read_manifest(folder)


def check_broken(shards: Iterable[Shard], source: str, max_broken: float) -> None:
    """Refuse a source with no usable picture, or with more unusable ones than ``data.max_broken`` allows."""
    usable = 0
    skipped: list[str] = []
    for shard in shards:
        usable += shard.count
        skipped += shard.skipped
    refuse_broken(source, usable, skipped, max_broken)


def refuse_broken(source: str, usable: int, skipped: Sequence[str], max_broken: float) -> None:
    """Refuse a source of so many usable pictures and others, one line each, see :func:`check_broken`."""
    seen = usable + len(skipped)
    first = f" First: {skipped[0]}" if skipped else ""
    if not usable:
        raise PacoError(f"{source}: not one of {seen} faces could be used.{first}")
    if len(skipped) > max_broken * seen:
        raise PacoError(
            f"{source}: {len(skipped)} of {seen} faces cannot be used, more than data.max_broken "
            f"{max_broken:.0%}.{first} Mend or remove them, or raise data.max_broken."
        )


def _note(settings: Settings, folder: Path, known: bool) -> None:
    """Note in a folder how it is packed, or refuse to go on in one that was packed otherwise.

    Where the source lies and what it is called does not count as long as some of it is ``known``, nor how many records
    it holds: each shard says of which it was made.
    """
    path = folder / SETTINGS
    if not path.is_file() and (is_packed(folder) or any(folder.glob("shard-*"))):
        raise PacoError(f"{folder} holds shards but no {SETTINGS}. Choose another folder.")

    def moved(found: Mapping[str, Any]) -> set[str]:
        here = known or same_place(str(found["source"]), settings.source)
        return {"records", *(["source"] if here else [])}

    advice = "One folder holds one setting: choose another, or pack with the same."
    same_settings(folder, asdict(settings), made="packed", advice=advice, later={"renderer": 0}, moved=moved)
    remove_torn(folder)


def _inputs(origin: Origin, settings: Settings) -> list[str]:
    """Return a hash of the records of each shard, nothing where they stream."""
    if isinstance(origin, IterableDataset):
        return []
    if isinstance(origin, Dataset):
        return digests_of_parts(origin, settings.shard_size)
    spec = origin.fingerprint()
    jobs = _ranges(settings.records, settings.shard_size)
    return [content_hash([spec, settings.renderer, first, len(part)]) for _, first, part in jobs]


def _forget_others(folder: Path, done: Container[int], settings: Settings) -> None:
    """Remove shards of records that are others now, or gone; of a stream those that are damaged."""
    there = {_number(path.name): path for path in folder.glob("shard-*.arrow")}
    gone = [number for number in sorted(there) if number not in done]
    for number in gone:
        there[number].unlink(missing_ok=True)
        _sidecar(folder, number).unlink(missing_ok=True)
    if gone and is_packed(folder):
        sys.stderr.write(
            f"{settings.source}: {len(gone)} of {len(there)} shards in {folder} are of pictures that changed, or damaged: "
            "packed anew.\n"
        )
        sys.stderr.flush()
        kept = [asdict(shard) for shard in read_shards(folder) if _number(shard.file) in done]
        for shard in kept:  # until the manifest is written anew, each is told by its own file
            write_text(_sidecar(folder, _number(shard["file"])), json.dumps(shard))
        (folder / MANIFEST).unlink(missing_ok=True)


def _make_missing(
    folder: Path,
    settings: Settings,
    origin: Origin,
    done: Container[int],
    workers: int,
    inputs: Sequence[str],
) -> Iterator[Shard]:
    """Make the shards that are not ``done``, in the order of their numbers."""
    if isinstance(origin, IterableDataset):
        context, jobs = _Context(folder, settings, None, inputs), _pieces(origin, settings.shard_size)
    else:
        context, jobs = (
            _Context(folder, settings, origin, inputs),
            _ranges(settings.records, settings.shard_size),
        )
        workers = min(
            workers, -(-settings.records // settings.shard_size)
        )  # a process is not started for nothing
    missing = (job for job in jobs if job[0] not in done)
    few = isinstance(origin, Dataset) and len(origin) < MANY
    return in_order(make_shard, context, missing, workers, threads=few)


@dataclass(frozen=True)
class _Context:
    """What every worker needs to make shards; ``origin`` is None where records come with the job."""

    folder: Path
    settings: Settings
    origin: Dataset | FaceSpec | None
    inputs: Sequence[str]
    """Hash of the records of each shard; empty where they stream."""


Job = tuple[int, int, "range | list[dict[str, Any]]"]
"""Number of a shard, number of its first record, and its records or where to find them."""


def make_shard(context: _Context, job: Job) -> Shard:
    """Write one shard and its sidecar; return what the manifest will say of it."""
    number, first, part = job
    settings = context.settings
    crops, anchors, ids, groups, skipped = [], [], [], [], []
    for name, group, cut in _cuts(context, first, part):
        try:
            crop, anchor = cut()
        except PacoError as error:  # an unreadable picture, or points that cannot be aligned
            skipped.append(f"{name}: {error}")
            continue
        crops.append(crop)
        anchors.append(anchor)
        ids.append(name)
        groups.append(group)
    columns, features = _encode(crops, settings)
    features |= {name: Value("string") for name in ("image_id", "group", "anchor")}
    columns |= {"image_id": pa.array(ids, pa.string()), "group": pa.array(groups, pa.string())}
    columns["anchor"] = pa.array(anchors, pa.string())
    schema = Features(features).arrow_schema
    table = pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema)
    path = context.folder / f"shard-{number:05d}.arrow"
    with atomic_file(path) as temporary:
        with temporary.open("wb") as file, pa.ipc.new_stream(file, schema) as writer:
            writer.write_table(table)
        shard = Shard(
            file=path.name,
            count=len(ids),
            bytes=temporary.stat().st_size,
            sha256=file_sha256(temporary),
            anchors={name: anchors.count(name) for name in sorted(set(anchors))},
            skipped=tuple(skipped),
            contract=settings.cutting.hash,
            inputs=context.inputs[number] if context.inputs else "",
        )
    write_text(_sidecar(context.folder, number), json.dumps(asdict(shard)))
    return shard


def _cuts(
    context: _Context, first: int, part: range | list[dict[str, Any]]
) -> Iterator[tuple[str, str, Callable[[], OneCut]]]:
    """Give id and group of each face of a shard, and what cuts or draws its crop."""
    cutting, origin = context.settings.cutting, context.origin
    if isinstance(origin, FaceSpec):
        from paco_fr.data.rendered import draw_crop  # the renderer is heavy
        from paco_fr.synthetic import face_parameters

        for index in range(first, first + len(part)):
            face = face_parameters(origin, index)
            yield face.image_id, face.identity_name, partial(draw_crop, face, cutting, index)
        return
    if isinstance(part, list):
        rows: Rows = part
    else:
        assert origin is not None  # ranges number the records of a source
        rows = (origin[index] for index in part)
    for index, row in enumerate(rows, first):
        name = str(row.get("image_id") or f"{index:08d}")
        yield name, str(row.get("group") or name), partial(cut_record, row, cutting, index)


def _encode(
    crops: list[npt.NDArray[np.uint8]], settings: Settings
) -> tuple[dict[str, pa.Array], dict[str, Any]]:
    """Return the column of pictures, by its name, and its type."""
    if settings.encoding == "raw":
        values = settings.size**2 * 3
        flat = np.stack(crops).reshape(-1) if crops else np.empty(0, np.uint8)
        feature = List(Value("uint8"), length=values)
        type_ = Features({"pixels": feature}).arrow_schema.field("pixels").type
        return {"pixels": pa.FixedSizeListArray.from_arrays(pa.array(flat), type=type_)}, {"pixels": feature}
    cells = [{"bytes": _jpeg(crop, settings.quality), "path": None} for crop in crops]
    feature = Image(decode=False)
    return {"image": pa.array(cells, feature.pa_type)}, {"image": feature}


def _jpeg(crop: npt.NDArray[np.uint8], quality: int) -> bytes:
    buffer = io.BytesIO()
    Pillow.fromarray(crop).save(buffer, format="JPEG", quality=quality)
    return buffer.getvalue()


def _ranges(total: int, size: int) -> Iterator[Job]:
    for number, first in enumerate(range(0, total, size)):
        yield number, first, range(first, min(first + size, total))


def _pieces(stream: Rows, size: int) -> Iterator[Job]:
    rows = iter(stream)
    number = 0
    while piece := list(islice(rows, size)):
        yield number, number * size, piece
        number += 1


def read_shards(folder: Path) -> list[Shard]:
    """Return what the manifest of a folder says of its shards, and the files of those that were made since."""
    shards: list[Shard] = []
    if (manifest := folder / MANIFEST).is_file():
        shards = shaped(list[Shard], read_json(manifest, AGAIN).get("shards"), manifest, AGAIN)
    for path in sorted(folder.glob(".shard-*.json")):
        try:
            shards.append(shaped(Shard, read_json(path, AGAIN), path, AGAIN))
        except FormatError:  # its shard is made again
            path.unlink(missing_ok=True)
    return shards


def _finished(folder: Path, settings: Settings, inputs: Sequence[str]) -> dict[int, Shard]:
    """Return the shards that are whole and of the records that are there now, by number.

    Those of earlier versions do not say of which records they are: they are believed while the number of records stays.
    """
    same_count = True
    if (path := folder / SETTINGS).is_file():
        same_count = read_json(path, AGAIN).get("records") == settings.records
    whole = []
    for each in read_shards(folder):
        number, path = _number(each.file), folder / each.file
        wanted = inputs[number] if number < len(inputs) else ""
        unchanged = each.inputs == wanted if each.inputs or not same_count else not inputs or bool(wanted)
        if unchanged and path.is_file() and path.stat().st_size == each.bytes:
            whole.append(each)
    damaged = unsound(folder, whole)
    return {_number(shard.file): shard for shard in whole if shard.file not in damaged}


def _sidecar(folder: Path, number: int) -> Path:
    return folder / f".shard-{number:05d}.json"


def _number(file: str) -> int:
    return int(file.removeprefix("shard-").removesuffix(".arrow"))
