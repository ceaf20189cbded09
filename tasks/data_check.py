"""The passport of a data set: what is on disk, held against what the benchmark expects, and what to do.

Counts of the official release stand in a declaration's ``options["expected"]``: by part ("train", "validation",
"test", "excluded"), by subset of the test part, "total" over all records, "templates" of them, or "pairs" and
"genuine" of a list of pairs. A miniature is held against its own manifest instead.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from datasets import Dataset

from paco_fr.faces.decode import ImageError, read_bytes, read_image
from paco_fr.faces.listing import as_path
from paco_fr.faces.records import fingerprint
from paco_fr.utils.errors import PacoError
from tasks.lists import PairList
from tasks.mimics import manifest_counts
from tasks.readers.records import records_of
from tasks.task import DataKind, Task, bind

THREADS = 2

WITHDRAWN = {
    "recognition/ijb*": "NIST stopped distributing IJB-B and IJB-C in March 2023; only existing copies remain.",
}
"""Pattern of task names -> what is known of its withdrawal."""

KNOWN_BAD: dict[str, tuple[tuple[str, str], ...]] = {
    "expression/fer2013": (
        (
            "FER2013/train/*",
            "a copy in folders: it no longer says which test pictures are PublicTest and PrivateTest",
        ),
    ),
    "expression/rafdb": (
        ("RAF-DB/DATASET", "a re-upload in numbered folders: names and official list are gone"),
        (
            "RAF-DB/compound",
            "the compound subset lies beside the basic one: see that the lists were not mixed",
        ),
    ),
    "expression/affectnet*": (
        (
            "AffectNet/training.csv",
            "the first release, whose lists and pictures differ from train_set and val_set",
        ),
        ("AffectNet/train/*", "a re-upload in class folders: resized, and not of the official size"),
    ),
    "landmarks/300w": (
        ("300W/*/*_mirror.*", "a copy with mirrored pictures added: they are passed over"),
        ("300W/*/*/*_mirror.*", "a copy with mirrored pictures added: they are passed over"),
    ),
    "attributes/celeba": (
        (
            "CelebA/Img/img_celeba",
            "pictures in the wild lie beside the aligned ones; only the aligned are read",
        ),
    ),
}
"""Pattern of task names -> files that give away a copy, and what is wrong with it."""


@dataclass(frozen=True)
class Passport:
    """What is known of one task's data on this machine.

    Attributes:
        task: name and version.
        data_kind: official, mimic, synthetic or user.
        missing: files under the data root that are not there; then all counts are empty.
        problem: why the reader refused the data, else "".
        counts: faces by part and subset, and "total".
        expected: the same of the official release or of the manifest.
        pictures: distinct pictures that the records name.
        absent: how many of them are not there.
        broken: picture -> why it does not decode.
        shared: contents that are both in train and in test.
        fingerprint: of the records; "" without them.
        licence: terms of the data.
        withdrawn: what is known of a withdrawal, else "".
        known_bad: signs of copies known to be bad.
        remedy: what to do next; "" where nothing is.

    """

    task: str
    data_kind: DataKind
    missing: tuple[str, ...]
    problem: str
    counts: Mapping[str, int]
    expected: Mapping[str, int]
    pictures: int
    absent: int
    broken: Mapping[str, str]
    shared: int
    fingerprint: str
    licence: str
    withdrawn: str
    known_bad: tuple[str, ...]
    remedy: str

    @property
    def differences(self) -> dict[str, tuple[int, int]]:
        """The expected and the found count of every part that differs."""
        return {
            name: (count, self.counts.get(name, 0))
            for name, count in self.expected.items()
            if self.counts.get(name, 0) != count
        }

    @property
    def sound(self) -> bool:
        """Whether everything that the benchmark needs is there and as expected."""
        return not (self.missing or self.problem or self.differences or self.absent or self.broken)


def passport(task: Task, data_root: Path | None, *, decode: bool = True) -> Passport:
    """Return the passport of a task's data.

    Args:
        task: the declaration.
        data_root: folder with the data sets.
        decode: whether to read every picture; without it only their presence is checked.

    """
    missing = task.missing(data_root)
    withdrawn = next(
        (text for pattern, text in WITHDRAWN.items() if fnmatchcase(task.plain_name, pattern)), ""
    )
    common: dict[str, Any] = {
        "task": f"{task.name} v{task.version}",
        "data_kind": task.kind_of_data(data_root),
        "missing": missing,
        "licence": task.licence,
        "withdrawn": withdrawn,
        "known_bad": _known_bad(task, data_root),
    }
    empty: dict[str, Any] = {
        "counts": {}, "expected": _expected(task, data_root), "pictures": 0, "absent": 0, "broken": {}, "shared": 0,
        "fingerprint": "",
    }  # fmt: skip
    if missing:
        return Passport(**common, **empty, problem="", remedy=task.obtain)
    try:
        records = records_of(task, data_root)
        bound = bind(task, data_root)  # the lists that come with the data are part of it
    except PacoError as error:
        return Passport(**common, **empty, problem=str(error), remedy=task.obtain)
    pictures, absent, broken, shared = _look(records, decode)
    seen = {
        "counts": counts_of(records) | pairs_of(bound), "pictures": pictures, "absent": absent, "broken": broken,
        "shared": shared, "fingerprint": fingerprint(records),
    }  # fmt: skip
    found = Passport(**common, **empty | seen, problem="", remedy="")
    return found if found.sound else Passport(**vars(found) | {"remedy": _remedy(task, found)})


def counts_of(records: Dataset) -> dict[str, int]:
    """Return the number of records by part, of test records by subset, in "total", and of "templates"."""
    counts: Counter[str] = Counter(total=len(records))
    if "template" in records.column_names:
        counts["templates"] = len(set(records["template"][:]))
    if "split" in records.column_names:
        parts = records["split"][:]
        subsets = records["subsets"][:] if "subsets" in records.column_names else [()] * len(parts)
        counts.update(parts)
        for part, names in zip(parts, subsets, strict=True):
            counts.update(names if part == "test" else ())
    return dict(counts)


def pairs_of(task: Task) -> dict[str, int]:
    """Return the number of pairs of a task's list, and how many of them show one person; empty without a list."""
    lists = [option for option in task.options.values() if isinstance(option, PairList)]
    return {
        key: count
        for found in lists
        for key, count in (("pairs", len(found)), ("genuine", int(found.same.sum())))
    }


