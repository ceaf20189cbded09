"""IJB-B and IJB-C as they are passed on for scoring (the layout of insightface's evaluation).

``loose_crop/NAME.jpg`` and, in ``meta/`` with the set's name in front (``ijbc_``):

============================  ===========================================================================
``face_tid_mid.txt``          ``NAME.jpg TEMPLATE MEDIUM``, a line per picture
``name_5pts_score.txt``       ``NAME.jpg x1 y1 .. x5 y5 SCORE`` in pixels of the loose crop, the same order
``template_pair_label.txt``   ``TEMPLATE TEMPLATE 0|1``, the pairs of the 1:1 protocol
``1N_gallery_G1.csv``, G2     header, ``TEMPLATE_ID,SUBJECT_ID,...``, a line per picture (IJB-B: S1, S2)
``1N_probe_mixed.csv``        the same for the probes
============================  ===========================================================================

A picture appears once. The lists of the 1:N protocol say whom templates show: where all three are there, pictures are
grouped by subject, else by template. Points follow the template's order: eyes, nose tip, corners of the mouth.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from datasets import Dataset

from paco_fr.utils.errors import PacoError, quoted
from paco_fr.utils.untrusted import read_csv
from tasks.lists import PairList, SearchList
from tasks.readers.dataset_info import IJBB_COUNTS, IJBC_COUNTS
from tasks.readers.files import (
    FormatError,
    inside,
    is_whole,
    once,
    read_lines,
    read_numbers,
    require,
    require_folder,
    to_records,
)
from tasks.task import MANIFEST

REMEDY = "Restore the original meta files."
OBTAIN = (
    "NIST stopped distributing IJB-B and IJB-C in March 2023. If you hold a copy, lay it out as "
    "{folder}/loose_crop and {folder}/meta under the data root."
)
COUNTS = {"ijbb": IJBB_COUNTS["total"], "ijbc": IJBC_COUNTS["total"]}
"""Pictures of each set, and therefore lines of its two picture lists."""


def _meta(data_root: str | Path | None, name: str) -> tuple[Path, Path]:
    folder = name.upper()
    root = require_folder(Path(data_root or ".") / folder, OBTAIN.format(folder=folder))
    return root, require_folder(root / "meta", OBTAIN.format(folder=folder))


def read_faces(data_root: str | Path | None, name: str, whole: bool = True) -> Dataset:
    """Return a record per picture, with ``template``, ``media``, ``detector_score`` and five points.

    Args:
        data_root: holds the folder ``IJBB`` or ``IJBC``.
        name: ``ijbb`` or ``ijbc``.
        whole: refuse a copy with another number of pictures than the official one.

    A picture that is not on disk stays a record; reading it fails and is counted.

    """
    root, meta = _meta(data_root, name)
    listed = meta / f"{name}_face_tid_mid.txt"
    scored = meta / f"{name}_name_5pts_score.txt"
    lines, points = read_lines(listed), read_lines(scored)
    if len(lines) != len(points):
        raise FormatError(scored, None, f"{len(points)} lines, {listed.name} has {len(lines)}", REMEDY)
    whole = whole and not (root / MANIFEST).is_file()
    if whole and len(lines) != COUNTS.get(name, len(lines)):
        raise FormatError(listed, None, f"{len(lines)} pictures, {name} has {COUNTS[name]}", REMEDY)
    images = require_folder(root / "loose_crop", OBTAIN.format(folder=root.name))
    seen: dict[str, int] = {}
    subjects, rows = _subjects(meta, name), []
    for number, (line, scores) in enumerate(zip(lines, points, strict=True), 1):
        picture, template, media = _fields(listed, number, line)
        own, _, rest = scores.partition(" ")
        if own != picture:
            raise FormatError(
                scored, number, f"names {quoted(own)}, {listed.name} has {quoted(picture)} there", REMEDY
            )
        numbers = read_numbers(scored, number, rest, 11, REMEDY)
        if not 0.0 <= numbers[10] <= 1.0:
            raise FormatError(scored, number, f"detector score {numbers[10]} is not from 0 to 1", REMEDY)
        if not picture[0].isalnum() or "/" in picture:
            inside(images, picture, listed)
        rows.append(
            {
                "image": str(images / once(seen, picture, listed, number, REMEDY)),
                "image_id": picture,
                "group": f"subject {subjects[template]}" if template in subjects else str(template),
                "template": str(template),
                "media": str(media),
                "detector_score": numbers[10],
                "landmarks": [numbers[at : at + 2] for at in range(0, 10, 2)],
                "scheme": "five",
            }
        )
    return to_records(rows, str(root))


def _fields(path: Path, number: int, line: str) -> tuple[str, int, int]:
    fields = line.split()
    if len(fields) != 3:
        raise FormatError(path, number, f"{len(fields)} columns, expected picture, template, medium", REMEDY)
    if not all(is_whole(field) for field in fields[1:]):
        raise FormatError(path, number, f"template and medium are numbers, found {quoted(line)}", REMEDY)
    return fields[0], int(fields[1]), int(fields[2])


def read_template_pairs(data_root: str | Path | None, name: str) -> PairList:
    """Return the pairs of the 1:1 protocol as numbers of templates; there are no folds."""
    _, meta = _meta(data_root, name)
    path = require(meta / f"{name}_template_pair_label.txt", REMEDY)
    try:
        table = pd.read_csv(path, sep=" ", header=None, dtype=np.int64, engine="c").to_numpy()
    except (ValueError, OverflowError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise _first_bad_pair(path, error) from error
    if table.shape[1] != 3 or not np.isin(table[:, 2], (0, 1)).all():
        raise _first_bad_pair(path, None)
    return PairList(
        table[:, 0].copy(), table[:, 1].copy(), table[:, 2] == 1, np.empty(0, np.int64), str(path)
    )


def _first_bad_pair(path: Path, error: Exception | None) -> FormatError:
    """Return the error of the first line that is not ``TEMPLATE TEMPLATE 0|1``."""
    for number, line in enumerate(read_lines(path), 1):
        fields = line.split(" ")
        if len(fields) != 3 or not all(is_whole(field) for field in fields):
            return FormatError(
                path, number, f"expected template, template and 0 or 1, found {quoted(line)}", REMEDY
            )
        if fields[2] not in ("0", "1"):
            return FormatError(path, number, f"label {fields[2]} is neither 0 nor 1", REMEDY)
    return FormatError(path, None, f"cannot be read as pairs ({error or 'empty'})", REMEDY)


def read_search(data_root: str | Path | None, name: str) -> SearchList:
    """Return the two galleries and the probes of the 1:N protocol."""
    _, meta = _meta(data_root, name)
    files = _search_files(meta, name)
    *sides, probes = map(_templates, files)
    for file, (_, subjects) in zip(files, sides, strict=False):
        if len(np.unique(subjects)) < len(subjects):
            raise PacoError(f"{meta}: a subject has two templates in gallery {file.stem[-2:]}. {REMEDY}")
    numbers = np.repeat(np.arange(2), [len(side[0]) for side in sides])
    gallery, subjects = (np.concatenate([side[at] for side in sides]) for at in (0, 1))
    return SearchList(gallery, subjects, numbers.astype(np.int64), *probes, str(meta))


def _search_files(meta: Path, name: str) -> list[Path]:
    """Return the lists of both galleries and of the probes."""
    letter = "S" if name == "ijbb" else "G"
    return [
        meta / f"{name}_1N_{part}.csv" for part in (f"gallery_{letter}1", f"gallery_{letter}2", "probe_mixed")
    ]


def _subjects(meta: Path, name: str) -> dict[int, int]:
    """Return the subject of each template that the lists of the 1:N protocol name; none where a list is missing."""
    files = _search_files(meta, name)
    if not all(file.is_file() for file in files):
        return {}
    return {
        template: subject
        for file in files
        for template, subject in zip(*map(np.ndarray.tolist, _templates(file)), strict=True)
    }


def _templates(path: Path) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return templates (T,) and their subjects, each once, in order of first mention."""
    found: dict[int, int] = {}
    for number, fields in enumerate(read_csv(read_lines(path), path, REMEDY), 1):
        if number == 1:
            continue  # the header
        if len(fields) < 2 or not all(is_whole(field) for field in fields[:2]):
            raise FormatError(
                path, number, f"expected template and subject first, found {quoted(fields[:2])}", REMEDY
            )
        template, subject = int(fields[0]), int(fields[1])
        if found.setdefault(template, subject) != subject:
            message = f"template {template} shows subject {subject}, before it was {found[template]}"
            raise FormatError(path, number, message, REMEDY)
    if not found:
        raise FormatError(path, None, "lists no templates", REMEDY)
    return np.array(list(found), dtype=np.int64), np.array(list(found.values()), dtype=np.int64)
