"""Pretraining crops: faces cut to the encoder's size once, then kept as one uint8 array on disk."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from datasets import Dataset
from tqdm import tqdm

from paco_fr.alignment import crop_image, crop_transform
from paco_fr.config import PretrainConfig
from paco_fr.contracts import CropContract, content_hash
from paco_fr.errors import PacoError
from paco_fr.files import atomic_folder, cache_folder
from paco_fr.images import read_image
from paco_fr.randomness import generator
from paco_fr.records import fingerprint
from paco_fr.sources import load_source, synthetic_spec

CHUNK = 256


@dataclass(frozen=True)
class CropPool:
    """All crops of one source.

    Attributes:
        images: (n, S, S, 3) uint8 RGB, memory-mapped.
        anchors: for each crop the name of its region map, see :data:`paco_fr.regions.ANCHORS`.
        fingerprint: hash of the source and the way it was cut.
        skipped: what could not be read or cut, one line each.

    """

    images: npt.NDArray[np.uint8]
    anchors: tuple[str, ...]
    fingerprint: str
    skipped: tuple[str, ...]


def crop_pool(config: PretrainConfig, *, workers: int = 0, progress: bool = False) -> CropPool:
    """Return the pool of a configuration, cut on first use and found in the cache afterwards.

    Synthetic faces are drawn straight as crops; all others are cut out of their photographs.
    """
    workers = workers or os.cpu_count() or 1
    synthetic = synthetic_spec(config.data.source)
    if synthetic is not None:
        spec, total = synthetic
        faces = f"{spec.fingerprint()} {total}"
    else:
        records = load_source(config.data.source)
        total, faces = len(records), fingerprint(records)
    name = content_hash(
        {"size": config.encoder.size, "data": config.data.model_dump(exclude={"flip"}), "faces": faces}
    )
    folder = cache_folder("crops") / name
    if not folder.exists():
        if synthetic is not None:
            from paco_fr.rendered import rendered_crops  # the renderer is heavy

            cuts: Iterable[Cut] = rendered_crops(spec, total, config, workers)
        else:
            cuts = _cut_records(records, config, workers)
        _keep(cuts, total, config, folder, progress)
    about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    images = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
    return CropPool(images, tuple(about["anchors"]), name, tuple(about["skipped"]))


Cut = tuple[npt.NDArray[np.uint8], list[str], list[str]]
"""Crops (m, S, S, 3), their region maps, and what failed."""


def _keep(cuts: Iterable[Cut], total: int, config: PretrainConfig, folder: Path, progress: bool) -> None:
    """Gather chunks of crops into one array on disk."""
    images: list[npt.NDArray[np.uint8]] = []
    anchors: list[str] = []
    skipped: list[str] = []
    with tqdm(total=total, desc="cutting faces", unit="img", disable=not progress) as bar:
        for cut, kinds, failures in cuts:
            images.append(cut)
            anchors += kinds
            skipped += failures
            bar.update(len(kinds) + len(failures))
    if not anchors:
        first = f" First: {skipped[0]}" if skipped else ""
        raise PacoError(f"{config.data.source}: not one of {total} faces could be used.{first}")
    with atomic_folder(folder) as made:
        np.save(made / "images.npy", np.concatenate(images))
        (made / "about.json").write_text(
            json.dumps({"anchors": anchors, "skipped": skipped}), encoding="utf-8"
        )


def _cut_records(records: Dataset, config: PretrainConfig, workers: int) -> Iterator[Cut]:
    chunks = [range(at, min(at + CHUNK, len(records))) for at in range(0, len(records), CHUNK)]
    with ThreadPoolExecutor(workers) as pool:  # Pillow decodes and resizes outside the interpreter lock
        yield from pool.map(lambda chunk: _cut_chunk(records, config, chunk), chunks)


def _cut_chunk(records: Dataset, config: PretrainConfig, chunk: range) -> Cut:
    images, anchors, failures = [], [], []
    for index in chunk:
        row = records[index]
        kind = crop_kind(config, index)
        try:
            images.append(_cut_one(row, kind, config, index))
        except PacoError as error:  # an unreadable picture, or points that cannot be aligned
            failures.append(f"{row['image_id']}: {error}")
            continue
        anchors.append(config.data.template if kind == "aligned" else kind)
    size = config.encoder.size
    stacked = np.stack(images) if images else np.empty((0, size, size, 3), dtype=np.uint8)
    return stacked, anchors, failures


def _cut_one(row: dict, kind: str, config: PretrainConfig, index: int) -> npt.NDArray[np.uint8]:
    image = read_image(row["image"])
    contract = training_crop(kind, config)
    transform = crop_transform(
        contract,
        landmarks=row.get("landmarks"),
        scheme=row.get("scheme"),
        box=row.get("box"),
        image_size=image.shape[:2],
        image_key=index,
    )
    return crop_image(image, transform, config.encoder.size)


def crop_kind(config: PretrainConfig, index: int) -> str:
    """Return which kind of crop the face of this number gets, drawn from the shares of the configuration."""
    shares = config.data.crops
    return str(generator("crop kind", index).choice(list(shares), p=list(shares.values())))


def training_crop(kind: str, config: PretrainConfig) -> CropContract:
    """Return the crop contract of one kind of pretraining crop."""
    size, jitter = config.encoder.size, config.data.jitter
    if kind == "aligned":
        return CropContract("template", template=config.data.template, canvas=size, jitter=jitter)
    if kind == "box":
        return CropContract("box", margin=0.25, canvas=size, jitter=jitter)
    return CropContract("whole", canvas=size)
