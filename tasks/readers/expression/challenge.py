"""Occluded and turned faces of RAF-DB, FER+ and AffectNet, by the lists of Wang et al. 2020 (RAN, arXiv 1905.04075).

``<data root>/Challenge-condition-FER-dataset`` is a clone of the authors' repository. Every list writes names in its own
way (``test_0003_aligned 3 4``, ``0/test_0004_aligned.jpg``, ``1_fer0034656.png 8 0``, ``val/0/HASH/``, ``7/HASH/8.jpg``);
a line stands for the one picture whose name it holds. Names that stand twice count once: 734 of 735 lines in
RAF-DB's occlusion list. A listed face that the set's own protocol leaves out of its test part (FER+ without a
majority) is in no subset. The hash of the lists stands in the row.
"""

from __future__ import annotations

import re
from pathlib import Path

from datasets import Dataset

from paco_fr.faces.records import COLUMNS
from paco_fr.utils.errors import quoted
from tasks.lists import NamedSubsets
from tasks.readers.dataset_info import CHALLENGE_FILES, CHALLENGE_FOLDER, CHALLENGE_LISTS
from tasks.readers.files import FormatError, read_lines, require_folder
from tasks.task import resolve

REMEDY = "Restore the list from its repository."
SUBSETS = ("occlusion", "pose30", "pose45")


READERS = {
    "rafdb": "tasks.readers.expression.rafdb:read_rafdb",
    "ferplus": "tasks.readers.expression.ferplus:read_majority",
    "affectnet": "tasks.readers.expression.affectnet:read_first_release",
}
NAMES = {"rafdb": r"test_\d+", "ferplus": r"fer\d{7}", "affectnet": r"[0-9a-f]{56}"}
"""Set -> what the name of a picture looks like, in its lists and in its records' ``image_id``."""


def read_lists(data_root: str | Path | None, of: str, folder: str = CHALLENGE_FOLDER) -> NamedSubsets:
    """Return the lists of one set ("rafdb", "ferplus" or "affectnet").

    Raises:
        MissingDataError: folder or list are not there.
        FormatError: a line that does not hold exactly one name; names file and line.

    """
    root = require_folder(Path(data_root or ".") / folder, CHALLENGE_LISTS)
    files = zip(SUBSETS, CHALLENGE_FILES[of], strict=True)
    found = {subset: _names(root / file, NAMES[of]) for subset, file in files}
    return NamedSubsets(found, str(root))


def _names(path: Path, pattern: str) -> tuple[str, ...]:
    found = dict[str, None]()
    for line, text in enumerate(read_lines(path, obtain=CHALLENGE_LISTS), 1):
        names = re.findall(pattern, text)
        if len(names) != 1:
            raise FormatError(path, line, f"{quoted(text)} does not hold one name like {pattern}", REMEDY)
        found[names[0]] = None
    return tuple(found)


def read_challenged(data_root: str | Path | None, of: str, folder: str = CHALLENGE_FOLDER) -> Dataset:
    """Return the records of a set with the ``subsets`` that its lists give to faces of the test part.

    Raises:
        FormatError: a list names a picture that the set does not have; names the list.

    """
    listed = read_lists(data_root, of, folder)
    faces: Dataset = resolve(READERS[of])(data_root)
    names = [re.findall(NAMES[of], ident) for ident in faces["image_id"][:]]
    known = {name for found in names for name in found}
    for file, listed_names in zip(CHALLENGE_FILES[of], listed.members.values(), strict=True):
        for absent in [name for name in listed_names if name not in known][:1]:
            path = Path(listed.source) / file
            raise FormatError(path, None, f"names {absent}, which {of} does not have", REMEDY)
    members = {subset: frozenset(found) for subset, found in listed.members.items()}
    subsets = [
        [subset for subset in SUBSETS if part == "test" and not members[subset].isdisjoint(found)]
        for found, part in zip(names, faces["split"][:], strict=True)
    ]
    return faces.add_column("subsets", subsets, feature=COLUMNS["subsets"])
