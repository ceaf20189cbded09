"""AffectNet, the release with eight labels: ``AffectNet/{train_set,val_set}/{images,annotations}``.

``images/N.jpg`` is a face of 224 x 224, ``annotations/N_exp.npy`` its label as a string: 0 to 7 are neutral, happy,
sad, surprise, fear, disgust, anger, contempt, the canonical order. The test labels are not public, so
the validation set is the test part, as in all published numbers. With ``classes=7`` contempt takes no part
(``split`` "excluded").

The first release, whose names the lists of :mod:`tasks.readers.expression.challenge` use, is another layout of the same faces:
``AffectNet/Manually_Annotated_file_lists/{training,validation}.csv`` with a header, and the photographs below
``Manually_Annotated_Images``. Its labels 8 to 10 (none, uncertain, no face) take no part.

Both layouts are known from public loaders only: unproven.
"""

from __future__ import annotations

from pathlib import Path

from datasets import Dataset

from paco_fr.faces.listing import files_in
from paco_fr.utils.errors import PacoError, quoted
from paco_fr.utils.untrusted import read_csv, read_npy
from tasks.readers.dataset_info import AFFECTNET, AFFECTNET_FIRST
from tasks.readers.files import (
    FormatError,
    inside,
    once,
    read_lines,
    read_numbers,
    reading,
    require_folder,
    to_records,
)

FOLDER = "AffectNet"
PARTS = {"train_set": "train", "val_set": "test"}
REMEDY = "Restore the original annotation."
OBTAIN_FIRST: str = AFFECTNET_FIRST["obtain"]
REMEDY_FIRST = "Restore the original list."
COLUMNS = ("subDirectory_filePath", "face_x", "face_y", "face_width", "face_height", "expression")
"""Columns of the first release's lists that are read."""


def read_affectnet(data_root: str | Path, folder: str = FOLDER, classes: int = 8) -> Dataset:
    """Return all annotated pictures with ``expression``, in the order of their numbers.

    Raises:
        MissingDataError: a folder is not there.
        FormatError: an annotation that is no .npy of one whole number from 0 to 7 (never unpickled).

    """
    obtain = AFFECTNET["obtain"]
    root, rows = require_folder(Path(data_root) / folder, obtain), []
    for part, split in PARTS.items():
        images = require_folder(root / part / "images", obtain)
        annotations = files_in(require_folder(root / part / "annotations", obtain), ".npy")
        found = [path for path in annotations if path.name.endswith("_exp.npy")]
        if not found:
            raise PacoError(f"{root / part}/annotations: no N_exp.npy. {obtain}")
        for path in reading(sorted(found, key=lambda file: (len(file.name), file.name))):
            label, name = read_label(path), path.name.removesuffix("_exp.npy")
            ident = f"{part}/{name}"
            rows.append({"image": str(images / f"{name}.jpg"), "image_id": ident, "group": ident, "expression": label,
                         "split": split if label < classes else "excluded"})  # fmt: skip
    return to_records(rows, str(root))


def read_first_release(data_root: str | Path, folder: str = FOLDER) -> Dataset:
    """Return the faces of the first release with ``expression`` and the face's ``box``.

    Raises:
        MissingDataError: a list or folder is not there.
        FormatError: header, columns, box, label, a picture twice, a path out of its folder; names file and line.

    """
    root = require_folder(Path(data_root) / folder, OBTAIN_FIRST)
    images, rows = require_folder(root / "Manually_Annotated_Images", OBTAIN_FIRST), []
    for part, split in (("training", "train"), ("validation", "test")):
        path, seen = root / "Manually_Annotated_file_lists" / f"{part}.csv", dict[str, int]()
        table = read_csv(read_lines(path, obtain=OBTAIN_FIRST), path, REMEDY_FIRST)
        header = next(table, [])
        if not set(COLUMNS) <= set(header):
            raise FormatError(path, 1, f"the header lacks one of {', '.join(COLUMNS)}", REMEDY_FIRST)
        places = [header.index(column) for column in COLUMNS]
        for line, row in enumerate(table, 2):
            cells = [row[place] for place in places] if len(row) == len(header) else []
            if not cells:
                raise FormatError(path, line, "another number of columns than the header", REMEDY_FIRST)
            name = once(seen, cells[0], path, line, REMEDY_FIRST)
            x, y, width, height = read_numbers(path, line, " ".join(cells[1:5]), 4, REMEDY_FIRST)
            if min(width, height) <= 0:
                raise FormatError(path, line, f"the box of {name} has no extent", REMEDY_FIRST)
            if cells[5] not in {str(code) for code in range(11)}:
                raise FormatError(path, line, f"label {quoted(cells[5])} is not 0 to 10", REMEDY_FIRST)
            label = int(cells[5])
            rows.append({"image": str(inside(images, name, path)), "image_id": f"{part}/{name}", "group": f"{part}/{name}",
                         "box": [x - 0.5, y - 0.5, x + width - 0.5, y + height - 0.5],
                         "expression": label if label < 8 else None,
                         "split": split if label < 8 else "excluded"})  # fmt: skip
    return to_records(rows, str(root))


def read_label(path: Path) -> int:
    """Return the label in one annotation file."""
    stored = read_npy(path, REMEDY, kinds="iufUS", limit=10_000)
    label = stored.item() if stored.size == 1 else stored.ravel()[:3].tolist()
    text = label.decode("latin-1") if isinstance(label, bytes) else str(label)
    if text not in {str(code) for code in range(8)}:
        raise FormatError(
            path, None, f"is not an .npy file with one label from 0 to 7: {quoted(label)}", REMEDY
        )
    return int(text)
