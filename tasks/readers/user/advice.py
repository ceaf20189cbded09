"""What a user should know about their own pictures before a number of them is believed: warnings, each with a remedy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from statistics import median
from typing import Any

from paco_fr.faces.contents import contents_of, sizes_of
from paco_fr.utils.errors import advise, quoted

FEW = 30
"""Below so many test units an interval is too wide to tell encoders apart."""
CONDITIONS = 5
"""Up to so many "people" may be folders of conditions, such as "neutral" and "smiling"."""
LOOKED_AT = 50
"""Pictures whose size is looked at."""
LARGE = 400
"""Pixels of the longer side from which on a picture is hardly a face that was cut out."""
WIDE = 1.25
"""Longer side by the shorter, likewise."""

Row = Mapping[str, Any]


def about_parts(rows: Sequence[Row], source: str) -> None:
    """Say that there are few test units, and that a picture is in train and test; ``rows`` have image and split."""
    _few(sum(row["split"] == "test" for row in rows), source)
    shared = _shared([row for row in rows if isinstance(row["image"], str)])
    if shared:
        first, second = shared[0]
        advise(
            f"{source}: {len(shared)} test pictures are in train or validation, too, byte by byte (first: {second} is "
            f"{first}). Remove them from one part, or the score tells of memory."
        )


def about_people(rows: Sequence[Row], source: str) -> None:
    """Say that people look like conditions, that pictures look uncut, or are few; ``rows`` have image and identity."""
    _few(len(rows), source)
    people: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        people[row["identity"]].append(PurePosixPath(row["image_id"]).stem)
    if 2 <= len(people) <= CONDITIONS and _alike(list(people.values())):
        names = ", ".join(quoted(name) for name in people)
        advise(
            f"{source}: {names} count as {len(people)} people, but hold pictures of the same names, as folders of "
            "conditions do. Make one folder for each person: PERSON/PICTURE."
        )
    step = max(1, len(rows) // LOOKED_AT)
    sizes = [size for size in sizes_of([row["image"] for row in rows[::step]]) if size is not None]
    if sizes and (median(map(max, sizes)) > LARGE or median(max(s) / min(s) for s in sizes) > WIDE):
        height, width = sizes[0]
        advise(
            f"{source}: pictures such as the first, {width} x {height} pixels, look like photographs, not like faces cut "
            "out of them. Run `paco-eval data align FOLDER OUT`, then name recognition=OUT."
        )


def _few(count: int, source: str) -> None:
    if count < FEW:
        advise(
            f"{source}: {count} test pictures; fewer than {FEW} tell next to nothing. Add pictures, or read the "
            "interval, not the score."
        )


def _alike(folders: Sequence[Sequence[str]]) -> bool:
    """Whether most pictures of the smallest folder have namesakes in every other: the same beginning of the name."""
    if min(map(len, folders)) < 5:
        return False
    keys = [{_beginning(name) for name in names} for names in folders]
    smallest = min(keys, key=len)
    # Names that only count from 1 are alike among people, too: three digits and more are numbers of somebody.
    telling = {key for key in smallest if len(key) > 2}
    return len(telling) > 4 and all(len(telling & other) > len(telling) / 2 for other in keys)


def _beginning(name: str) -> str:
    return name.replace("-", "_").partition("_")[0]


def _shared(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Return (picture of another part, test picture) of every test picture that is there byte by byte."""
    learned: dict[bytes, str] = {}
    tested: list[tuple[bytes, str]] = []
    for row, digest in zip(rows, contents_of([row["image"] for row in rows]), strict=True):
        if digest is not None and row["split"] == "test":
            tested.append((digest, row["image_id"]))
        elif digest is not None:
            learned.setdefault(digest, row["image_id"])
    return [(learned[digest], name) for digest, name in tested if digest in learned]
