"""Test faces of a synthetic task drawn again under an occluder or a light, everything else the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.task import Task

if TYPE_CHECKING:
    from datasets import Dataset

    from paco_fr.synthetic import FaceSpec

SEVERITIES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Of levels 1 to 5."""


def cell_spec(task: Task, kind: str, level: int) -> FaceSpec:
    """Return what is rendered for one kind and level of a derived task."""
    from paco_fr.synthetic import FaceSpec

    assert task.sweep is not None
    options: dict[str, Any] = dict(task.reader_options)
    first, tested = options.pop("train") + options.pop("validation"), options.pop("test")
    severity = SEVERITIES[level - 1]
    if task.sweep.factor == "occlusion":
        options |= {"occluders": (kind,), "occluder_share": 1.0, "occluder_severity": severity}
    else:
        options |= {"lights": (kind,), "light_severity": severity}
    shown = tested if task.sweep.identities is None else min(tested, task.sweep.identities)
    return FaceSpec(identities=shown, first_identity=first, **options)


def read_cell(task: Task, kind: str, level: int, people: int | None = None) -> Dataset:
    """Return the face records of one kind and level, all in the part ``test``; of the first so many people."""
    from paco_fr.faces.records import COLUMNS
    from paco_fr.synthetic.dataset import stored_records

    records = stored_records(cell_spec(task, kind, level), identities=people, progress=True)
    return records.add_column("split", ["test"] * len(records), feature=COLUMNS["split"])
