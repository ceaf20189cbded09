"""300W (Sagonas et al. 2013): 68 points of faces of AFW, Helen, LFPW and iBUG, one ``.pts`` beside each picture.

Parts as the field uses them: train is ``afw``, ``helen/trainset`` and ``lfpw/trainset``; test is the common
subset (``helen/testset`` and ``lfpw/testset``) and the challenging one (``ibug``). The box is that of the points (see
:mod:`tasks.readers.landmarks.boxes`): a crop from the truth, as in nearly all published numbers. Some copies hold
mirrored pictures (``*_mirror.jpg``); they are passed over.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from datasets import Dataset

from paco_fr.faces.landmarks import box_of
from paco_fr.faces.listing import files_in, suffixes
from paco_fr.utils.errors import PacoError
from tasks.readers.dataset_info import PTS_300W
from tasks.readers.files import reading, require_folder, to_records
from tasks.readers.landmarks.boxes import with_boxes
from tasks.readers.landmarks.pts import read_pts

FOLDER = "300W"
PARTS: dict[str, tuple[str, list[str]]] = {
    "afw": ("train", []),
    "helen/trainset": ("train", []),
    "lfpw/trainset": ("train", []),
    "helen/testset": ("test", ["common"]),
    "lfpw/testset": ("test", ["common"]),
    "ibug": ("test", ["challenge"]),
}
"""Folder -> split and subsets."""


def read_300w(data_root: str | Path, folder: str = FOLDER, box: str = "points") -> Dataset:
    """Return all faces with 68 points, split, and the subset "common" or "challenge", cut by a box of that name."""
    obtain = PTS_300W["obtain"]
    root = require_folder(Path(data_root) / folder, obtain)
    rows: list[dict[str, Any]] = []
    for part, (split, subsets) in PARTS.items():
        found = [
            path
            for path in files_in(require_folder(root / part, obtain), ".pts")
            if "_mirror" not in path.stem
        ]
        if not found:
            raise PacoError(f"{root / part}: no .pts files. {obtain}")
        images = {path.stem: path for path in reversed(files_in(root / part, *suffixes()))}
        for path in reading(found):
            points = read_pts(path)
            image = str(images.get(path.stem, path.with_suffix(".jpg")))
            ident = f"{part}/{path.stem}"
            rows.append({"image": image, "image_id": ident, "group": ident, "box": box_of(points), "landmarks": points.tolist(),
                         "scheme": "ibug68", "subsets": subsets, "split": split})  # fmt: skip
    return to_records(with_boxes(box, rows), str(root))
