"""A user's own data as a task, from one ``KIND=PATH``: declared here, read by tasks.readers.folder and .tables.

=================  ====================================================================================
``KIND=PATH``      what lies there
=================  ====================================================================================
``classes=DIR``    ``DIR/CLASS/...`` or ``DIR/{train,test}/CLASS/...``: one folder of pictures a class
``expression=DIR`` the same, the classes being expressions by their canonical names
``points=CSV``     ``image,x0,y0,x1,y1,...`` in pixels (the first pixel's centre is 0,0), one line a face
``angles=CSV``     ``image,yaw,pitch,roll`` in degrees with the signs of :mod:`paco_fr.rotation`
=================  ====================================================================================

A CSV may add ``left,top,right,bottom`` (a box, which is then cut out with a margin; else the whole picture is
used), ``split`` (train, validation or test) and ``group`` (a person or photograph that must stay together).
Pictures are named relative to the CSV. Without parts, a group is test when ``sha256(group) mod 5 == 1``.

A kind is added by a line in :data:`BUILDERS`: a function from the path to its :class:`~tasks.task.Task`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from paco_fr.contracts import CROPS, CropContract
from paco_fr.errors import MissingDataError, PacoError, unknown_name
from tasks.task import Task

OWN = "Your own data; nothing is known of its terms."


def _task(kind: str, path: Path, **fields: Any) -> Task:
    stem = re.sub(r"[^A-Za-z0-9.-]+", "-", path.resolve().stem).strip("-") or "data"
    return Task(
        name=f"own/{kind}-{stem}", version=1, licence=OWN, obtain=f"Make {path} readable.", data_kind="user",
        tags=("user",), tried_on="real data", **fields,
    )  # fmt: skip


def classes(path: Path) -> Task:
    """Return the task of a folder of class folders."""
    names = _class_names(path)
    return _task(
        "classes", path, kind="classification", reader="tasks.readers.folder:read_classes",
        reader_options={"folder": str(path.resolve()), "classes": names}, crop=CROPS["whole"], main_metric="accuracy",
        options={"label": "expression", "classes": names},
    )  # fmt: skip


def expression(path: Path) -> Task:
    """Return the task of a folder of expression folders."""
    task = classes(path)
    from paco_fr.records import EXPRESSIONS

    for name in task.options["classes"]:
        if name not in EXPRESSIONS:
            raise unknown_name("expression folder", name, EXPRESSIONS)
    options = {"folder": str(path.resolve()), "classes": EXPRESSIONS}
    return _task(
        "expression", path, kind="classification", reader=task.reader, reader_options=options, crop=task.crop,
        main_metric="accuracy", options={"label": "expression"},
    )  # fmt: skip


def points(path: Path) -> Task:
    """Return the task of a CSV of points: the error is by the size of their box."""
    return _task(
        "points", path, kind="landmarks", reader="tasks.readers.tables:read_points",
        reader_options={"table": str(path.resolve())}, crop=_crop(path), main_metric="nme_box",
        options={"normaliser": "box", "threshold": 7},
    )  # fmt: skip


def angles(path: Path) -> Task:
    """Return the task of a CSV of head angles."""
    return _task(
        "angles", path, kind="pose", reader="tasks.readers.tables:read_angles",
        reader_options={"table": str(path.resolve())}, crop=_crop(path), main_metric="mae",
    )  # fmt: skip


BUILDERS: dict[str, Callable[[Path], Task]] = {
    "angles": angles,
    "classes": classes,
    "expression": expression,
    "points": points,
}
"""Kind of own data -> its declaration for a path."""


def own_task(text: str) -> Task:
    """Return the task that ``KIND=PATH`` means.

    Raises:
        PacoError: not of that form, or an unknown kind (with the nearest).
        MissingDataError: nothing lies at the path.

    """
    kind, equals, path = text.partition("=")
    if not equals or not path:
        raise PacoError(f"'{text}' is not KIND=PATH. Kinds: {', '.join(BUILDERS)}.")
    if kind not in BUILDERS:
        raise unknown_name("kind of own data", kind, BUILDERS)
    if not Path(path).exists():
        raise MissingDataError(f"{path} does not exist; it was named by '{text}'.")
    return BUILDERS[kind](Path(path))


def _class_names(path: Path) -> tuple[str, ...]:
    """Return the sorted names of the class folders, of all parts together."""
    if not path.is_dir():
        raise PacoError(f"{path} is no folder of class folders.")
    roots = [path / part for part in ("train", "validation", "test") if (path / part).is_dir()] or [path]
    names = sorted({child.name for root in roots for child in root.iterdir() if child.is_dir()})
    if len(names) < 2:
        raise PacoError(f"{path}: {len(names)} class folders; a classification needs at least two.")
    return tuple(names)


def _crop(table: Path) -> CropContract:
    """Return the box crop where the table has boxes, else the whole picture."""
    if not table.is_file():
        raise PacoError(f"{table} is no CSV file.")
    with table.open(newline="", encoding="utf-8-sig") as file:
        header = next(csv.reader(file), [])
    return CropContract("box", margin=0.25, canvas=224) if "left" in header else CropContract("whole", canvas=224)
