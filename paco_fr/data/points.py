"""``data align --for``: points that are found in the pictures of a set that has none, kept beside it.

The file :data:`paco_fr.faces.records.BESIDE` in the folder of the set has a line for every face: ``image_id``,
``landmarks`` (68 points (x, y) in pixels of the photograph, none where no face was found), ``scheme``, ``score`` and
``by``, as the report of ``data align`` says them. Crops by a template are cut by them; all else is as without the file.
"""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from datasets import Dataset

from paco_fr.contracts import content_hash
from paco_fr.data.align import Rules, sought
from paco_fr.faces.detector import Found
from paco_fr.faces.landmarks import FIVE_POINTS, five_points
from paco_fr.faces.listing import as_text
from paco_fr.faces.records import COLUMNS
from paco_fr.utils.errors import FormatError, PacoError
from paco_fr.utils.files import atomic_file, cache_folder
from paco_fr.utils.untrusted import parse_parquet, read_bounded

REMEDY = "Make it again with `paco-eval data align --for TASK`, or remove it."
SCHEME = "ibug68"


def find_points(
    records: Dataset, path: Path, *, detector: str, workers: int = 1, device: str = "cpu", progress: bool = False
) -> Counter[str]:  # fmt: skip
    """Find the points of all records and write them to ``path``; return how many ended with which status.

    The face that the record's box means counts, else the largest one; where none is found and there is a box, the
    points are put into it. Parts are kept in the cache, so the same call goes on where it was stopped. Lines of other
    faces that ``path`` has stay.

    Raises:
        PacoError: the records have points, the detector cannot be had, or no face was found.

    """
    if "landmarks" in records.column_names:
        raise PacoError(
            f"{as_text(path.parent)}: its faces come with points of their own; none are looked for."
        )
    rules = Rules(
        min_score=0.0, min_side=1.0, max_turn=90.0, detector=detector, known="box" in records.column_names
    )
    place = cache_folder("points") / content_hash([as_text(path.resolve()), detector])
    counts = sought(
        records, as_text(path.parent), place, rules, _noted, workers=workers, device=device, progress=progress
    )
    report = _table(place / "report.parquet")
    kept = [_table(part) for part in sorted((place / "faces").glob("part-*.parquet"))]
    points = pd.concat(kept).drop_duplicates("image_id").set_index("image_id")["landmarks"]
    found = report[["image_id", "status", "score", "by"]].drop_duplicates("image_id")
    found = found.assign(landmarks=found["image_id"].map(points), scheme=SCHEME)
    if path.is_file():
        others = _table(path)
        found = pd.concat([others[~others["image_id"].isin(found["image_id"])], found], ignore_index=True)
    with atomic_file(path) as temporary:
        found.to_parquet(temporary, index=False)
    shutil.rmtree(place)
    return counts


def with_points(records: Dataset, path: Path) -> Dataset:
    """Return records with the points that a file says of them; a face of which it says nothing has none.

    Raises:
        FormatError: the file is damaged, or says nothing of any of the records.

    """
    table = _table(path)
    lacking = {"image_id", "landmarks", "scheme"} - set(table.columns)
    if lacking:
        raise FormatError(path, None, f"has no column {sorted(lacking)[0]}", REMEDY)
    if table["image_id"].duplicated().any():
        raise FormatError(path, None, "names a face twice", REMEDY)
    known: dict[str, tuple[list[list[float]], str]] = {}
    for name, points, scheme in zip(table["image_id"], table["landmarks"], table["scheme"], strict=True):
        if points is None or (isinstance(points, float) and np.isnan(points)):
            continue
        try:
            placed = np.array([np.asarray(point, np.float64) for point in points])
            if scheme not in FIVE_POINTS:
                raise ValueError("an unknown scheme of points")
            five_points(placed, scheme)
        except (PacoError, TypeError, ValueError) as error:
            raise FormatError(path, None, f"face {name!r}: {error}", REMEDY) from error
        known[str(name)] = placed.tolist(), str(scheme)
    ids = records["image_id"][:]
    if not any(name in known for name in ids):
        raise FormatError(path, None, "has points of none of the faces here", REMEDY)
    nothing = (None, None)
    for place, column in enumerate(("landmarks", "scheme")):
        values: list[Any] = [known.get(name, nothing)[place] for name in ids]
        records = records.add_column(column, values, feature=COLUMNS[column])
    return records


def _table(path: Path) -> pd.DataFrame:
    return parse_parquet(read_bounded(path), path, REMEDY)


def _noted(image: object, row: dict[str, Any], face: Found, scheme: str, rules: Rules) -> dict[str, Any]:
    """Return a record of the points alone; the picture stays where it is."""
    return {
        "image_id": str(row["image_id"]), "landmarks": face.landmarks.tolist(), "scheme": scheme,
        "detector_score": face.score,
    }  # fmt: skip
