"""The face records of a task: what its reader says, with points that lie beside the set where its crop needs them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

from datasets import Dataset

from paco_fr.faces.records import BESIDE
from tasks.task import Task, resolve

RENDERED = "tasks.readers.synthetic."
"""Where the readers live whose faces are as the renderer drew them."""


def records_of(
    task: Task, data_root: Path | None, limit: int | None = None, *, planned: bool = False
) -> Dataset:
    """Return the face records of a task.

    A reader whose pictures cost something to have may take ``limit`` and leave out what lies beyond, and ``planned`` and
    give the same records without the pictures that are not there yet.

    Points of ``landmarks.parquet`` in the folder of the set, see :mod:`paco_fr.data.points`, join them where faces are
    cut by a template and come without points. The other columns, and so all other crops, are what they are without it.

    Args:
        task: the declaration, bound to its data.
        data_root: folder of the data sets.
        limit: so many pictures of each part are going to be used.
        planned: pictures are not going to be looked at.

    """
    read: Callable[..., Dataset] = resolve(task.reader)
    takes = inspect.signature(read).parameters.keys() - task.reader_options.keys()
    asked = {name: value for name, value in (("limit", limit), ("planned", planned)) if name in takes}
    records = read(data_root, **task.reader_options, **asked)
    if "drawn" in records.column_names and not task.reader.startswith(RENDERED):
        records = records.remove_columns("drawn")  # another reader may have changed what was drawn
    if task.crop.rule != "template" or "landmarks" in records.column_names:
        return records
    folder = folder_of(task, data_root)
    path = folder / BESIDE if folder is not None else None
    if path is None or not path.is_file():
        return records
    from paco_fr.data.points import with_points  # imported late: few sets have such a file

    return with_points(records, path)


def folder_of(task: Task, data_root: Path | None) -> Path | None:
    """Return the folder of a task's data, None where they are drawn or a table says where they lie."""
    own = task.reader_options.get("folder")
    if not task.files and isinstance(own, str) and Path(own).is_dir():
        return Path(own)
    tops = {Path(name).parts[0] for name in task.files}
    return data_root / tops.pop() if data_root is not None and len(tops) == 1 else None
