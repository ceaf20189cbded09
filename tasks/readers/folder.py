"""A user's own pictures: a plain folder, a folder of people, a folder of classes.

``read_people``: every sub-folder is one person. ``read_expressions``: every sub-folder is one expression,
named as in :data:`paco_fr.records.EXPRESSIONS`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from datasets import Dataset

from paco_fr.errors import unknown_name
from paco_fr.records import EXPRESSIONS
from paco_fr.sources import find_images, folder_records
from tasks.readers.files import FormatError, require, to_records

OBTAIN = "Name a folder of images, relative to the data root."


def read_images(data_root: str | Path, folder: str = ".") -> Dataset:
    """Return one record for every image below ``folder``; each is a group of its own."""
    return folder_records(require(Path(data_root) / folder, OBTAIN))


def read_people(data_root: str | Path, folder: str = ".") -> Dataset:
    """Return the images of ``folder/PERSON/...`` with the sub-folder as ``identity`` and ``group``."""
    return _labelled(Path(data_root) / folder, lambda person: {"identity": person, "group": person})


def read_expressions(data_root: str | Path, folder: str = ".") -> Dataset:
    """Return the images of ``folder/EXPRESSION/...`` with the index of the expression."""

    def label(name: str) -> dict[str, Any]:
        if name not in EXPRESSIONS:
            raise unknown_name("expression folder", name, EXPRESSIONS)
        return {"expression": EXPRESSIONS.index(name)}

    return _labelled(Path(data_root) / folder, label)


def _labelled(folder: Path, label: Callable[[str], dict[str, Any]]) -> Dataset:
    """Return records whose label is a function of the first sub-folder."""
    rows = []
    for path in find_images(require(folder, OBTAIN)):
        relative = path.relative_to(folder)
        if len(relative.parts) < 2:
            raise FormatError(path, None, "lies beside the labelled sub-folders", "Move it into one of them.")
        ident = relative.as_posix()
        rows.append({"image": str(path), "image_id": ident, "group": ident} | label(relative.parts[0]))
    return to_records(rows, str(folder))
