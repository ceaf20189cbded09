"""ORL (AT&T) faces (Samaria & Harter 1994): ``sX/Y.pgm``, ten grey pictures of 92 x 112 of each person.

Forty people in the original; however many are on disk are read. Please credit Olivetti Research Laboratory.
"""

from __future__ import annotations

import re
from pathlib import Path

from datasets import Dataset

from paco_fr.utils.errors import PacoError
from tasks.readers.files import require_folder, to_records

OBTAIN = "Download the ORL (AT&T) Database of Faces into <data root>/orl_faces."
_PERSON, _PICTURE = re.compile(r"s(\d+)"), re.compile(r"(\d+)\.(?i:pgm)")


def read_orl(data_root: str | Path, folder: str = "orl_faces") -> Dataset:
    """Return all pictures in order of person and number; ``image_id`` is "sX/Y", ``media`` the number Y."""
    root = require_folder(Path(data_root) / folder, OBTAIN)
    found = [
        (int(person[1]), int(picture[1]), path)
        for path in root.glob("s*/*.[pP][gG][mM]")
        if (person := _PERSON.fullmatch(path.parent.name)) and (picture := _PICTURE.fullmatch(path.name))
    ]
    if not found:
        raise PacoError(f"{root}: no pictures named sX/Y.pgm. {OBTAIN}")
    rows = [
        {
            "image": str(path),
            "image_id": f"s{person}/{picture}",
            "group": f"s{person}",
            "identity": f"s{person}",
            "media": str(picture),
        }
        for person, picture, path in sorted(found)
    ]
    return to_records(rows, str(root))
