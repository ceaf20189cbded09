"""Pretraining crops: faces cut to the encoder's size once, then kept as one uint8 array on disk."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from datasets import Dataset
from tqdm import tqdm

from paco_fr.config import PretrainConfig
from paco_fr.contracts import content_hash
from paco_fr.data.cut import Cut, cut_record
from paco_fr.data.sources import load_source, synthetic_spec
from paco_fr.faces.records import fingerprint
from paco_fr.utils.errors import PacoError
from paco_fr.utils.files import atomic_folder, cache_folder

CHUNK = 256
CUT = {"source", "crops", "template", "jitter"}
"""Fields of section ``data`` that decide what a crop shows."""


@dataclass(frozen=True)
class CropPool:
    """All crops of one source.

    Attributes:
        images: (n, S, S, 3) uint8 RGB, memory-mapped.
        anchors: for each crop the name of its region map, see :data:`paco_fr.model.regions.ANCHORS`.
        fingerprint: hash of the source and the way it was cut.
        skipped: what could not be read or cut, one line each.
        points: five points of each crop (n, 5, 2), x y in its pixels, read only where masking asks for them.

    """

    images: npt.NDArray[np.uint8]
    anchors: tuple[str, ...]
    fingerprint: str
    skipped: tuple[str, ...]
    points: npt.NDArray[np.float64] | None = None

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """The anchors that occur."""
        return tuple(sorted(set(self.anchors)))

    @property
    def blocks(self) -> tuple[int, ...]:
        """One: the array is read anywhere at equal cost."""
        return (len(self.images),)


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
        {"size": config.encoder.size, "data": config.data.model_dump(include=CUT), "faces": faces}
    )
    with_points = config.masking.regions == "landmarks"
    folder = cache_folder("crops") / (f"{name}-points" if with_points else name)
    if not folder.exists():
        if synthetic is not None:
            from paco_fr.data.rendered import rendered_crops  # the renderer is heavy

            cuts: Iterable[Cut] = rendered_crops(spec, total, config, workers)
        else:
            cuts = _cut_records(records, config, workers)
        _keep(cuts, total, config, folder, progress)
    points = np.load(folder / "points.npy", allow_pickle=False) if with_points else None
    if points is not None and np.isnan(points).any():
        missing = int(np.isnan(points).any((1, 2)).sum())
        raise PacoError(
            f"masking.regions=landmarks: {missing} of {len(points)} faces of {config.data.source} have no landmarks. "
            "Run `paco-eval data align` on them, or set masking.regions=template."
        )
    about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    images = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
    return CropPool(images, tuple(about["anchors"]), name, tuple(about["skipped"]), points)


def _keep(cuts: Iterable[Cut], total: int, config: PretrainConfig, folder: Path, progress: bool) -> None:
    """Gather chunks of crops into one array on disk."""
    images: list[npt.NDArray[np.uint8]] = []
    anchors: list[str] = []
    points: list[npt.NDArray[np.float64]] = []
    skipped: list[str] = []
    with tqdm(total=total, desc="cutting faces", unit="img", disable=not progress) as bar:
        for cut, kinds, placed, failures in cuts:
            images.append(cut)
            anchors += kinds
            points += placed
            skipped += failures
            bar.update(len(kinds) + len(failures))
    check_broken(skipped, total, config)
    try:
        with atomic_folder(folder) as made:
            np.save(made / "images.npy", np.concatenate(images))
            np.save(made / "points.npy", np.stack(points))
            about = json.dumps({"anchors": anchors, "skipped": skipped})
            (made / "about.json").write_text(about, encoding="utf-8")
    except OSError as error:
        raise PacoError(
            f"Cannot write the crops to {folder}: {error.strerror or error}. Free some space, or let PACO_CACHE "
            "name another folder."
        ) from error


def check_broken(skipped: Sequence[str], seen: int, config: PretrainConfig) -> None:
    """Refuse a source with no usable picture, or with more unusable ones than ``data.max_broken`` allows."""
    first = f" First: {skipped[0]}" if skipped else ""
    if len(skipped) == seen:
        raise PacoError(f"{config.data.source}: not one of {seen} faces could be used.{first}")
    if len(skipped) > config.data.max_broken * seen:
        raise PacoError(
            f"{config.data.source}: {len(skipped)} of {seen} faces cannot be used, more than data.max_broken "
            f"{config.data.max_broken:.0%}.{first} Mend or remove them, or raise data.max_broken."
        )


def _cut_records(records: Dataset, config: PretrainConfig, workers: int) -> Iterator[Cut]:
    chunks = [range(at, min(at + CHUNK, len(records))) for at in range(0, len(records), CHUNK)]
    with ThreadPoolExecutor(workers) as pool:  # Pillow decodes and resizes outside the interpreter lock
        yield from pool.map(lambda chunk: _cut_chunk(records, config, chunk), chunks)


def _cut_chunk(records: Dataset, config: PretrainConfig, chunk: range) -> Cut:
    images, anchors, points, failures = [], [], [], []
    for index in chunk:
        row = records[index]
        try:
            image, anchor, placed = cut_record(row, config, index)
        except PacoError as error:  # an unreadable picture, or points that cannot be aligned
            failures.append(f"{row['image_id']}: {error}")
            continue
        images.append(image)
        anchors.append(anchor)
        points.append(placed)
    size = config.encoder.size
    stacked = np.stack(images) if images else np.empty((0, size, size, 3), dtype=np.uint8)
    return stacked, anchors, points, failures
