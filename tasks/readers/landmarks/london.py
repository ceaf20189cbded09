"""Face Research Lab London Set (DeBruine & Jones 2017, CC BY 4.0, doi 10.6084/m9.figshare.5047666.v5).

``london_set/neutral_front/NNN_03.jpg`` with ``NNN_03.tem`` beside it, ``smiling_front/NNN_08.jpg``. However
many of the 102 people are on disk are read; missing photographs are not an error, missing points are.

People are divided once and for all: the 20 whose id has the smallest sha256 are for selection
(``split`` "validation"), the rest is scored ("test"). Nothing that a test person's points say enters a
crop of the recognition task: one square, from the mean neutral shape of the selection people, serves all.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from datasets import Dataset

from paco_fr.faces.decode import image_size
from paco_fr.faces.landmarks import box_of
from paco_fr.faces.listing import files_in
from paco_fr.utils.errors import PacoError
from tasks.readers.files import reading, require_folder, to_records
from tasks.readers.landmarks.psychomorph import read_tem

FOLDER = "london_set"
OBTAIN = (
    "Download the Face Research Lab London Set (doi 10.6084/m9.figshare.5047666) into <data root>/london_set."
)
MEDIA = {"neutral": ("neutral_front", "03"), "smiling": ("smiling_front", "08")}
SELECTION = 20
POINTS = 134
"""Points 0 to 133 are well defined; hairline, neck and cheeks after them are left out."""

CONTROL_SIDE = 0.2
"""Side of the face-free region as a share of the photograph's: its lower left corner, which holds shirt and
background. A wider one meets hair and necklines (seen on all photographs of both folders)."""
CONTROL_MARGIN = 0.25
"""Margin of the crop for which the control box is made, so that box and margin fill the region."""


def read_recognition(data_root: str | Path) -> Dataset:
    """Return neutral and smiling photographs twice: by the fixed face box, and by the face-free region.

    Columns: ``identity``, ``media`` ("neutral" or "smiling"), ``box``, ``split``, and ``subsets``: empty for
    the face view, ``["control"]`` for the face-free one. ``image_id`` is unique to photograph and view.
    Boxes are meant for a margin of up to ``CONTROL_MARGIN``; a larger one would show more than the region.
    """
    root = require_folder(Path(data_root) / FOLDER, OBTAIN)
    photos = {media: _photos(root, media) for media in MEDIA}
    selection = selection_people(photos["neutral"])
    views = {"": _fixed_box(photos["neutral"], selection), "control": _control_box(photos["neutral"])}
    rows = [
        _row(path, person, media, selection)
        | {
            "image_id": f"{path.stem}{'-' if view else ''}{view}",
            "box": box,
            "subsets": [view] if view else [],
        }
        for view, box in views.items()
        for media, found in photos.items()
        for person, path in found.items()
    ]
    return to_records(rows, str(root))


def read_landmarks(data_root: str | Path) -> Dataset:
    """Return the neutral photographs with points 0 to 133, scheme "london189", and the points' tight box."""
    root = require_folder(Path(data_root) / FOLDER, OBTAIN)
    photos = _photos(root, "neutral")
    selection = selection_people(photos)
    rows = []
    for person, path in reading(list(photos.items())):
        points = _points(path)
        truth = {"landmarks": points.tolist(), "scheme": "london189", "box": box_of(points).tolist()}
        rows.append(_row(path, person, "neutral", selection) | truth)
    return to_records(rows, str(root))


def selection_people(people: Iterable[str]) -> frozenset[str]:
    """Return the people for selection: the 20 smallest by the sha256 of the id, e.g. of "002"."""
    ordered = sorted(people, key=lambda person: hashlib.sha256(person.encode()).hexdigest())
    if len(ordered) <= SELECTION:
        raise PacoError(
            f"{FOLDER}: {len(ordered)} people with a neutral photograph; {SELECTION} are for selection, "
            f"so none would be left to score. {OBTAIN}"
        )
    return frozenset(ordered[:SELECTION])


def _photos(root: Path, media: str) -> dict[str, Path]:
    """Return the photographs of one folder by person, in order of the id."""
    folder, number = MEDIA[media]
    name = re.compile(rf"(\d{{3}})_{number}\.(?i:jpg)")
    found = {m[1]: path for path in _jpegs(root / folder) if (m := name.fullmatch(path.name))}
    if not found:
        raise PacoError(f"{root / folder}: no photographs named NNN_{number}.jpg. {OBTAIN}")
    return found


def _jpegs(folder: Path) -> list[Path]:
    return files_in(folder, ".jpg") if folder.is_dir() else []


def _points(photo: Path) -> npt.NDArray[np.float64]:
    return read_tem(photo.with_suffix(".tem"))[:POINTS]


def _row(path: Path, person: str, media: str, selection: frozenset[str]) -> dict[str, Any]:
    return {
        "image": str(path),
        "image_id": path.stem,
        "group": person,
        "identity": person,
        "media": media,
        "split": "validation" if person in selection else "test",
    }


def _fixed_box(neutral: dict[str, Path], selection: frozenset[str]) -> list[float]:
    """Return the square around the mean neutral shape of the selection people."""
    mean = np.mean([_points(neutral[person]) for person in sorted(selection)], axis=0)
    x0, y0, x1, y1 = box_of(mean)
    return _square((x0 + x1) / 2, (y0 + y1) / 2, max(x1 - x0, y1 - y0))


def _control_box(neutral: dict[str, Path]) -> list[float]:
    """Return the box whose crop with ``CONTROL_MARGIN`` is the lower left corner of the photographs."""
    height, width = image_size(next(iter(neutral.values())))
    side = CONTROL_SIDE * min(height, width)
    return _square(side / 2 - 0.5, height - side / 2 - 0.5, side / (1 + 2 * CONTROL_MARGIN))


def _square(x: float, y: float, side: float) -> list[float]:
    return [float(x - side / 2), float(y - side / 2), float(x + side / 2), float(y + side / 2)]
