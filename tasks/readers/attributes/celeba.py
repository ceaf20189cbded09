"""CelebA (Liu et al. 2015): 40 attributes of 202,599 aligned pictures of 178 x 218.

``CelebA/Anno/list_attr_celeba.txt`` (a count, the names, then ``000001.jpg`` and 40 times 1 or -1 a line),
``CelebA/Eval/list_eval_partition.txt`` (``000001.jpg 0``; 0, 1, 2 are train, validation, test),
``CelebA/Anno/list_landmarks_align_celeba.txt`` (a count, ten names, then five points a line), pictures in
``CelebA/Img/img_align_celeba``. ``Anno/identity_CelebA.txt``, where it is there, gives the people, which the
official parts keep apart. The layout is known from public loaders only: unproven.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from paco_fr.utils.errors import quoted
from tasks.readers.dataset_info import CELEBA
from tasks.readers.files import FormatError, inside, is_whole, once, read_lines, require_folder, to_records

FOLDER = "CelebA"
REMEDY = "Restore the original list of CelebA."
SPLITS = {"0": "train", "1": "validation", "2": "test"}
ATTRIBUTES = 40


def read_celeba(data_root: str | Path, folder: str = FOLDER) -> Dataset:
    """Return all pictures with ``attributes`` (40 of 0 or 1), five points, official split and, if known, identity.

    Raises:
        MissingDataError: a list or the folder of pictures is not there.
        FormatError: count, columns, a value that is not 1 or -1, a name twice or in one list only; names file
            and line.

    """
    root = require_folder(Path(data_root) / folder, CELEBA["obtain"])
    images = require_folder(root / "Img/img_align_celeba", CELEBA["obtain"])
    attributes = _table(root / "Anno/list_attr_celeba.txt", header=True, columns=ATTRIBUTES)
    parts = _table(root / "Eval/list_eval_partition.txt", header=False, columns=1)
    points = _table(root / "Anno/list_landmarks_align_celeba.txt", header=True, columns=10)
    people = root / "Anno/identity_CelebA.txt"
    identities = _table(people, header=False, columns=1) if people.exists() else {}
    rows: list[dict[str, Any]] = []
    source = root / "Anno/list_attr_celeba.txt"
    for name, (line, values) in attributes.items():
        if set(values) - {"1", "-1"}:
            raise FormatError(source, line, f"attributes of {name} are not all 1 or -1", REMEDY)
        for path, table in (
            ("Eval/list_eval_partition.txt", parts),
            ("Anno/list_landmarks_align_celeba.txt", points),
        ):
            if name not in table:
                raise FormatError(
                    root / path, None, f"{name} of list_attr_celeba.txt is not in this list", REMEDY
                )
        at, (code,) = parts[name]
        if code not in SPLITS:
            raise FormatError(
                root / "Eval/list_eval_partition.txt", at, f"part {quoted(code)} is not 0, 1 or 2", REMEDY
            )
        five = np.reshape([float(value) for value in points[name][1]], (5, 2))
        group = f"person {identities[name][1][0]}" if name in identities else name
        rows.append({"image": str(inside(images, name, source)), "image_id": name, "group": group, "identity": group,
                     "landmarks": five.tolist(), "scheme": "five", "attributes": [int(v == "1") for v in values],
                     "split": SPLITS[code]})  # fmt: skip
    return to_records(rows, str(root))


def _table(path: Path, *, header: bool, columns: int) -> dict[str, tuple[int, list[str]]]:
    """Return name -> (line, fields) of a list; with a header, of a count and a line of names."""
    lines = read_lines(path, obtain=CELEBA["obtain"])
    first = 2 if header else 0
    body = [(n, line.split()) for n, line in enumerate(lines[first:], first + 1) if line.strip()]
    if header and (len(lines) < 2 or lines[0].strip() != str(len(body)) or len(lines[1].split()) != columns):
        raise FormatError(path, 1, f"expected the count {len(body)} and {columns} names", REMEDY)
    table: dict[str, tuple[int, list[str]]] = {}
    seen: dict[str, int] = {}
    for line, fields in body:
        if len(fields) != columns + 1:
            raise FormatError(path, line, f"{len(fields)} columns, expected {columns + 1}", REMEDY)
        if not all(is_whole(field.removeprefix("-")) for field in fields[1:]):
            raise FormatError(path, line, "values that are no whole numbers", REMEDY)
        table[once(seen, fields[0], path, line, REMEDY)] = (line, fields[1:])
    return table
