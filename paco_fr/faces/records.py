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
from collections.abc import Iterable
from pathlib import Path

from datasets import Dataset, Features, Image, List, Value

from paco_fr.faces.listing import as_path, as_text
from paco_fr.utils.errors import PacoError

EXPRESSIONS = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")
"""Canonical order of expression labels; datasets map their own codes onto it."""

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
}

REQUIRED = ("image", "image_id", "group")


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
    """Return sixteen hex digits of what the records say and of their pictures.

    Encoded pictures count with their bytes, files with their name and size, masks with their size: a set of
    millions must not be read twice to be named.
    """
    digest = hashlib.sha256()
    for row in records:
        image, mask = row.pop("image"), row.pop("mask", None)
        if image["bytes"] is not None:
            digest.update(hashlib.sha256(image["bytes"]).digest())
        else:
            path = Path(as_path(image["path"]))
            digest.update(f"{as_text(path.name)} {path.stat().st_size if path.exists() else -1}".encode())
        if mask is not None:  # painted masks lie in the cache under names of this machine
            size = (
                len(mask["bytes"])
                if mask["bytes"] is not None
                else Path(as_path(mask["path"])).stat().st_size
            )
            digest.update(f"mask {size}".encode())
        digest.update(json.dumps(row, sort_keys=True, default=repr).encode())
    return digest.hexdigest()[:16]
