"""AFLW with the 19 revised points of Zhu et al. 2016: ``AFLW19/AFLWinfo_release.mat`` and ``AFLW19/data/flickr``.

The Matlab file holds, for each of 24,386 faces, ``nameList`` (a path such as 3/image00035.jpg), ``bbox`` (left,
right, top, bottom: in this order), ``data`` (19 x, then 19 y), ``mask_new`` (1 where a point is visible), and
``ra``, the order from 1 whose first 20,000 are train and whose rest is test. All 19 points count, visible or
not; the frontal subset are the test faces with all of them visible. Faces, not photographs, were dealt to the
parts. Coordinates are taken as they are. The layout is known from public loaders only: unproven.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from datasets import Dataset

from paco_fr.utils.types import Array
from tasks.readers.files import FormatError, inside, part_groups, require, require_folder, to_records
from tasks.readers.landmarks.boxes import with_boxes
from tasks.readers.matlab import read_matlab

FOLDER = "AFLW19"
OBTAIN = (
    "Download AFLWinfo_release.mat (mmlab.ie.cuhk.edu.hk/projects/compositional.html) into <data root>/AFLW19 and "
    "AFLW's images into <data root>/AFLW19/data/flickr/{0,2,3}."
)
REMEDY = "Restore the original AFLWinfo_release.mat."
TRAIN = 20_000
FIELDS = {"bbox": 4, "data": 38, "mask_new": 19}
"""Columns of the matrices with a row per face."""


def read_aflw19(
    data_root: str | Path, folder: str = FOLDER, train: int = TRAIN, box: str = "supplied"
) -> Dataset:
    """Return all faces in the order of ``ra``, cut by a box of that name; fewer than ``train`` are cut at five sixths.

    Raises:
        MissingDataError: the Matlab file or the folder of images is not there.
        FormatError: not Matlab 5, a field missing or of another shape, ``ra`` no order of the faces, a box
            without extent, or a path that leaves the images' folder.

    """
    root = require_folder(Path(data_root) / folder, OBTAIN)
    images = require_folder(root / "data/flickr", OBTAIN)
    path = require(root / "AFLWinfo_release.mat", OBTAIN)
    names, table, order = _content(path)
    cut = train if len(order) > train else len(order) * 5 // 6
    rows: list[dict[str, Any]] = []
    for place, face in enumerate(order.tolist()):
        left, right, top, bottom = table["bbox"][face].tolist()
        if not (right > left and bottom > top):
            raise FormatError(path, None, f"face {face + 1}: the box has no extent", REMEDY)
        visible = table["mask_new"][face] == 1
        test, image = place >= cut, str(inside(images, names[face], path))
        points = table["data"][face].reshape(2, 19).T
        rows.append(
            {
                "image": image,
                "image_id": f"{names[face]}#{face + 1}",
                "group": names[face],
                "box": [left, top, right, bottom],
                "landmarks": points.tolist(),
                "visible": visible.tolist(),
                "scheme": "aflw19",
                "subsets": ["frontal"] if test and visible.all() else [],
                "split": "test" if test else "train",
            }
        )
    groups = part_groups([row["group"] for row in rows], [row["split"] for row in rows])
    grouped = [row | {"group": group} for row, group in zip(rows, groups, strict=True)]
    return to_records(with_boxes(box, grouped), str(root))


def _content(path: Path) -> tuple[list[str], dict[str, Array], npt.NDArray[np.int64]]:
    content = read_matlab(path, ["nameList", "ra", *FIELDS], "AFLW's Matlab 5 file", REMEDY)
    names, places = content.get("nameList"), content.get("ra")
    if not isinstance(names, list) or not all(isinstance(name, str) and "\0" not in name for name in names):
        raise FormatError(path, None, "is not AFLW's Matlab 5 file (nameList is no cell of texts)", REMEDY)
    if not isinstance(places, np.ndarray) or not np.array_equal(
        np.sort(places, axis=None), np.arange(1, len(names) + 1)
    ):
        raise FormatError(path, None, f"ra is no order of the {len(names)} names", REMEDY)
    table: dict[str, Array] = {}
    for name, columns in FIELDS.items():
        found = content.get(name)
        if not isinstance(found, np.ndarray) or found.shape != (len(names), columns):
            said = found.shape if isinstance(found, np.ndarray) else "missing"
            raise FormatError(path, None, f"{name} is {said}, expected {len(names)} x {columns}", REMEDY)
        table[name] = found.astype(np.float64)
        if not np.isfinite(table[name]).all():
            raise FormatError(path, None, f"{name} holds what is not a number", REMEDY)
    return names, table, places.ravel().astype(np.int64) - 1
