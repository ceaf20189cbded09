"""What all readers share: finding files, reading text and numbers, and saying what is wrong where."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from datasets import Dataset

from paco_fr.faces import records
from paco_fr.faces.contents import sizes_of
from paco_fr.faces.listing import LINKS, as_text
from paco_fr.utils.errors import FormatError as FormatError
from paco_fr.utils.errors import MissingDataError, PacoError, quoted
from paco_fr.utils.progress import tracked
from paco_fr.utils.untrusted import LINE, RESTORE, read_text

One = TypeVar("One")


def require(path: Path, obtain: str) -> Path:
    """Return ``path`` if it exists, else raise :class:`MissingDataError` saying how to obtain it."""
    if not path.exists():
        raise MissingDataError(f"{path} is missing. {obtain}")
    return path


LIST = 1_000_000_000
"""Bytes of a list at most; the largest official one, fer2013.csv, has 0.3 GB."""

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


def reading(files: Sequence[One]) -> Iterator[One]:
    """Yield one label file after the other, under a bar: official sets hold up to hundreds of thousands."""
    return tracked(files, "reading label files", unit="file")


def read_lines(path: Path, *, obtain: str = "Restore it.") -> list[str]:
    """Return the lines of a text file without their ends; a byte order mark and blank lines at the end are dropped."""
    text = read_text(require(path, obtain), LIST)
    lines = text.rstrip().splitlines()
    if lines and max(map(len, lines)) > LINE:
        raise FormatError(path, None, f"has a line of over {LINE} characters", RESTORE)
    return lines


def read_numbers(path: Path, line: int, text: str, count: int, remedy: str) -> list[float]:
    """Return the ``count`` finite numbers of a blank-separated line."""
    fields = text.split()
    if len(fields) != count:
        raise FormatError(
            path, line, f"expected {count} numbers, found {len(fields)} fields in {quoted(text)}", remedy
        )
    try:
        numbers = [float(field) for field in fields]
    except ValueError:
        raise FormatError(path, line, f"{quoted(text)} is not made of numbers", remedy) from None
    if not all(abs(number) < 1e9 for number in numbers):  # false for NaN, too
        raise FormatError(path, line, f"{quoted(text)} holds a number that is no coordinate", remedy)
    return numbers


def is_whole(text: str) -> bool:
    """Tell whether a text is a whole number from 0 that 64 bits hold: plain digits, at most 18 of them."""
    return text.isascii() and text.isdigit() and len(text) <= 18


def inside(folder: Path, name: str, source: Path) -> Path:
    """Return ``folder / name`` if that stays in ``folder``, else raise naming ``source``, which said it."""
    path = folder / name
    try:
        if os.environ.get(LINKS) == "follow":  # links may lead anywhere, names may not
            there = Path(os.path.normpath(path)).is_relative_to(os.path.normpath(folder))
        else:
            there = path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError) as error:  # links in a circle, a name too long or with a NUL
        raise FormatError(
            source, None, f"{quoted(name)} cannot be followed ({error})", "Mend the name."
        ) from error
    if not there:
        raise FormatError(
            source, None, f"{quoted(name)} leads out of its folder", f"Move the image below {folder}."
        )
    return path


def require_size(images: Sequence[str], width: int, height: int, source: str, remedy: str) -> None:
    """Refuse a picture of another size than the one that the boxes of a set are made for; an unreadable one passes.

    Raises:
        FormatError: names the first such picture.

    """
    for image, size in zip(images, sizes_of(images), strict=True):
        if size not in (None, (height, width)):
            told = f"{image} is {size[1]} x {size[0]} pixels, the set's are {width} x {height}"
            raise FormatError(source, None, told, remedy)


FURTHEST = 1e6
"""Coordinates are less than this, in pixels."""


def _check_faces(rows: Sequence[Mapping[str, Any]], source: str) -> None:
    """Refuse the first face whose box or points cannot be those of a face, by its name.

    Points that were not annotated are NaN in both coordinates; of those that were, two have to differ.
    """
    bad: dict[int, str] = {}
    boxed = [at for at, row in enumerate(rows) if row.get("box") is not None]
    if boxed:
        x0, y0, x1, y1 = np.array([rows[at]["box"] for at in boxed], dtype=np.float64).T
        good = (x1 > x0) & (y1 > y0) & (np.abs([x0, y0, x1, y1]).max(axis=0) < FURTHEST)
        for at in np.flatnonzero(~good).tolist():
            bad[boxed[at]] = f"the box {quoted(list(rows[boxed[at]]['box']))} has no extent or lies nowhere"
    by_count: dict[int, list[int]] = {}
    for at, row in enumerate(rows):
        if row.get("landmarks") is not None and len(row["landmarks"]):
            by_count.setdefault(len(row["landmarks"]), []).append(at)
    for places in by_count.values():
        points = np.array([rows[at]["landmarks"] for at in places], dtype=np.float64)
        known = np.asarray(~np.isnan(points).all(axis=-1))  # faces x points
        near = np.where(known, (np.abs(points) < FURTHEST).all(axis=-1), True).all(axis=-1)
        with np.errstate(invalid="ignore"):
            low, high = (np.where(known[..., None], points, end).T for end in (np.inf, -np.inf))
            spread = (high.max(axis=1) > low.min(axis=1)).any(axis=0)
        for at in np.flatnonzero(~near).tolist():
            bad.setdefault(places[at], "a point lies nowhere")
        for at in np.flatnonzero(~spread & (known.sum(axis=-1) > 1)).tolist():
            bad.setdefault(places[at], "all points coincide")
    if bad:
        first = min(bad)
        others = f" ({len(bad)} such faces in all)" if len(bad) > 1 else ""
        raise FormatError(
            source,
            None,
            f"face {quoted(rows[first].get('image_id'))}: {bad[first]}{others}",
            "Correct or remove its label.",
        )


def _stored(cell: Any) -> Any:
    if isinstance(cell, str):
        return cell if cell.isascii() else as_text(cell)
    return {name: _stored(value) for name, value in cell.items()} if isinstance(cell, dict) else cell


def to_records(rows: Sequence[Mapping[str, Any]], source: str) -> Dataset:
    """Return face records of rows that share their columns; images are paths, opened only when used.

    Names and paths that are no UTF-8 are stored as :func:`paco_fr.faces.listing.as_text` writes them.
    """
    source = as_text(source)
    if not rows:
        raise PacoError(f"{source}: no faces. Check the path and the file names.")
    _check_faces(rows, source)
    names = list(rows[0])
    columns = {name: [_stored(row[name]) for row in rows] for name in names}
    return records.check(Dataset.from_dict(columns, features=records.features(names)), source)
