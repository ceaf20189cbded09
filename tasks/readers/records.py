"""The face records of a task: what its reader says, with points that lie beside the set where its crop needs them."""

from __future__ import annotations

from pathlib import Path

from datasets import Dataset

from paco_fr.faces.records import BESIDE
from tasks.task import Task, resolve


def records_of(task: Task, data_root: Path | None) -> Dataset:
    """Return the face records of a task.

    Points of ``landmarks.parquet`` in the folder of the set, see :mod:`paco_fr.data.points`, join them where faces are
    cut by a template and come without points. The other columns, and so all other crops, are what they are without it.
    """
    records: Dataset = resolve(task.reader)(data_root, **task.reader_options)
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
