"""WFLW (Wu et al. 2018): 98 points and six flags of 10,000 faces, one face a line.

``WFLW/WFLW_annotations/list_98pt_rect_attr_train_test/list_98pt_rect_attr_{train,test}.txt``: 196 coordinates,
the detector's box, six flags 0 or 1, and a path below ``WFLW/WFLW_images``. A photograph may hold several
faces, so an id is ``path#line``. Coordinates are taken as they are. The layout is known from public loaders
only: unproven.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from tasks.readers.files import (
    FormatError,
    inside,
    part_groups,
    read_lines,
    read_numbers,
    require_folder,
    to_records,
)
from tasks.readers.landmarks.boxes import with_boxes

FOLDER = "WFLW"
OBTAIN = (
    "Download images and annotations of WFLW (wywu.github.io/projects/LAB/WFLW.html) into <data root>/WFLW: "
    "WFLW_images and WFLW_annotations."
)
REMEDY = "Restore the original list."
LIST = "WFLW_annotations/list_98pt_rect_attr_train_test/list_98pt_rect_attr_{}.txt"
FLAGS = ("pose", "expression", "illumination", "makeup", "occlusion", "blur")
"""The flags in the order of their columns; each is the name of a subset."""


def read_wflw(data_root: str | Path, folder: str = FOLDER, box: str = "supplied") -> Dataset:
    """Return all faces with 98 points, the supplied box or another of its name, and the set flags as ``subsets``."""
    root = require_folder(Path(data_root) / folder, OBTAIN)
    require_folder(root / "WFLW_images", OBTAIN)
    rows = [row for split in ("train", "test") for row in read_list(root, split)]
    groups = part_groups([row["group"] for row in rows], [row["split"] for row in rows])
    if box != "supplied":
        rows = with_boxes(box, rows)
    return to_records([row | {"group": group} for row, group in zip(rows, groups, strict=True)], str(root))


def read_list(root: Path, split: str) -> list[dict[str, Any]]:
    """Return the record fields of one list.

    Raises:
        MissingDataError: there is no such list.
        FormatError: not 207 fields, no number, a flag that is neither 0 nor 1, a box without extent, a path
            that leaves the images' folder; names file and line.

    """
    path, rows = root / LIST.format(split), []
    for number, line in enumerate(read_lines(path, obtain=OBTAIN), 1):
        fields = line.split(maxsplit=206)
        if len(fields) != 207:
            raise FormatError(path, number, f"{len(fields)} columns, expected 207", REMEDY)
        values = read_numbers(path, number, " ".join(fields[:200]), 200, REMEDY)
        x0, y0, x1, y1 = values[196:]
        if not (x1 > x0 and y1 > y0):
            raise FormatError(path, number, f"the box {x0:g} {y0:g} {x1:g} {y1:g} has no extent", REMEDY)
        if set(fields[200:206]) - {"0", "1"}:
            raise FormatError(path, number, f"flags {fields[200:206]} are not all 0 or 1", REMEDY)
        image = inside(root / "WFLW_images", fields[206].strip(), path)
        rows.append(
            {
                "image": str(image),
                "image_id": f"{split}/{fields[206].strip()}#{number}",
                "group": fields[206].strip(),
                "box": [x0, y0, x1, y1],
                "landmarks": np.reshape(values[:196], (98, 2)).tolist(),
                "scheme": "wflw98",
                "subsets": [name for name, flag in zip(FLAGS, fields[200:206], strict=True) if flag == "1"],
                "split": split,
            }
        )
    return rows
