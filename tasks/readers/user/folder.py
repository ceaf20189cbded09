"""A user's own pictures: a folder of people, or a folder of classes.

``read_classes``: sub-folders are classes, perhaps below ``train``, ``validation`` and ``test``.
``read_people``: every sub-folder is one person.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset

from paco_fr.data.sources import find_images
from paco_fr.utils.errors import unknown_name
from tasks.readers.files import FormatError, require, require_folder, to_records

PARTS = ("train", "validation", "test")
OBTAIN = "Name a folder of images, relative to the data root."


def read_people(data_root: str | Path, folder: str = ".") -> Dataset:
    """Return the images of ``folder/PERSON/...`` with the sub-folder as ``identity`` and ``group``."""
    return _labelled(Path(data_root) / folder, lambda person: {"identity": person, "group": person})


def read_classes(data_root: Path | None, folder: str, classes: Sequence[str]) -> Dataset:
    """Return the images of ``folder/CLASS/...`` or ``folder/PART/CLASS/...``; ``expression`` is the class number.

    Without parts an image is test when the sha256 of its path is 1 modulo 5.
    """
    root = require_folder(Path(folder), OBTAIN)
    parts = {part: root / part for part in PARTS if (root / part).is_dir()} or {"": root}

    def label(name: str) -> dict[str, Any]:
        if name not in classes:
            raise unknown_name("class folder", name, classes)
        return {"expression": list(classes).index(name)}

    rows = []
    for part, home in parts.items():
        for row in _labelled_rows(home, label):
            ident = f"{part}/{row['image_id']}".lstrip("/")
            rows.append(row | {"image_id": ident, "group": ident, "split": part or drawn_part(ident)})
    return to_records(rows, folder)


def drawn_part(group: str) -> str:
    """Return "test" for groups whose sha256 is 1 modulo 5, else "train"; validation is carved out of train."""
    return "test" if int.from_bytes(hashlib.sha256(group.encode()).digest(), "big") % 5 == 1 else "train"


def _labelled(folder: Path, label: Callable[[str], dict[str, Any]]) -> Dataset:
    """Return records whose label is a function of the first sub-folder."""
    return to_records(_labelled_rows(folder, label), str(folder))


def _labelled_rows(folder: Path, label: Callable[[str], dict[str, Any]]) -> list[dict[str, Any]]:
    rows = []
    for path in find_images(require(folder, OBTAIN)):
        relative = path.relative_to(folder)
        if len(relative.parts) < 2:
            raise FormatError(path, None, "lies beside the labelled sub-folders", "Move it into one of them.")
        ident = relative.as_posix()
        rows.append({"image": str(path), "image_id": ident, "group": ident} | label(relative.parts[0]))
    return rows
