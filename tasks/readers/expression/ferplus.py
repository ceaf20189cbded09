"""FER+ (Barsoum et al. 2016): votes of ten people on the 48 x 48 faces of FER2013.

The votes are those of ``FER2013{Train,Valid,Test}/label.csv`` beside the images, with a quoted box and without
a header: what Microsoft's training code reads. ``fer2013new.csv`` is not the same table: 1,601 images have
other votes there, so say which one a number comes from.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from datasets import Dataset

from paco_fr.contracts import EXPRESSIONS
from paco_fr.faces.records import COLUMNS
from paco_fr.utils.errors import quoted
from paco_fr.utils.untrusted import read_csv
from tasks.readers.files import FormatError, is_whole, read_lines, require_folder, to_records

CLASSES = (
    *("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"),
    *("unknown", "NF"),
)
"""Order of the ten columns of votes; NF means that there is no face."""

SPLITS = {"FER2013Train": "train", "FER2013Valid": "validation", "FER2013Test": "test"}
COLUMNS_OF_LABELS = 2 + len(CLASSES)
OBTAIN = "Clone github.com/microsoft/FERPlus into <data root>/ferplus and generate its images."
REMEDY = "Restore the file from github.com/microsoft/FERPlus."


class Votes(NamedTuple):
    """Image name, split, and the ten votes in the order of ``CLASSES``."""

    image: str
    split: str
    votes: tuple[int, ...]


def read_labels(path: str | Path, split: str) -> list[Votes]:
    """Return the rows of one ``label.csv``.

    Raises:
        MissingDataError: there is no such file.
        FormatError: columns, votes, no name or a name twice; names file and line.

    """
    path = Path(path)
    found = [
        Votes(row[0] if row else "", split, _count(path, line, row))
        for line, row in enumerate(_rows(path), 1)
    ]
    if not all(row.image for row in found):
        raise FormatError(path, 1 + [bool(row.image) for row in found].index(False), "no image name", REMEDY)
    first: dict[str, int] = {}
    for line, row in enumerate(found, 1):
        if first.setdefault(row.image, line) != line:
            raise FormatError(path, line, f"{row.image} stands already in line {first[row.image]}", REMEDY)
    return found


def majority(votes: tuple[int, ...]) -> int | None:
    """Return the index into ``EXPRESSIONS`` that most chose, or None where the official rule drops the face.

    The rule of Microsoft's ``ferplus.py``, mode "majority": single votes are outliers; the winner needs
    more than half of the rest; "unknown" and "NF" are dropped.
    """
    kept = [count if count > 1 else 0 for count in votes]
    best = max(range(len(kept)), key=kept.__getitem__)
    if 2 * kept[best] <= sum(kept) or CLASSES[best] not in EXPRESSIONS:
        return None
    return EXPRESSIONS.index(CLASSES[best])


def read_ferplus(data_root: str | Path, folder: str = "ferplus") -> Dataset:
    """Return the labelled images of the three folders with votes, majority ``expression`` and split."""
    root = require_folder(Path(data_root) / folder, OBTAIN)
    rows = []
    for name, split in SPLITS.items():
        for face in read_labels(root / name / "label.csv", split):
            row = {"image": str(root / name / face.image), "image_id": f"{name}/{face.image}", "split": split}
            truth = {"votes": list(face.votes), "expression": majority(face.votes)}
            rows.append(row | {"group": row["image_id"]} | truth)
    return to_records(rows, str(root))


def read_majority(data_root: str | Path, folder: str = "ferplus") -> Dataset:
    """Return :func:`read_ferplus` with the faces that the official rule drops set apart (``split`` "excluded")."""
    faces = read_ferplus(data_root, folder)
    parts = [
        part if label is not None else "excluded"
        for part, label in zip(faces["split"], faces["expression"], strict=True)
    ]
    return faces.remove_columns("split").add_column("split", parts, feature=COLUMNS["split"])


def _rows(path: Path) -> list[list[str]]:
    return list(read_csv(read_lines(path, obtain=OBTAIN), path, REMEDY, strict=True))


def _count(path: Path, line: int, row: list[str]) -> tuple[int, ...]:
    """Return the votes of a row whose first two fields are not votes."""
    if len(row) != COLUMNS_OF_LABELS:
        raise FormatError(path, line, f"{len(row)} columns, expected {COLUMNS_OF_LABELS}", REMEDY)
    if not all(is_whole(field) for field in row[2:]):
        raise FormatError(path, line, f"votes {quoted(row[2:])} are not whole numbers", REMEDY)
    votes = tuple(int(field) for field in row[2:])
    if not 1 <= sum(votes) <= 10:
        raise FormatError(path, line, f"{sum(votes)} votes, expected up to ten", REMEDY)
    if "/" in row[0] or "\\" in row[0]:
        raise FormatError(path, line, "an image name with a folder in it", REMEDY)
    return votes
