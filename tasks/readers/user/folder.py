"""A user's own pictures: a folder of people, or a folder of classes.

``read_classes``: sub-folders are classes, perhaps below ``train``, ``validation`` and ``test``, in any of the usual
spellings (:func:`part_of`).
``read_people``: every sub-folder is one person.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset

from paco_fr.data.sources import find_images
from paco_fr.faces.listing import as_text, folders_in, list_files
from paco_fr.utils.errors import PacoError, unknown_name
from tasks.readers.files import FormatError, require, require_folder, to_records
from tasks.readers.user.advice import about_parts

PARTS = ("train", "validation", "test")
SPELLINGS = {
    "train": "train", "training": "train", "val": "validation", "valid": "validation", "validation": "validation",
    "dev": "validation", "development": "validation", "test": "test", "testing": "test",
}  # fmt: skip
"""Names of parts in lower case, alone or with ``set`` behind them, and the part that is meant."""
OBTAIN = "Name a folder of images, relative to the data root."


def part_of(name: str) -> str | None:
    """Return the part that a name means in any case and spelling, None of any other name: ``Val_Set`` is validation."""
    return SPELLINGS.get(re.sub(r"[\s_-]*(set|split)?$", "", name.strip().lower()))


def part_folders(root: Path) -> dict[str, Path]:
    """Return the folders of parts by part, in their order, or the folder itself under "" if it holds none.

    Raises:
        PacoError: two folders mean the same part, or something else lies beside them.

    """
    found: dict[str, Path] = {}
    others = []
    for folder in folders_in(root):
        part = part_of(folder.name)
        if part is None:
            others.append(folder)
        elif part in found:
            raise PacoError(
                f"{as_text(root)}: {found[part].name} and {folder.name} both mean the part {part}. Join them."
            )
        else:
            found[part] = folder
    if not found:
        return {"": root}
    others += list_files(root, deep=False).paths
    if others:
        names = ", ".join(as_text(path.name) for path in others[:5]) + (", ..." if len(others) > 5 else "")
        parts = ", ".join(path.name for path in found.values())
        raise PacoError(
            f"{as_text(root)}: {names} beside the parts {parts} belong to no part. Move or remove what is no part, or "
            "rename those folders if they are classes."
        )
    return {part: found[part] for part in PARTS if part in found}


def read_people(data_root: str | Path, folder: str = ".") -> Dataset:
    """Return the images of ``folder/PERSON/...`` with the sub-folder as ``identity`` and ``group``."""
    return to_records(people_rows(Path(data_root) / folder), str(Path(data_root) / folder))


def read_classes(data_root: Path | None, folder: str, classes: Sequence[str]) -> Dataset:
    """Return the images of ``folder/CLASS/...`` or ``folder/PART/CLASS/...``; ``expression`` is the class number.

    Without parts an image is test when the sha256 of its path is 1 modulo 5.
    """
    root = require_folder(Path(folder), OBTAIN)
    parts = part_folders(root)

    def label(name: str) -> dict[str, Any]:
        if name not in classes:
            raise unknown_name("class folder", name, classes)
        return {"expression": list(classes).index(name)}

    rows = []
    for part, home in parts.items():
        for row in _labelled_rows(home, label):
            ident = f"{part}/{row['image_id']}".lstrip("/")
            rows.append(row | {"image_id": ident, "group": ident, "split": part or drawn_part(ident)})
    about_parts(rows, folder)
    return to_records(rows, folder)


def drawn_part(group: str) -> str:
    """Return "test" for groups whose sha256 is 1 modulo 5, else "train"; validation is carved out of train."""
    return "test" if int.from_bytes(hashlib.sha256(group.encode()).digest(), "big") % 5 == 1 else "train"


def people_rows(folder: Path) -> list[dict[str, Any]]:
    """Return a row for every image of ``folder/PERSON/...``, see :func:`read_people`."""
    return _labelled_rows(folder, lambda person: {"identity": person, "group": person})


def _labelled_rows(folder: Path, label: Callable[[str], dict[str, Any]]) -> list[dict[str, Any]]:
    rows = []
    above = "" if folder == Path() else f"{as_text(folder).rstrip('/')}/"
    for path in find_images(require(folder, OBTAIN)):
        image = as_text(path)
        ident = image.removeprefix(above)  # relative_to of Path takes longer than all else together
        name, below, _ = ident.partition("/")
        if not below:
            raise FormatError(path, None, "lies beside the labelled sub-folders", "Move it into one of them.")
        rows.append({"image": image, "image_id": ident, "group": ident} | label(name))
    return rows
