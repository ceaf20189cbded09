"""FER2013 (Goodfellow et al. 2013): ``FER2013/fer2013.csv`` with the header ``emotion,pixels,Usage``.

``pixels`` are 48 x 48 grey values; labels 0 to 6 are anger, disgust, fear, happiness, sadness, surprise, neutral.
``Training`` is train, ``PublicTest`` validation, ``PrivateTest`` test. The layout is known from public loaders
only: unproven.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from datasets import Dataset

from paco_fr.contracts import EXPRESSIONS
from paco_fr.faces.decode import encode_png
from paco_fr.utils.errors import quoted
from paco_fr.utils.untrusted import read_csv
from tasks.readers.files import FormatError, read_lines, require_folder, to_records

FOLDER = "FER2013"
OBTAIN = "Download fer2013.csv (the 2013 ICML challenge on Kaggle) into <data root>/FER2013."
REMEDY = "Restore the original fer2013.csv."
CODES = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
SIDE = 48
USAGES = {"Training": "train", "PublicTest": "validation", "PrivateTest": "test"}


def read_fer2013(data_root: str | Path, folder: str = FOLDER) -> Dataset:
    """Return all rows in order; ``image_id`` is the row's number from 0, pictures are held as PNG.

    Raises:
        MissingDataError: the file is not there.
        FormatError: header, columns, label, usage or number of pixels; names file and line.

    """
    path = require_folder(Path(data_root) / folder, OBTAIN) / "fer2013.csv"
    table = list(read_csv(read_lines(path, obtain=OBTAIN), path, REMEDY))
    if not table or table[0] != ["emotion", "pixels", "Usage"]:
        raise FormatError(path, 1, "the header is not emotion,pixels,Usage", REMEDY)
    rows = []
    for line, row in enumerate(table[1:], 2):
        if len(row) != 3:
            raise FormatError(path, line, f"{len(row)} columns, expected 3", REMEDY)
        label, pixels, usage = row
        if label not in {str(n) for n in range(7)}:
            raise FormatError(path, line, f"label {quoted(label)} is not 0 to 6", REMEDY)
        if usage not in USAGES:
            raise FormatError(path, line, f"usage {quoted(usage)} is none of {', '.join(USAGES)}", REMEDY)
        ident = f"fer{line - 2:07d}"
        rows.append({"image": {"bytes": _picture(path, line, pixels), "path": None}, "image_id": ident, "group": ident,
                     "expression": EXPRESSIONS.index(CODES[int(label)]), "split": USAGES[usage]})  # fmt: skip
    return to_records(rows, str(path))


def _picture(path: Path, line: int, text: str) -> bytes:
    try:
        values = np.array(text.split(), dtype=np.int64)
    except (ValueError, OverflowError):
        raise FormatError(path, line, "pixels that are no whole numbers", REMEDY) from None
    if values.size != SIDE * SIDE or values.min() < 0 or values.max() > 255:
        raise FormatError(path, line, f"{values.size} pixels, expected {SIDE * SIDE} from 0 to 255", REMEDY)
    return encode_png(values.astype(np.uint8).reshape(SIDE, SIDE))
