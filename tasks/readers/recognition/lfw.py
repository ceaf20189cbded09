"""Labeled Faces in the Wild: ``pairs.txt`` and images ``lfw/NAME/NAME_0001.jpg``.

The first line gives folds and pairs of each kind; every fold lists its genuine pairs ``name i j`` first,
then as many impostor pairs ``name1 i name2 j``, separated by tabs; copies with blanks are read, too. Files with one fold
(``pairsDevTrain.txt``) give the number of pairs alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from datasets import Dataset

from paco_fr.utils.errors import quoted
from tasks.lists import PairList
from tasks.readers.files import FormatError, is_whole, read_lines, require_folder, require_size, to_records

OBTAIN = "Download LFW into <data root>/lfw: the folder of people, and pairs.txt beside them."
REMEDY = "Restore the original pairs file."
CENTRE_BOX = [124.5 - 125.0 / 2.2] * 2 + [124.5 + 125.0 / 2.2] * 2
"""The face detector's box in every picture of 250 x 250: LFW is cut to 2.2 times that box, so it is the
middle square of 250 / 2.2 pixels. No detector has to be run again, and all encoders see the same crop."""
CUT_ALREADY = "Restore the original pictures; measure faces that were cut out before as --folder recognition=DIR,pairs=pairs.txt."
_NAME = re.compile(r"[^\s/\\]*[^\s/\\.][^\s/\\]*")  # a folder name that cannot climb


class Pair(NamedTuple):
    """Two image ids ``NAME/NAME_0001``, whether they show one person, and the fold from 0."""

    first: str
    second: str
    same: bool
    fold: int


def read_pairs(path: str | Path) -> list[Pair]:
    """Return the pairs of a list in its own order.

    Raises:
        MissingDataError: there is no such file.
        FormatError: header, count, number of columns, name or pair twice; names file and line.

    """
    path = Path(path)
    lines = read_lines(path, obtain=OBTAIN)
    header = lines[0].split() if lines else []
    if len(header) not in (1, 2) or not all(is_whole(field) for field in header):
        raise FormatError(path, 1, "expected the number of folds and of pairs", REMEDY)
    folds, per_kind = (1, int(header[0])) if len(header) == 1 else (int(header[0]), int(header[1]))
    body = [line for line in lines[1:] if line.strip()]
    if len(body) != 2 * folds * per_kind or not body:
        raise FormatError(path, None, f"{len(body)} pairs, the header says {2 * folds * per_kind}", REMEDY)
    pairs: dict[Pair, None] = {}
    for index, line in enumerate(body):
        fold, position = divmod(index, 2 * per_kind)
        fields = line.split()
        pair = pair_of(path, index + 2, fields, same=position < per_kind, fold=fold)
        if pair in pairs:
            raise FormatError(path, index + 2, f"the pair {quoted(line)} stands twice in its fold", REMEDY)
        pairs[pair] = None
    return list(pairs)


def pair_of(path: Path, number: int, fields: Sequence[str], *, same: bool, fold: int) -> Pair:
    """Return the pair that the columns of a line name; ``number`` is that of the line."""
    if len(fields) != (3 if same else 4):
        kind, columns = ("genuine", 3) if same else ("impostor", 4)
        raise FormatError(path, number, f"{len(fields)} columns, {kind} pairs have {columns}", REMEDY)
    names, indices = ((fields[0], fields[0]), fields[1:]) if same else ((fields[0], fields[2]), fields[1::2])
    for name, index in zip(names, indices, strict=True):
        if not _NAME.fullmatch(name) or not (is_whole(index) and int(index) > 0):
            raise FormatError(
                path, number, f"{quoted(name)} with {quoted(index)} is no name with a number", REMEDY
            )
    first, second = (f"{n}/{n}_{int(i):04d}" for n, i in zip(names, indices, strict=True))
    if first == second:
        raise FormatError(path, number, f"{first} is paired with itself", REMEDY)
    return Pair(first, second, same, fold)


def read_pair_list(data_root: str | Path | None, folder: str = "lfw", pairs: str = "pairs.txt") -> PairList:
    """Return the pairs as a list that tasks follow."""
    root = require_folder(Path(data_root or ".") / folder, OBTAIN)
    found = read_pairs(root / pairs)
    return as_list(found, str(root / pairs))


def as_list(pairs: Sequence[Pair], source: str) -> PairList:
    """Return pairs as the columns of a list."""
    first, second = (np.array([pair[side] for pair in pairs]) for side in (0, 1))
    same = np.array([pair.same for pair in pairs])
    return PairList(first, second, same, np.array([pair.fold for pair in pairs], dtype=np.int64), source)


def read_lfw(data_root: str | Path | None, folder: str = "lfw", pairs: str = "pairs.txt") -> Dataset:
    """Return the images that a pair list names, once each, in order of first mention, with the centre box.

    An image that is not on disk stays a record; reading it fails and is counted.
    """
    root = require_folder(Path(data_root or ".") / folder, OBTAIN)
    ids = dict.fromkeys(ident for pair in read_pairs(root / pairs) for ident in (pair.first, pair.second))
    rows = [
        {
            "image": str(root / f"{ident}.jpg"),
            "image_id": ident,
            "group": ident.partition("/")[0],
            "identity": ident.partition("/")[0],
            "box": CENTRE_BOX,
        }
        for ident in ids
    ]
    require_size([str(row["image"]) for row in rows], 250, 250, str(root), CUT_ALREADY)
    return to_records(rows, str(root))
