"""Rendered photographs as face records, and as sets on disk: drawn once for a spec and a renderer version."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

from datasets import Dataset, load_from_disk
from PIL import Image

from paco_fr.contracts import EXPRESSIONS
from paco_fr.faces.records import check, features
from paco_fr.faces.rotation import angles_from_rotation
from paco_fr.synthetic.spec import FaceSpec
from paco_fr.utils.errors import PacoError
from paco_fr.utils.files import atomic_folder, cache_folder, file_checksum, hold, put_aside
from paco_fr.utils.pool import in_order
from paco_fr.utils.progress import stage
from paco_fr.utils.untrusted import read_json

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
    "drawn",
)
_CHUNK = 32
SHARED = 512
"""Faces from which on several processes draw them: each takes seconds to start."""
UNDRAWN = b"not drawn yet: "
"""How the picture of a stand-in begins."""
SUMS = "sums.json"
"""File of a stored set with the checksum of every other one."""
STORED = 3
"""Number of the format of stored sets, in the name of their folder: earlier ones, without checksums
or what was drawn, are not found."""

_known: set[Path] = set()
"""Sets that this process held against their checksums, or made."""


def record(spec: FaceSpec, index: int) -> dict[str, Any]:
    """Return one face record: the photo as PNG bytes and the truth about it."""
    # Imported late: the renderer is compiled, and sets that are stored or planned need none.
    from paco_fr.synthetic.rendering.renderer import render
    from paco_fr.synthetic.sampling import face_parameters

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
        "drawn": _drawn(spec),
    }


def _chunk(spec: FaceSpec, numbers: range) -> list[dict[str, Any]]:
    return [record(spec, index) for index in numbers]


def records(spec: FaceSpec, workers: int = 1, progress: bool = False) -> Dataset:
    """Return the faces of a spec as face records, the same for any number of workers.

    Args:
        spec: what to render.
        workers: processes to use; each draws chunks of consecutive pictures.
        progress: whether to show a progress bar.

    """
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    chunks = [range(at, min(at + _CHUNK, len(spec))) for at in range(0, len(spec), _CHUNK)]
    with stage("drawing faces", len(spec), "face", shown=progress) as bar:
        for rows in in_order(_chunk, spec, chunks, workers):
            for name in COLUMNS:
                columns[name] += [row[name] for row in rows]
            bar.update(len(rows))
    dataset = Dataset.from_dict(columns, features=features(COLUMNS))
    return check(dataset, f"synthetic faces {spec.fingerprint()[:12]}")


def stored_records(
    spec: FaceSpec, *, identities: int | None = None, workers: int = 0, progress: bool = False
) -> Dataset:
    """Return the face records of a spec from the cache, rendering them first where they are not there.

    What is stored is held against its checksums the first time that a process reads it; a damaged set is put aside
    and drawn again.

    Args:
        spec: what to render.
        identities: only the first so many people are wanted; no others are drawn, if the whole set is not there.
        workers: processes that draw; 0 for one for each core where there is enough to share.
        progress: whether to show a bar.

    """
    if identities is not None and identities < spec.identities:
        if _folder(spec).exists():
            whole = stored_records(spec, workers=workers, progress=progress)
            return whole.select(range(identities * spec.images_per_identity))
        return stored_records(_first(spec, identities), workers=workers, progress=progress)
    folder = _folder(spec)
    hold(folder)
    if folder.exists() and folder not in _known:
        try:
            _check_sums(folder)
        except PacoError as error:
            put_aside(folder, error)
    if not folder.exists():
        with atomic_folder(folder) as made:
            sharing = (os.cpu_count() or 1) if len(spec) >= SHARED else 1
            records(spec, workers=workers or sharing, progress=progress).save_to_disk(str(made))
            (made / SUMS).write_text(json.dumps(_sums(made)), encoding="utf-8")
    _known.add(folder)
    return load_from_disk(str(folder))


def planned_records(spec: FaceSpec, *, identities: int | None = None, progress: bool = False) -> Dataset:
    """Return the records of a spec if they are stored, else as many with stand-ins: nothing is drawn.

    A stand-in has the name and the person; its picture is no picture (:data:`UNDRAWN` and its name), its truth that of
    no face.
    """
    wanted = spec if identities is None else _first(spec, min(identities, spec.identities))
    if _folder(spec).exists() or _folder(wanted).exists():
        return stored_records(spec, identities=identities, progress=progress)
    people = range(wanted.first_identity, wanted.first_identity + wanted.identities)
    names = [f"s{spec.seed}-{number}" for number in people for _ in range(spec.images_per_identity)]
    ids = [f"{name}-{at % spec.images_per_identity}" for at, name in enumerate(names)]
    mark, side = UNDRAWN + spec.fingerprint().encode(), float(spec.photo_size)
    columns = {
        "image": [{"bytes": mark + name.encode(), "path": None} for name in ids],
        "image_id": ids,
        "group": names,
        "identity": names,
        "box": [[0.0, 0.0, side, side]] * len(ids),
        "landmarks": [[[0.0, 0.0]] * 68] * len(ids),
        "visible": [[True] * 68] * len(ids),
        "scheme": ["ibug68"] * len(ids),
        "rotation": [[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]] * len(ids),
        **{angle: [0.0] * len(ids) for angle in ("yaw", "pitch", "roll")},
        "expression": [
            EXPRESSIONS.index(spec.expressions[at % len(spec.expressions)]) for at in range(len(ids))
        ],
        "occluder": ["none"] * len(ids),
        "light": [spec.lights[0]] * len(ids),
        "parameters": ["{}"] * len(ids),
        "drawn": [_drawn(spec)] * len(ids),
    }
    return Dataset.from_dict(columns, features=features(COLUMNS))


def _drawn(spec: FaceSpec) -> str:
    """Return what the faces of a spec are told by beside their names: however many people there are."""
    return _first(spec, 1).fingerprint()[:16]


def _first(spec: FaceSpec, identities: int) -> FaceSpec:
    return spec.model_copy(update={"identities": min(identities, spec.identities)})


def _folder(spec: FaceSpec) -> Path:
    return cache_folder("faces") / f"{spec.fingerprint()[:16]}-{STORED}"


def _sums(folder: Path) -> dict[str, str]:
    """Return the checksum of every file of a stored set."""
    return {
        path.name: file_checksum(path)
        for path in sorted(folder.iterdir())
        if path.suffix in (".arrow", ".json") and path.name != SUMS
    }


def _check_sums(folder: Path) -> None:
    """Refuse a stored set whose files are not those that were written."""
    said, found = read_json(folder / SUMS), _sums(folder)
    other = sorted(name for name in said.keys() | found.keys() if said.get(name) != found.get(name))
    if other:
        raise PacoError(f"{other[0]} does not fit its checksum")
