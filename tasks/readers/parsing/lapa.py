"""LaPa (Liu et al. 2020): ``LaPa/{train,val,test}/{images,labels,landmarks}``, eleven classes a pixel.

``images/NAME.jpg``, ``labels/NAME.png`` (class numbers, of the picture's size), ``landmarks/NAME.txt`` (106, then
``x y`` a line). Left and right are those of the class list, taken as published. The box is the tight box of the
points: a crop from the truth. The layout is known from public loaders only: unproven.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from datasets import Dataset

from paco_fr.faces.landmarks import box_of
from paco_fr.faces.listing import files_in
from paco_fr.utils.errors import PacoError
from tasks.readers.dataset_info import LAPA, LAPA_CLASSES
from tasks.readers.files import FormatError, read_lines, read_numbers, reading, require_folder, to_records

FOLDER = "LaPa"
OBTAIN: str = LAPA["obtain"]
REMEDY = "Restore the original landmark file."
PARTS = {"train": "train", "val": "validation", "test": "test"}
CLASSES = LAPA_CLASSES


def read_lapa(data_root: str | Path, folder: str = FOLDER) -> Dataset:
    """Return all pictures with mask, box, 106 points and official split.

    Raises:
        MissingDataError: a folder or a landmark file is not there.
        FormatError: a landmark file without exactly 106 points; names file and line.

    """
    root, rows = require_folder(Path(data_root) / folder, OBTAIN), list[dict[str, Any]]()
    for part, split in PARTS.items():
        for name in ("labels", "landmarks"):
            require_folder(root / part / name, OBTAIN)
        found = files_in(require_folder(root / part / "images", OBTAIN))
        if not found:
            raise PacoError(f"{root / part}/images: no pictures. {OBTAIN}")
        for image in reading(found):
            points = read_points(root / part / "landmarks" / f"{image.stem}.txt")
            ident = f"{part}/{image.stem}"
            rows.append({"image": str(image), "image_id": ident, "group": ident, "box": box_of(points).tolist(),
                         "landmarks": points.tolist(), "scheme": "lapa106",
                         "mask": str(root / part / "labels" / f"{image.stem}.png"), "mask_classes": list(CLASSES),
                         "split": split})  # fmt: skip
    return to_records(rows, str(root))


def read_points(path: Path) -> npt.NDArray[np.float64]:
    """Return the 106 points (106, 2) of a landmark file."""
    lines = [(n, line) for n, line in enumerate(read_lines(path, obtain=OBTAIN), 1) if line.strip()]
    if not lines or lines[0][1].strip() != "106":
        raise FormatError(path, 1, "expected the count 106", REMEDY)
    if len(lines) != 107:
        raise FormatError(path, lines[-1][0], f"{len(lines) - 1} points, expected 106", REMEDY)
    return np.array([read_numbers(path, n, line, 2, REMEDY) for n, line in lines[1:]])