def shortfall(task: Task, records: Dataset) -> str:
    """Return which official counts records and lists of a bound task fall short of, "" where none.

    More than the official count is for :func:`passport` to tell: it is another release, not a part of this one.
    """
    found = counts_of(records) | pairs_of(task)
    short = [
        f"{name} {found.get(name, 0)} of {count}"
        for name, count in task.options.get("expected", {}).items()
        if found.get(name, 0) < count
    ]
    return ", ".join(short)


def _expected(task: Task, data_root: Path | None) -> Mapping[str, int]:
    made = manifest_counts(task, data_root) if data_root is not None else None
    official: Mapping[str, int] = task.options.get("expected", {})
    return official if made is None else made


def _known_bad(task: Task, data_root: Path | None) -> tuple[str, ...]:
    if data_root is None:
        return ()
    signs = [
        sign
        for pattern, found in KNOWN_BAD.items()
        if fnmatchcase(task.plain_name, pattern)
        for sign in found
    ]
    hits = [(next(iter(data_root.glob(pattern)), None), text) for pattern, text in signs]
    return tuple(dict.fromkeys(f"{hit}: {text}" for hit, text in hits if hit is not None))


def _look(records: Dataset, decode: bool) -> tuple[int, int, dict[str, str], int]:
    """Return how many pictures there are, how many are absent, which are broken, and contents in train and test."""
    columns = [name for name in ("image", "mask") if name in records.column_names]
    parts = records["split"][:] if "split" in records.column_names else [""] * len(records)
    cells: dict[str, tuple[Any, set[str]]] = {}
    for row, (part, record) in enumerate(zip(parts, records.select_columns(columns), strict=True)):
        for name in columns:
            key = record[name]["path"] or f"{name} of record {row}"
            cells.setdefault(key, (record[name], set()))[1].add(part if name == "image" else "")
    absent, broken, content = 0, dict[str, str](), dict[str, set[str]]()
    with ThreadPoolExecutor(THREADS) as pool:
        for key, (digest, reason) in pool.map(
            lambda item: (item[0], _read(item[1][0], decode)), cells.items()
        ):
            if reason is None:
                content.setdefault(digest, set()).update(cells[key][1])
            elif reason == "":
                absent += 1
            else:
                broken[key] = reason
    return len(cells), absent, broken, sum({"train", "test"} <= where for where in content.values())


def _read(cell: Mapping[str, Any], decode: bool) -> tuple[str, str | None]:
    """Return the content's hash and None, or "" and why the picture cannot be used ("" if it is absent)."""
    if cell["bytes"] is None and not Path(as_path(cell["path"])).exists():
        return "", ""
    if not decode:
        return f"{cell['path']}", None
    try:
        data = read_bytes(cell)
        read_image({"bytes": data, "path": cell["path"]})
    except ImageError as error:
        return "", str(error)
    return hashlib.sha256(data).hexdigest(), None


def _remedy(task: Task, found: Passport) -> str:
    if found.data_kind == "mimic":
        return f"Write the miniature again: paco-eval data mimic {task.name} FOLDER."
    if found.absent or found.broken:
        return f"Unpack the original archive again. {task.obtain}"
    return f"Another release, or files added or lost: compare with the official list. {task.obtain}"
