"""Face records: the one table in which every source of faces arrives.

A source is a Hugging Face ``datasets.Dataset`` with the columns below; columns that a source does not
know are left out. Readers and the renderer fill them, this module alone owns their names and types.

Points are in pixels of the stored photograph; the centre of its top-left pixel is (0, 0). A box is
``x0 y0 x1 y1`` in the same coordinates. ``image`` holds encoded bytes (or a path) and is decoded only by
:mod:`paco_fr.faces.decode`, which refuses image bombs and honours EXIF orientation.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from datasets import Dataset, Features, Image, List, Value

from paco_fr.faces.contents import contents_of, sizes_of
from paco_fr.faces.decode import ImageError, image_size
from paco_fr.utils.errors import PacoError

COLUMNS = {
    "image": Image(decode=False),
    "image_id": Value("string"),
    "group": Value("string"),  # unit of resampling: identity, else source photograph, else image id
    "identity": Value("string"),
    "box": List(Value("float32"), length=4),
    "landmarks": List(List(Value("float32"), length=2)),
    "visible": List(Value("bool")),
    "scheme": Value("string"),  # name of the point scheme, see landmarks.FIVE_POINTS
    "rotation": List(List(Value("float64"), length=3), length=3),
    "yaw": Value("float32"),  # degrees, derived from rotation, signs in paco_fr.faces.rotation
    "pitch": Value("float32"),
    "roll": Value("float32"),
    "expression": Value("int8"),  # index into EXPRESSIONS
    "votes": List(Value("float32")),
    "attributes": List(Value("int8")),
    "mask": Image(decode=False),
    "mask_classes": List(Value("string")),
    "media": Value("string"),
    "template": Value("string"),
    "detector_score": Value("float32"),
    "occluder": Value("string"),
    "light": Value("string"),
    "subsets": List(Value("string")),
    "split": Value("string"),
    "parameters": Value("string"),  # JSON: every other rendering parameter of a synthetic face
    "drawn": Value("string"),  # hash of renderer and spec of a synthetic face, see SAID
}

SAID = ("drawn", "image_id", "split", "subsets")
"""Columns that stand for a drawn face in fingerprints: the others follow from them up to rounding, which differs between
processors, as do the bytes of a PNG between versions of its library. Whoever changes such records leaves ``drawn`` out."""

BESIDE = "landmarks.parquet"
"""Name of the file beside a set that holds points found in its pictures, see :mod:`paco_fr.data.points`."""
REQUIRED = ("image", "image_id", "group")
ROWS = 1000
"""Records that are looked at together."""


def known(columns: Iterable[str]) -> list[str]:
    """Return those columns of a foreign table that face records know; only the renderer says that a face is drawn."""
    return [name for name in columns if name in COLUMNS and name != "drawn"]


def features(columns: Iterable[str]) -> Features:
    """Return the ``datasets`` types of the named columns; an unknown name is an error."""
    unknown = [name for name in columns if name not in COLUMNS]
    if unknown:
        raise PacoError(f"Not a face record column: {', '.join(unknown)}. See paco_fr/faces/records.py.")
    return Features({name: COLUMNS[name] for name in columns})


def check(records: Dataset, source: str) -> Dataset:
    """Return ``records`` unchanged if they keep the contract, else raise naming ``source`` and column."""
    missing = [name for name in REQUIRED if name not in records.column_names]
    if missing:
        raise PacoError(f"{source}: face records lack the column {', '.join(missing)}.")
    for name, found in records.features.items():
        if name not in COLUMNS:
            raise PacoError(f"{source}: '{name}' is not a face record column; see paco_fr/faces/records.py.")
        if found != COLUMNS[name]:
            raise PacoError(f"{source}: column '{name}' has type {found}, expected {COLUMNS[name]}.")
    if len(records) == 0:
        raise PacoError(f"{source}: no faces. Check the path and the file names.")
    return records


def fingerprint(records: Dataset) -> str:
    """Return sixteen hex digits of what the records say and of the contents of their pictures and masks.

    Where files lie and what they are called does not count, see :mod:`paco_fr.faces.contents`. Drawn faces are told by
    what was drawn (:data:`SAID`), so that they are the same on every machine.
    """
    digest = hashlib.sha256()
    for _, line in record_lines(records):
        digest.update(line)
    return digest.hexdigest()[:16]


def record_digests(records: Dataset) -> dict[str, str]:
    """Return for each image id eight hex digits of what its records say and show, to find what changed."""
    found: dict[str, str] = {}
    for name, line in record_lines(records):
        found[name] = hashlib.sha256(found.get(name, "").encode() + line).hexdigest()[:8]
    return found


Cell = Mapping[str, Any] | None
"""Of a column of pictures: encoded bytes or a path, or nothing."""
Told = TypeVar("Told")


def picture_contents(cells: Iterable[Cell]) -> list[bytes | None]:
    """Return the sha256 (32 bytes) of the encoded pictures in cells of a record, None of those that cannot be read."""
    return _told(cells, lambda held: hashlib.sha256(held).digest(), contents_of)


def picture_sizes(cells: Iterable[Cell]) -> list[tuple[int, int] | None]:
    """Return (height, width) of the upright pictures in cells of a record, None of those that cannot be read."""
    return _told(cells, _size, sizes_of)


def _size(held: bytes) -> tuple[int, int] | None:
    try:
        return image_size(held)
    except ImageError:
        return None


def _told(
    cells: Iterable[Cell],
    of_bytes: Callable[[bytes], Told | None],
    of_files: Callable[[list[str]], list[Told | None]],
) -> list[Told | None]:
    """Return what is told of each picture: of bytes one by one, of files together."""
    found: list[Told | None] = []
    files: dict[int, str] = {}
    for cell in cells:
        held, path = (None, None) if cell is None else (cell["bytes"], cell["path"])
        if held is None and path is not None:
            files[len(found)] = path
        found.append(None if held is None else of_bytes(held))
    for place, told in zip(files, of_files(list(files.values())), strict=True):
        found[place] = told
    return found


def cells_of(records: Dataset, column: str = "image") -> Iterator[Cell]:
    """Yield the cells of a column of pictures, a thousand at once in memory."""
    for part in records.select_columns([column]).iter(batch_size=ROWS):
        yield from part[column]


def digests_of_parts(records: Dataset, size: int) -> list[str]:
    """Return 32 hex digits of each part of so many records, as :func:`fingerprint` tells them."""
    found, digest, count = [], hashlib.sha256(), 0
    for _, line in record_lines(records):
        digest.update(line)
        count += 1
        if count % size == 0:
            found.append(digest.hexdigest()[:32])
            digest = hashlib.sha256()
    return found if count % size == 0 else [*found, digest.hexdigest()[:32]]


def record_lines(records: Dataset) -> Iterator[tuple[str, bytes]]:
    """Yield the id of each record with what it comes to: picture, mask, and all that it says."""
    if "drawn" in records.column_names and all(records.unique("drawn")):
        for row in records.select_columns([name for name in SAID if name in records.column_names]):
            yield row["image_id"], json.dumps(row, sort_keys=True).encode()
        return
    for part in records.iter(batch_size=ROWS):
        images = picture_contents(part.pop("image"))
        masks = part.pop("mask", [None] * len(images))
        painted = picture_contents(masks)
        for at, (image, mask, shown) in enumerate(zip(images, masks, painted, strict=True)):
            row = {name: column[at] for name, column in part.items()}
            line = image or b"absent"
            if mask is not None:
                line += b"mask" + (shown or b"absent")
            yield row["image_id"], line + json.dumps(row, sort_keys=True, default=repr).encode()
