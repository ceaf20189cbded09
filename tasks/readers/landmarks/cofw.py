"""COFW (Burgos-Artizzu et al. 2013), colour release: ``COFW/COFW_{train,test}_color.mat``, Matlab 7.3 (HDF5).

``IsTr`` / ``IsT`` are cells of pictures, ``bboxesTr`` / ``bboxesT`` boxes (left, top, width, height),
``phisTr`` / ``phisT`` 87 numbers a face: 29 x, 29 y, 29 flags of which 1 means hidden. HDF5 stores all of them
with the axes reversed. Of the 1,345 training pictures the first 845 are from LFPW and hardly occluded.
Coordinates are taken as they are. The layout is known from public loaders only: unproven.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from tasks.readers.files import FormatError, require, require_folder, to_records
from tasks.readers.landmarks.boxes import with_boxes
from tasks.readers.matlab73 import read_pictures

FOLDER = "COFW"
OBTAIN = "Download COFW_train_color.mat and COFW_test_color.mat (data.caltech.edu/records/20099) into <data root>/COFW."
REMEDY = "Download the original COFW colour files again."
PARTS = {"train": ("COFW_train_color.mat", "Tr"), "test": ("COFW_test_color.mat", "T")}
"""Split -> file and the ending of its variables."""


def read_cofw(data_root: str | Path, folder: str = FOLDER, box: str = "supplied") -> Dataset:
    """Return all faces with 29 points, which of them are visible, and the supplied box or another of its name.

    Pictures are taken out of the Matlab file and held as PNG.

    Raises:
        MissingDataError: a file is not there.
        FormatError: not HDF5, or a variable missing or of another shape.

    """
    root = require_folder(Path(data_root) / folder, OBTAIN)
    rows = [row for split in PARTS for row in _rows(root, split)]
    if box != "supplied":
        rows = with_boxes(box, rows)
    return to_records(rows, str(root))


def _rows(root: Path, split: str) -> list[dict[str, Any]]:
    name, ending = PARTS[split]
    path = require(root / name, OBTAIN)
    pictures, (phis, boxes) = read_pictures(path, f"Is{ending}", (f"phis{ending}", f"bboxes{ending}"), REMEDY)
    for what, table, columns in (("phis", phis, 87), ("bboxes", boxes, 4)):
        if table.shape != (columns, len(pictures)) or not np.isfinite(table).all():
            raise FormatError(
                path, None, f"{what}{ending} is not {columns} finite numbers for each picture", REMEDY
            )
    rows = []
    for index, (picture, phi, (x, y, w, h)) in enumerate(
        zip(pictures, phis.T, boxes.T.tolist(), strict=True)
    ):
        ident = f"{split}/{index + 1:04d}"
        if not (w > 0 and h > 0):
            raise FormatError(path, None, f"face {index + 1}: the box has no extent", REMEDY)
        rows.append(
            {
                "image": {"bytes": picture, "path": None},
                "image_id": ident,
                "group": ident,
                "box": [x, y, x + w, y + h],
                "landmarks": phi[:58].reshape(2, 29).T.tolist(),
                "visible": (phi[58:] == 0).tolist(),
                "scheme": "cofw29",
                "split": split,
            }
        )
    return rows
