"""AffectNet, the release with eight labels: ``AffectNet/{train_set,val_set}/{images,annotations}``.

``images/N.jpg`` is a face of 224 x 224, ``annotations/N_exp.npy`` its label as a string: 0 to 7 are neutral, happy,
sad, surprise, fear, disgust, anger, contempt, the canonical order. The test labels are not public, so
the validation set is the test part, as in all published numbers. With ``classes=7`` contempt takes no part
(``split`` "excluded"). The layout is known from public loaders only: unproven.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from datasets import Dataset

from paco_fr.errors import PacoError
from tasks.readers.files import FormatError, require_folder, to_records
from tasks.readers.sources import AFFECTNET

FOLDER = "AffectNet"
PARTS = {"train_set": "train", "val_set": "test"}
REMEDY = "Restore the original annotation."


def read_affectnet(data_root: str | Path, folder: str = FOLDER, classes: int = 8) -> Dataset:
    """Return all annotated pictures with ``expression``, in the order of their numbers.

    Raises:
        MissingDataError: a folder is not there.
        FormatError: an annotation that is no .npy of one whole number from 0 to 7 (never unpickled).

    """
    obtain = AFFECTNET["obtain"]
    root, rows = require_folder(Path(data_root) / folder, obtain), []
    for part, split in PARTS.items():
        images = require_folder(root / part / "images", obtain)
        found = list(require_folder(root / part / "annotations", obtain).glob("*_exp.npy"))
        if not found:
            raise PacoError(f"{root / part}/annotations: no N_exp.npy. {obtain}")
        for path in sorted(found, key=lambda file: (len(file.name), file.name)):
            label, name = read_label(path), path.name.removesuffix("_exp.npy")
            ident = f"{part}/{name}"
            rows.append({"image": str(images / f"{name}.jpg"), "image_id": ident, "group": ident, "expression": label,
                         "split": split if label < classes else "excluded"})  # fmt: skip
    return to_records(rows, str(root))


def read_label(path: Path) -> int:
    """Return the label in one annotation file."""
    try:
        stored = np.load(path, allow_pickle=False)
        label = int(str(stored.ravel()[0])) if stored.size == 1 else -1
    except (OSError, ValueError, EOFError) as error:
        raise FormatError(path, None, f"is not an .npy file with one label ({error})", REMEDY) from error
    if not 0 <= label <= 7:
        raise FormatError(path, None, f"label {stored.ravel()[:3].tolist()} is not one from 0 to 7", REMEDY)
    return label
