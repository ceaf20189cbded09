"""A user's own people: a folder of identities, or a list of pairs beside pictures.

The list is one of three (:func:`listed_pairs`):

- a CSV file with the header ``first,second,same`` and perhaps ``fold``: two pictures by their paths inside the
  folder, 1 if they show one person and 0 if not, and a fold number from 0;
- a ``pairs.txt`` as LFW has it, see :mod:`tasks.readers.recognition.lfw`: pictures are ``NAME/NAME_0001`` with any suffix;
- a ``.bin`` file that holds the pictures itself, see :mod:`tasks.readers.recognition.bins`.

A folder that `data align` wrote is one of people, too, if its photographs lay in folders of people.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from datasets import Dataset

from paco_fr.data.sources import find_images, load_source, parquet_files
from paco_fr.faces.listing import as_text
from paco_fr.utils.errors import PacoError, advise, quoted
from paco_fr.utils.untrusted import read_csv
from tasks.lists import PairList, linked
from tasks.readers.files import FormatError, inside, is_whole, read_lines, require_folder, to_records
from tasks.readers.recognition import bins, lfw
from tasks.readers.user import folder as folders
from tasks.readers.user.advice import about_people

ALIGNED = "report.parquet"
"""What a folder that `data align` wrote holds beside the faces."""
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
    if (root / ALIGNED).is_file() or parquet_files(root):
        return _stored_people(root)
    parts = folders.part_folders(root)
    if "" not in parts:
        names = ", ".join(path.name for path in parts.values())
        raise PacoError(
            f"{root}: {names} are parts, not people. Name one of them: recognition={next(reversed(parts.values()))}."
        )
    rows = folders.people_rows(root)
    about_people(rows, str(root))
    return to_records(rows, str(root))


def _stored_people(root: Path) -> Dataset:
    """Return the faces of a folder that `data align` wrote, or of parquet files, by their people."""
    records = load_source(str(root / "faces" if (root / ALIGNED).is_file() else root))
    people = records["identity"][:] if "identity" in records.column_names else [None]
    if None in people:
        raise PacoError(
            f"{root}: its faces do not say who they are. Align a folder of folders, one for each person, again."
        )
    return records


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
        if not is_whole(fold):
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


def listed_pairs(path: Path, folder: Path) -> list[OwnPair]:
    """Return the pairs of a list of pictures in ``folder``, a CSV file or a ``pairs.txt`` of LFW's kind."""
    first = next(iter(read_lines(path, obtain="Write the list, or name another with pairs=FILE.")), "")
    if not all(is_whole(word) for word in first.split()) or not first.strip():
        return read_own_pairs(path, folder)
    files = {
        as_text(found.relative_to(folder).with_suffix("")): found.suffix for found in find_images(folder)
    }
    named = {}
    for pair in lfw.read_pairs(path):
        for ident in pair[:2]:
            named[ident] = ident + files.get(
                ident, ".jpg"
            )  # one that is not there is a failure when it is read
    return [
        OwnPair(named[pair.first], named[pair.second], pair.same, pair.fold) for pair in lfw.read_pairs(path)
    ]


def read_paired(data_root: str | Path | None, folder: str, pairs: str) -> Dataset:
    """Return the pictures that a list names, once each, with a person as the group.

    That is a picture's sub-folder; but where a genuine pair joins two folders, these are cameras or conditions, and a
    person is all that genuine pairs tie together, as where there are no folders.

    Args:
        data_root: what ``folder`` is relative to.
        folder: of the pictures.
        pairs: the list, relative to the folder.

    """
    if pairs.lower().endswith(".bin"):
        path = Path(data_root or ".") / folder / pairs
        return bins.as_records(*bins.read_bin(path), path)
    root = require_folder(Path(data_root or ".") / folder, OBTAIN)
    listed = listed_pairs(root / pairs, root)
    names = dict.fromkeys(name for pair in listed for name in pair[:2])
    people = {name: str(PurePosixPath(name).parent) if "/" in name else name for name in names}
    genuine = [(pair.first, pair.second) for pair in listed if pair.same]
    joined = [first for first, second in genuine if people[first] != people[second]]
    if joined:
        place = {name: at for at, name in enumerate(names)}
        first, second = np.array([[place[name] for name in pair] for pair in genuine]).T
        tied = linked(first, second, len(names))
        people = dict(zip(names, np.array(list(names))[tied].tolist(), strict=True))
    if any("/" in first for first in joined):
        advise(
            f"{root / pairs}: {len(joined)} genuine pairs join pictures of two folders, so folders are not taken for "
            f"people; genuine pairs tie the pictures together to {len(set(people.values()))}. "
            "Make one folder for each person if that is wrong."
        )
    rows = [{"image": str(root / name), "image_id": name, "group": people[name]} for name in names]
    return to_records(rows, str(root))


def read_pair_list(data_root: str | Path | None, folder: str, pairs: str) -> PairList:
    """Return the list itself, see :func:`read_paired`."""
    if pairs.lower().endswith(".bin"):
        path = Path(data_root or ".") / folder / pairs
        return bins.as_pairs(bins.read_bin(path)[1], path)
    root = require_folder(Path(data_root or ".") / folder, OBTAIN)
    found = listed_pairs(root / pairs, root)
    first, second = (np.array([pair[side] for pair in found]) for side in (0, 1))
    same, fold = (
        np.array([pair.same for pair in found]),
        np.array([pair.fold for pair in found], dtype=np.int64),
    )
    return PairList(first, second, same, fold, str(root / pairs))
