"""Packing: the faces of any SOURCE cut once into shards that training reads (see :mod:`paco_fr.data.shards`)."""

from __future__ import annotations

import io
import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from datasets import Dataset, Features, Image, List, Value
from PIL import Image as Pillow
from tqdm import tqdm

from paco_fr.config import PretrainConfig
from paco_fr.contracts import content_hash
from paco_fr.data.crops import check_broken
from paco_fr.data.cut import OneCut, cut_record
from paco_fr.data.shards import MANIFEST, Encoding, Manifest, Settings, Shard, file_sha256, read_manifest
from paco_fr.data.sources import load_source, stream_hub, synthetic_spec
from paco_fr.synthetic import RENDERER_VERSION, FaceSpec
from paco_fr.utils.errors import PacoError
from paco_fr.utils.files import atomic_file, owned_folder

SETTINGS = "settings.json"
SHARD_SIZE = 2048
EARLY = 1000
"""Records after which a source with too many broken pictures is given up, instead of at its end."""

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
    if encoding == "raw" and shard_size * config.encoder.size**2 * 3 >= 2**31:
        raise PacoError(
            f"A shard of {shard_size} raw crops of {config.encoder.size} px is too large. Use a smaller shard size."
        )
    stream = stream_hub(source.removeprefix("hf:")) if source.startswith("hf:") else None
    synthetic = synthetic_spec(source)
    faces, count = synthetic or (None, 0)
    if stream is None and faces is None:
        faces = load_source(source)
        count = len(faces)
    data = config.data.model_copy(update={"source": source})
    config = config.model_copy(update={"data": data})
    settings = Settings(
        source=source,
        records=count,
        size=config.encoder.size,
        crops={str(kind): share for kind, share in data.crops.items()},
        template=data.template,
        jitter=data.jitter,
        encoding=encoding,
        quality=quality if encoding == "jpeg" else 0,
        shard_size=shard_size,
        renderer=RENDERER_VERSION if synthetic else 0,
    )
    with owned_folder(folder), _writing(folder):
        _same_settings(folder, settings)
        for torn in folder.glob(".*.tmp"):
            torn.unlink()
        done = _finished(folder)
        context = _Context(folder, settings, config, faces)
        with tqdm(
            total=settings.records or None, unit="img", desc=f"packing {source}", disable=not progress
        ) as bar:
            bar.update(min(len(done) * shard_size, settings.records or len(done) * shard_size))
            jobs = (
                _pieces(stream, shard_size) if stream is not None else _ranges(settings.records, shard_size)
            )
            seen = 0
            for shard, size in _run((job for job in jobs if job[0] not in done), context, workers):
                done[_number(shard.file)] = shard
                bar.update(size)
                seen += size
                skipped = [line for each in done.values() for line in each.skipped]
                if seen >= EARLY:
                    check_broken(skipped, sum(each.count for each in done.values()) + len(skipped), config)
        shards = tuple(done[number] for number in sorted(done))
        skipped = [line for shard in shards for line in shard.skipped]
        check_broken(skipped, sum(shard.count for shard in shards) + len(skipped), config)
        manifest = Manifest(settings, shards)
        with atomic_file(folder / MANIFEST) as path:
            path.write_text(manifest.as_json(), encoding="utf-8")
        (folder / "skipped.txt").write_text("".join(f"{line}\n" for line in skipped), encoding="utf-8")
        for number in done:
            _sidecar(folder, number).unlink(missing_ok=True)
    return read_manifest(folder)


@dataclass(frozen=True)
class _Context:
    """What every worker needs to make shards; ``faces`` is None where they come with the job."""

    folder: Path
    settings: Settings
    config: PretrainConfig
    faces: Dataset | FaceSpec | None


Job = tuple[int, int, "range | list[dict[str, Any]]"]
"""Number of a shard, number of its first record, and its records or where to find them."""


def make_shard(context: _Context, job: Job) -> tuple[Shard, int]:
    """Write one shard and its sidecar; return what the manifest will say of it, and how many records it had."""
    number, first, part = job
    settings = context.settings
    crops, anchors, ids, groups, skipped = [], [], [], [], []
    for name, group, cut in _cuts(context, first, part):
        try:
            crop, anchor, _ = cut()
        except PacoError as error:
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
        with temporary.open("wb") as file:
            with pa.ipc.new_stream(file, schema) as writer:
                writer.write_table(table)
            file.flush()
            os.fsync(file.fileno())
        shard = Shard(
            file=path.name,
            count=len(ids),
            bytes=temporary.stat().st_size,
            sha256=file_sha256(temporary),
            anchors={name: anchors.count(name) for name in sorted(set(anchors))},
            skipped=tuple(skipped),
            contract=content_hash(settings.contract),
        )
    with atomic_file(_sidecar(context.folder, number)) as temporary:
        temporary.write_text(json.dumps(asdict(shard)), encoding="utf-8")
    return shard, len(ids) + len(skipped)


