"""A user's own tables: a CSV of points or of angles, one line a face, pictures named relative to the CSV.

Columns are named in the first line. ``image`` is needed; ``left,top,right,bottom`` (a box in pixels), ``split`` and
``group`` may be there; then ``x0,y0,x1,y1,...`` for points or ``yaw,pitch,roll`` for angles in degrees.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from paco_fr.points import box_of
from paco_fr.rotation import rotation_from_angles
from tasks.readers.files import FormatError, inside, read_lines, read_numbers, to_records
from tasks.readers.folder import PARTS, drawn_part

REMEDY = "Correct the table."
BOX = ("left", "top", "right", "bottom")
ANGLES = ("yaw", "pitch", "roll")

Numbers = Callable[[tuple[str, ...]], list[float]]


def read_points(data_root: Path | None, table: str) -> Dataset:
    """Return the faces of a table with their points and, without a box of their own, the points' tight box."""

    def truth(header: list[str], numbers: Numbers) -> dict[str, Any]:
        count = sum(name.startswith("x") and name[1:].isdigit() for name in header)
        names = tuple(f"{axis}{point}" for point in range(count) for axis in "xy")
        points = np.reshape(numbers(names), (count, 2))
        return {"landmarks": points.tolist(), "scheme": f"own{count}", "box": box_of(points).tolist()}

    return _read(Path(table), truth, ("x0", "y0", "x1", "y1"))


def read_angles(data_root: Path | None, table: str) -> Dataset:
    """Return the faces of a table with angles and rotation."""

    def truth(header: list[str], numbers: Numbers) -> dict[str, Any]:
        yaw, pitch, roll = numbers(ANGLES)
        return {
            "yaw": yaw,
            "pitch": pitch,
            "roll": roll,
            "rotation": rotation_from_angles(yaw, pitch, roll).tolist(),
        }

    return _read(Path(table), truth, ANGLES)


def _read(
    path: Path, truth: Callable[[list[str], Numbers], dict[str, Any]], needed: tuple[str, ...]
) -> Dataset:
    """Return the records of a table; ``truth`` makes the columns of the kind out of named numbers.

    Raises:
        FormatError: a needed column missing or double, another number of columns, no number, an unknown part,
            an image outside the table's folder; names file and line.

    """
    lines = list(csv.reader(read_lines(path)))
    header = [name.strip() for name in lines[0]] if lines else []
    for name in ("image", *needed, *(BOX if "left" in header else ())):
        if header.count(name) != 1:
            raise FormatError(path, 1, f"the column '{name}' stands {header.count(name)} times", REMEDY)
    rows = []
    for line, fields in enumerate(lines[1:], 2):
        if not fields:
            continue
        if len(fields) != len(header):
            raise FormatError(
                path, line, f"{len(fields)} columns, the first line names {len(header)}", REMEDY
            )
        cell = dict(zip(header, fields, strict=True))

        def numbers(names: tuple[str, ...], cell: dict[str, str] = cell, line: int = line) -> list[float]:
            absent = [name for name in names if name not in cell]
            if absent:
                raise FormatError(path, 1, f"the column '{absent[0]}' is missing", REMEDY)
            return read_numbers(path, line, " ".join(cell[name] or "?" for name in names), len(names), REMEDY)

        image = inside(path.parent, cell["image"], path)
        group = cell.get("group") or cell["image"]
        split = cell.get("split") or drawn_part(group)
        if split not in PARTS:
            raise FormatError(path, line, f"split {split!r} is none of {', '.join(PARTS)}", REMEDY)
        row = {"image": str(image), "image_id": f"{cell['image']}#{line}", "group": group, "split": split}
        row |= truth(header, numbers)
        rows.append(row | ({"box": numbers(BOX)} if "left" in header else {}))
    return to_records(rows, str(path))
