"""What all readers share: finding files, reading text and numbers, and saying what is wrong where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset

from paco_fr.faces import records
from paco_fr.utils.errors import MissingDataError, PacoError


class FormatError(PacoError):
    """A file that departs from its official format. The message names file, line and remedy."""

    def __init__(self, path: Path, line: int | None, problem: str, remedy: str) -> None:
        where = f"{path}" if line is None else f"{path}, line {line}"
        super().__init__(f"{where}: {problem}. {remedy}")


def require(path: Path, obtain: str) -> Path:
    """Return ``path`` if it exists, else raise :class:`MissingDataError` saying how to obtain it."""
    if not path.exists():
        raise MissingDataError(f"{path} is missing. {obtain}")
    return path


ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".rar", ".7z", ".gz")
"""Endings of what a download may be before it is unpacked."""


def require_folder(path: Path, obtain: str) -> Path:
    """Return ``path`` if it is a folder; say so where an archive lies in its place or beside it.

    Raises:
        MissingDataError: nothing is there, or only an archive that has still to be unpacked.

    """
    if path.is_dir():
        return path
    beside = [path.with_name(path.name + ending) for ending in ARCHIVES]
    packed = path if path.is_file() else next((file for file in beside if file.is_file()), None)
    if packed is not None:
        raise MissingDataError(f"{packed} is a file; a folder {path} is expected. Unpack the archive there.")
    return require(path, obtain)


def once(seen: dict[str, int], name: str, path: Path, line: int, remedy: str) -> str:
    """Return ``name`` and note its line in ``seen``; a name that stands there already is an error."""
    first = seen.setdefault(name, line)
    if first != line:
        raise FormatError(path, line, f"{name} stands already in line {first}", remedy)
    return name


def part_groups(photos: Sequence[str], parts: Sequence[str]) -> list[str]:
    """Return the group of every face: its photograph, told apart by part where several parts share it.

    Some official splits deal faces, not photographs. They are kept as published; a shared photograph then
    counts as one group in each part, and ``data check`` says how many there are.
    """
    where: dict[str, set[str]] = {}
    for photo, part in zip(photos, parts, strict=True):
        where.setdefault(photo, set()).add(part)
    return [
        photo if len(where[photo]) == 1 else f"{part}:{photo}"
        for photo, part in zip(photos, parts, strict=True)
    ]


def read_lines(path: Path, *, obtain: str = "Restore it.") -> list[str]:
    """Return the lines of a text file without their ends; a byte order mark and blank lines at the end are dropped."""
    require(path, obtain)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(
            path, None, f"cannot be read as text ({error})", "Restore the original file."
        ) from error
    return text.rstrip().splitlines()


def read_numbers(path: Path, line: int, text: str, count: int, remedy: str) -> list[float]:
    """Return the ``count`` finite numbers of a blank-separated line."""
    fields = text.split()
    if len(fields) != count:
        raise FormatError(
            path, line, f"expected {count} numbers, found {len(fields)} fields in {text!r}", remedy
        )
    try:
        numbers = [float(field) for field in fields]
    except ValueError:
        raise FormatError(path, line, f"{text!r} is not made of numbers", remedy) from None
    if not all(abs(number) < 1e9 for number in numbers):  # false for NaN, too
        raise FormatError(path, line, f"{text!r} holds a number that is no coordinate", remedy)
    return numbers


def inside(folder: Path, name: str, source: Path) -> Path:
    """Return ``folder / name`` if that stays in ``folder``, else raise naming ``source``, which said it."""
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise FormatError(
            source, None, f"{name!r} leads out of its folder", f"Move the image below {folder}."
        )
    return path


def to_records(rows: Sequence[Mapping[str, Any]], source: str) -> Dataset:
    """Return face records of rows that share their columns; images are paths, opened only when used."""
    if not rows:
        raise PacoError(f"{source}: no faces. Check the path and the file names.")
    names = list(rows[0])
    columns = {name: [row[name] for row in rows] for name in names}
    return records.check(Dataset.from_dict(columns, features=records.features(names)), source)
