"""Rendered photographs as face records, and as sets on disk: drawn once for a spec and a renderer version."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

from datasets import Dataset, load_from_disk
from PIL import Image
from tqdm import tqdm

from paco_fr.faces.records import EXPRESSIONS, check, features
from paco_fr.faces.rotation import angles_from_rotation
from paco_fr.synthetic.rendering.renderer import render
from paco_fr.synthetic.sampling import face_parameters
from paco_fr.synthetic.spec import FaceSpec
from paco_fr.utils.files import atomic_folder, cache_folder

COLUMNS = (
    "image",
    "image_id",
    "group",
    "identity",
    "box",
    "landmarks",
    "visible",
    "scheme",
    "rotation",
    "yaw",
    "pitch",
    "roll",
    "expression",
    "occluder",
    "light",
    "parameters",
)
_CHUNK = 32


def record(spec: FaceSpec, index: int) -> dict[str, Any]:
    """Return one face record: the photo as PNG bytes and the truth about it."""
    face = face_parameters(spec, index)
    drawn = render(face, spec.photo_size)
    encoded = io.BytesIO()
    Image.fromarray(drawn.image).save(encoded, format="PNG", compress_level=1)
    yaw, pitch, roll = (float(v) for v in angles_from_rotation(drawn.rotation))
    extra = {**face.as_json(), "coverage": drawn.coverage}
    return {
        "image": {"bytes": encoded.getvalue(), "path": None},
        "image_id": face.image_id,
        "group": face.identity_name,
        "identity": face.identity_name,
        "box": drawn.box.tolist(),
        "landmarks": drawn.landmarks.tolist(),
        "visible": drawn.visible.tolist(),
        "scheme": "ibug68",
        "rotation": drawn.rotation.tolist(),
        "yaw": yaw,
        "pitch": pitch,
        "roll": roll,
        "expression": EXPRESSIONS.index(face.expression),
        "occluder": face.occluder.kind,
        "light": face.lighting.regime,
        "parameters": json.dumps(extra),
    }


def _chunk(task: tuple[FaceSpec, int, int]) -> list[dict[str, Any]]:
    spec, start, stop = task
    return [record(spec, index) for index in range(start, stop)]


def _rows(spec: FaceSpec, workers: int, progress: bool) -> Iterator[dict[str, Any]]:
    tasks = [(spec, start, min(start + _CHUNK, len(spec))) for start in range(0, len(spec), _CHUNK)]
    with tqdm(total=len(spec), desc="render", unit="face", disable=not progress) as bar:
        if workers <= 1:
            for task in tasks:
                for row in _chunk(task):
                    yield row
                    bar.update()
            return
        # Spawned, not forked: the caller may hold threads, which a forked child would find locked.
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            for rows in pool.map(_chunk, tasks):
                yield from rows
                bar.update(len(rows))


def records(spec: FaceSpec, workers: int = 1, progress: bool = False) -> Dataset:
    """Return the faces of a spec as face records, the same for any number of workers.

    Args:
        spec: what to render.
        workers: processes to use; each draws chunks of consecutive pictures.
        progress: whether to show a progress bar.

    """
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    for row in _rows(spec, workers, progress):
        for name in COLUMNS:
            columns[name].append(row[name])
    dataset = Dataset.from_dict(columns, features=features(COLUMNS))
    return check(dataset, f"synthetic faces {spec.fingerprint()[:12]}")


def stored_records(spec: FaceSpec, *, workers: int = 0, progress: bool = False) -> Dataset:
    """Return the face records of a spec from the cache, rendering them first where they are not there.

    ``workers`` 0 means one for each core.
    """
    folder = cache_folder("faces") / spec.fingerprint()[:16]
    if not folder.exists():
        with atomic_folder(folder) as made:
            records(spec, workers=workers or os.cpu_count() or 1, progress=progress).save_to_disk(str(made))
    return load_from_disk(str(folder))
