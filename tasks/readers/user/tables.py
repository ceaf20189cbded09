"""A user's own tables: a CSV of points, angles, attributes or masks, a line a face, pictures named relative to it.

Columns are named in the first line, in any case. ``image`` is needed; ``left,top,right,bottom`` (a box in pixels),
``split`` and ``group`` may be there; then ``x0,y0,x1,y1,...`` for points, ``yaw,pitch,roll`` for angles in degrees,
``mask`` for pictures of class numbers, or columns of 0 and 1 named by their attributes, as these are written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from paco_fr.faces.landmarks import box_of
from paco_fr.faces.rotation import rotation_from_angles
from paco_fr.utils.errors import advise, quoted
from paco_fr.utils.untrusted import read_csv
from tasks.readers.files import FormatError, inside, read_lines, read_numbers, to_records
from tasks.readers.user.advice import about_parts
from tasks.readers.user.folder import PARTS, drawn_part, part_of

REMEDY = "Correct the table."
BOX = ("left", "top", "right", "bottom")
ANGLES = ("yaw", "pitch", "roll")
NAMES = ("image", "split", "group")
COMMON = (*NAMES, *BOX)
"""Columns that every table may have."""
POINT, NONE = r"[xy]\d+", r"(?!)"
"""Patterns of the names of points' columns, and of no column."""

Numbers = Callable[[tuple[str, ...]], list[float]]
Truth = Callable[[dict[str, str], Numbers, int], dict[str, Any]]
"""Makes the columns of a kind out of the cells of a line, its named numbers and its number."""


def read_points(data_root: Path | None, table: str) -> Dataset:
    """Return the faces of a table with their points and, without a box of their own, the points' tight box."""

    def truth(cell: dict[str, str], numbers: Numbers, line: int) -> dict[str, Any]:
        count = sum(name.startswith("x") and re.fullmatch(POINT, name) is not None for name in cell)
        names = tuple(f"{axis}{point}" for point in range(count) for axis in "xy")
        points = np.reshape(numbers(names), (count, 2))
        return {"landmarks": points.tolist(), "scheme": f"own{count}", "box": box_of(points).tolist()}

    return _read(Path(table), truth, ("x0", "y0", "x1", "y1"), POINT)


def read_angles(data_root: Path | None, table: str) -> Dataset:
    """Return the faces of a table with angles and rotation."""

    def truth(cell: dict[str, str], numbers: Numbers, line: int) -> dict[str, Any]:
        yaw, pitch, roll = numbers(ANGLES)
        return {
            "yaw": yaw,
            "pitch": pitch,
            "roll": roll,
            "rotation": rotation_from_angles(yaw, pitch, roll).tolist(),
        }

    return _read(Path(table), truth, ANGLES)


def read_attributes(data_root: Path | None, table: str, names: Sequence[str]) -> Dataset:
    """Return the faces of a table with the 0 or 1 of every named attribute."""
    path = Path(table)

    def truth(cell: dict[str, str], numbers: Numbers, line: int) -> dict[str, Any]:
        found = numbers(tuple(names))
        for name, value in zip(names, found, strict=True):
            if value not in (0.0, 1.0):
                raise FormatError(path, line, f"{name} is {value:g}, expected 0 or 1", REMEDY)
        return {"attributes": [int(value) for value in found]}

    return _read(path, truth, tuple(names), free=True)


def read_masks(data_root: Path | None, table: str) -> Dataset:
    """Return the faces of a table with their masks, pictures of class numbers."""
    path = Path(table)

    def truth(cell: dict[str, str], numbers: Numbers, line: int) -> dict[str, Any]:
        return {"mask": str(inside(path.parent, cell["mask"], path))}

    return _read(path, truth, ("mask",))


def attribute_names(table: Path) -> tuple[str, ...]:
    """Return the columns of a table that are attributes: all but those with a meaning of their own."""
    names = columns_of(table)
    return tuple(name for name in names if name not in (COMMON if has_box(names) else NAMES))


def has_box(names: Sequence[str]) -> bool:
    """Say whether a table with these columns gives a box for every face."""
    return set(BOX) <= set(names)


def columns_of(table: Path) -> list[str]:
    """Return the names in the first line of a table whose other columns may have any name, see :func:`_columns`."""
    return _columns(next(iter(read_csv(read_lines(table), table, REMEDY)), []), table, free=True)


def _columns(
    first: Sequence[str], table: Path, needed: Sequence[str] = (), pattern: str = NONE, *, free: bool = False
) -> list[str]:
    """Return the names of columns; those with a meaning here in small letters.

    Args:
        first: the cells of the first line.
        table: the file, for messages.
        needed: columns that must be there.
        pattern: of the names of others that have a meaning.
        free: whether others may have any name: fewer than four sides of a box are then no box, but such names.

    Raises:
        FormatError: a needed column is missing, a name stands twice, a box lacks a side.

    """
    sides = set(BOX) & {name.strip().lower() for name in first}
    own = NAMES if free and len(sides) < len(BOX) else COMMON
    known = re.compile("|".join([*own, *map(re.escape, needed), pattern]))
    names = [low if known.fullmatch(low := name.strip().lower()) else name.strip() for name in first]
    box = BOX if sides and own == COMMON else ()
    for name in dict.fromkeys(["image", *needed, *box, *names]):
        if names.count(name) != 1:
            raise FormatError(table, 1, f"the column '{name}' stands {names.count(name)} times", REMEDY)
    return names


def _read(
    path: Path, truth: Truth, needed: tuple[str, ...], pattern: str = NONE, *, free: bool = False
) -> Dataset:
    """Return the records of a table; ``truth`` makes the columns of the kind.

    Raises:
        FormatError: a needed column missing or double, another number of columns, no number, an unknown part,
            an image outside the table's folder; names file and line.

    """
    lines = list(read_csv(read_lines(path), path, REMEDY))
    header = _columns(lines[0] if lines else [], path, needed, pattern, free=free)
    boxed = has_box(header)
    unread = [name for name in header if name not in (*COMMON, *needed) and not re.fullmatch(pattern, name)]
    if unread:
        advise(
            f"{path}: nobody reads its column {quoted(unread[0])} ({len(unread)} such). Was another name meant?"
        )
    rows = []
    for line, fields in enumerate(lines[1:], 2):
        if not fields:
            continue
        if len(fields) != len(header):
            raise FormatError(
                path, line, f"{len(fields)} columns, the first line names {len(header)}", REMEDY
            )
        cell = dict(zip(header, map(str.strip, fields), strict=True))

        def numbers(names: tuple[str, ...], cell: dict[str, str] = cell, line: int = line) -> list[float]:
            absent = [name for name in names if name not in cell]
            if absent:
                raise FormatError(path, 1, f"the column '{absent[0]}' is missing", REMEDY)
            return read_numbers(path, line, " ".join(cell[name] or "?" for name in names), len(names), REMEDY)

        image = inside(path.parent, cell["image"], path)
        group = cell.get("group") or cell["image"]
        named = cell.get("split") or ""
        split = part_of(named) if named else drawn_part(group)
        if split is None:
            raise FormatError(path, line, f"split {quoted(named)} is none of {', '.join(PARTS)}", REMEDY)
        row = {"image": str(image), "image_id": f"{cell['image']}#{line}", "group": group, "split": split}
        row |= truth(cell, numbers, line)
        rows.append(row | ({"box": numbers(BOX)} if boxed else {}))
    about_parts(rows, str(path))
    return to_records(rows, str(path))
