"""MFR2 (Anwar & Raychowdhury 2020): 269 faces of 53 people, most with real masks, cut out at 160 x 160.

``mfr2/NAME/NAME_0001.png`` and ``mfr2/pairs.txt``: blank-separated lines without a header, ``NAME i j`` for a genuine
pair and ``NAME1 i NAME2 j`` for an impostor pair, 848 in all; a pair that stands there twice counts twice, as it does
for whoever scores the list line by line. The list has no folds: the pairs of either kind are dealt to ten in their
order, so that every fold has both (our choice). The layout is known from public loaders
only: unproven.

RMFRD (Wang et al. 2020), the other set of real masks, is no task here: its verification part (4,015 pictures, 7,178
pairs) is known to us by its counts alone, not by the names of its files and the form of its list. A copy
can be measured as ``--folder recognition=DIR,pairs=FILE``.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from datasets import Dataset

from tasks.lists import PairList
from tasks.readers.dataset_info import MFR2
from tasks.readers.files import FormatError, read_lines, require_folder, to_records
from tasks.readers.recognition.lfw import Pair, as_list, pair_of

FOLDER = "mfr2"
OBTAIN: str = MFR2["obtain"]
REMEDY = "Restore the original pairs.txt."
FOLDS = 10


def read_pairs(path: str | Path) -> list[Pair]:
    """Return the pairs in their own order.

    Raises:
        MissingDataError: there is no such file.
        FormatError: neither three nor four columns, or no name with a number; names file and line.

    """
    path, found = Path(path), list[Pair]()
    for line, text in enumerate(read_lines(path, obtain=OBTAIN), 1):
        fields = text.split()
        if not fields:
            continue
        found.append(pair_of(path, line, fields, same=len(fields) == 3, fold=0))
    if not found:
        raise FormatError(path, None, "holds no pairs", REMEDY)
    total = Counter(pair.same for pair in found)
    dealt: Counter[bool] = Counter()
    pairs = []
    for pair in found:
        pairs.append(pair._replace(fold=FOLDS * dealt[pair.same] // total[pair.same]))
        dealt[pair.same] += 1
    return pairs


def read_pair_list(data_root: str | Path | None, folder: str = FOLDER) -> PairList:
    """Return the pairs as a list that tasks follow."""
    path = require_folder(Path(data_root or ".") / folder, OBTAIN) / "pairs.txt"
    return as_list(read_pairs(path), str(path))


def read_mfr2(data_root: str | Path | None, folder: str = FOLDER) -> Dataset:
    """Return the pictures that the list names, once each, in order of first mention."""
    root = require_folder(Path(data_root or ".") / folder, OBTAIN)
    pairs = read_pairs(root / "pairs.txt")
    ids = dict.fromkeys(ident for pair in pairs for ident in (pair.first, pair.second))
    rows = [
        {"image": str(root / f"{ident}.png"), "image_id": ident, "group": name, "identity": name}
        for ident in ids
        for name in [ident.partition("/")[0]]
    ]
    return to_records(rows, str(root))
