"""A user's own people: a folder of identities, or a list of pairs beside pictures.

The list is a CSV file with the header ``first,second,same`` and perhaps ``fold``: two pictures by their
paths inside the folder, 1 if they show one person and 0 if not, and a fold number from 0.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from datasets import Dataset

from paco_fr.utils.errors import quoted
from paco_fr.utils.untrusted import read_csv
from tasks.lists import PairList
from tasks.readers.files import FormatError, inside, read_lines, require_folder, to_records
from tasks.readers.user import folder as folders

OBTAIN = "Name a folder of your own pictures."
REMEDY = "Mend the line; the header is first,second,same or first,second,same,fold."


class OwnPair(NamedTuple):
    """Two pictures by their paths inside the folder, whether they show one person, and the fold."""

    first: str
    second: str
    same: bool
    fold: int


def read_people(data_root: str | Path | None, folder: str) -> Dataset:
    """Return the pictures of ``folder/PERSON/...``; every sub-folder is one person."""
    root = require_folder(Path(data_root or ".") / folder, OBTAIN)
    return folders.read_people(root, ".")


def read_searched(data_root: str | Path | None, folder: str) -> Dataset:
    """Return the same pictures with ``media``: "gallery" for the first of each person by name, "probe" for others."""
    records = read_people(data_root, folder)
    seen: set[str] = set()
    media = []
    for person in records["identity"][:]:
        media.append("probe" if person in seen else "gallery")
        seen.add(person)
    return records.add_column("media", media)


def read_own_pairs(path: Path, folder: Path) -> list[OwnPair]:
    """Return the pairs of a list in its order.

    Raises:
        FormatError: header, number of columns, a value out of range, a pair twice, a path that leaves the
            folder; names file and line.

    """
    lines = read_lines(path, obtain="Write the list, or name another with pairs=FILE.")
    header = lines[0].split(",") if lines else []
    if header not in (["first", "second", "same"], ["first", "second", "same", "fold"]):
        raise FormatError(path, 1, f"the header is {quoted(','.join(header))}", REMEDY)
    seen: dict[frozenset[str], int] = {}
    pairs = []
    for number, fields in enumerate(read_csv(lines[1:], path, REMEDY), 2):
        if len(fields) != len(header):
            raise FormatError(path, number, f"{len(fields)} columns, the header has {len(header)}", REMEDY)
        first, second = (PurePosixPath(name.strip()).as_posix() for name in fields[:2])
        for name in (first, second):
            inside(folder, name, path)
        if fields[2].strip() not in ("0", "1"):
            raise FormatError(path, number, f"same is {quoted(fields[2])}, expected 0 or 1", REMEDY)
        fold = fields[3].strip() if len(fields) == 4 else "0"
        if not (fold.isascii() and fold.isdigit() and len(fold) < 6):
            raise FormatError(path, number, f"fold is {quoted(fold)}, expected a number from 0", REMEDY)
        if first == second:
            raise FormatError(path, number, f"{first} is paired with itself", REMEDY)
        before = seen.setdefault(frozenset((first, second)), number)
        if before != number:
            raise FormatError(path, number, f"the pair stands already in line {before}", REMEDY)
        pairs.append(OwnPair(first, second, fields[2].strip() == "1", int(fold)))
    if not pairs:
        raise FormatError(path, None, "lists no pairs", REMEDY)
    return pairs


def read_paired(data_root: str | Path | None, folder: str, pairs: str) -> Dataset:
    """Return the pictures that a list names, once each; the group of a picture is its sub-folder, if any.

    Args:
        data_root: what ``folder`` is relative to.
        folder: of the pictures.
        pairs: the list, relative to the folder.

    """
    root = require_folder(Path(data_root or ".") / folder, OBTAIN)
    listed = read_own_pairs(root / pairs, root)
    names = dict.fromkeys(name for pair in listed for name in pair[:2])
    rows = [
        {
            "image": str(root / name),
            "image_id": name,
            "group": str(PurePosixPath(name).parent) if "/" in name else name,
        }
        for name in names
    ]
    return to_records(rows, str(root))


def read_pair_list(data_root: str | Path | None, folder: str, pairs: str) -> PairList:
    """Return the list itself, see :func:`read_paired`."""
    root = require_folder(Path(data_root or ".") / folder, OBTAIN)
    found = read_own_pairs(root / pairs, root)
    first, second = (np.array([pair[side] for pair in found]) for side in (0, 1))
    same, fold = (
        np.array([pair.same for pair in found]),
        np.array([pair.fold for pair in found], dtype=np.int64),
    )
    return PairList(first, second, same, fold, str(root / pairs))