def _cuts(
    context: _Context, first: int, part: range | list[dict[str, Any]]
) -> Iterator[tuple[str, str, Callable[[], OneCut]]]:
    """Give id and group of each face of a shard, and what cuts or draws its crop."""
    config, faces = context.config, context.faces
    if isinstance(faces, FaceSpec):
        from paco_fr.data.rendered import draw_crop  # the renderer is heavy
        from paco_fr.synthetic import face_parameters

        for index in range(first, first + len(part)):
            face = face_parameters(faces, index)
            yield face.image_id, face.identity_name, partial(draw_crop, face, config, index)
        return
    if isinstance(part, list):
        rows: Rows = part
    else:
        assert faces is not None  # ranges number the records of a source
        rows = (faces[index] for index in part)
    for index, row in enumerate(rows, first):
        name = str(row.get("image_id") or f"{index:08d}")
        yield name, str(row.get("group") or name), partial(cut_record, row, config, index)


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


def _run(jobs: Iterator[Job], context: _Context, workers: int) -> Iterator[tuple[Shard, int]]:
    """Make shards here or in processes, at most two waiting for each, in the order of their numbers."""
    if workers <= 1:
        for job in jobs:
            yield make_shard(context, job)
        return
    # Spawned, not forked: the caller may hold threads, which a forked child would find locked.
    with ProcessPoolExecutor(workers, get_context("spawn"), _begin, (context,)) as pool:
        waiting: deque[Future[tuple[Shard, int]]] = deque()
        for job in jobs:
            waiting.append(pool.submit(_in_worker, job))
            if len(waiting) >= 2 * workers:
                yield waiting.popleft().result()
        for future in waiting:
            yield future.result()


_worker: dict[str, _Context] = {}


def _begin(context: _Context) -> None:
    _worker["context"] = context


def _in_worker(job: Job) -> tuple[Shard, int]:
    return make_shard(_worker["context"], job)


def _finished(folder: Path) -> dict[int, Shard]:
    """Return the shards that are whole, by number, from their sidecars or an earlier manifest."""
    told = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob(".shard-*.json"))]
    if (folder / MANIFEST).is_file():
        told = [*json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["shards"], *told]
    shards = [Shard(**{**each, "skipped": tuple(each["skipped"])}) for each in told]
    whole = [
        each
        for each in shards
        if (path := folder / each.file).is_file() and path.stat().st_size == each.bytes
    ]
    return {_number(shard.file): shard for shard in whole}


def _same_settings(folder: Path, settings: Settings) -> None:
    """Refuse to add to a folder that was packed with other settings, naming the first that differs."""
    path, wanted = folder / SETTINGS, asdict(settings)
    if path.is_file():
        try:
            found = asdict(Settings(**json.loads(path.read_text(encoding="utf-8"))))
        except (ValueError, TypeError) as error:
            raise PacoError(
                f"{path} does not say how {folder} was packed ({error}). Choose another."
            ) from error
        for name, value in wanted.items():
            if found[name] != value:
                raise PacoError(
                    f"{folder} was packed with {name} {found[name]}, not {value}. One folder holds one setting: "
                    "choose another, or pack with the same."
                )
        return
    if (folder / MANIFEST).is_file() or any(folder.glob("shard-*")):
        raise PacoError(f"{folder} holds shards but no {SETTINGS}. Choose another folder.")
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(wanted, indent=1), encoding="utf-8")


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Turn what the file system refuses into an error that says what remains."""
    try:
        yield
    except OSError as error:
        raise PacoError(
            f"Cannot write to {folder}: {error.strerror or error}. Finished shards are kept: free some space or "
            "mend the permissions, then run the same command again."
        ) from error


def _sidecar(folder: Path, number: int) -> Path:
    return folder / f".shard-{number:05d}.json"


def _number(file: str) -> int:
    return int(file.removeprefix("shard-").removesuffix(".arrow"))
