"""A few pictures of a row for the report, as its kind of task picks them (:mod:`tasks.kinds.shared.shown`).

Only the pictures are kept, with where they were cut from. What was predicted on them is in the items, of which any
encoder's can be laid over the same pictures; class maps, which items do not hold, are kept beside the pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from paco_eval.rows.artefacts import packed_arrays
from paco_fr.faces.decode import read_image
from paco_fr.utils.errors import PacoError
from tasks.kinds import load_kind
from tasks.kinds.shared.shown import Shown
from tasks.task import Task
from tasks.units import Units

OutputsOf = Callable[[npt.NDArray[np.intp]], npt.NDArray[Any]]
"""What a head says of units by their numbers."""


def samples_of(
    task: Task, items: pd.DataFrame, units: Units, outputs: OutputsOf | None = None
) -> bytes | None:
    """Return the samples file of one row, None where its kind of task cannot be shown on faces."""
    kind = load_kind(task.kind)
    show, paint = getattr(kind, "shown", None), getattr(kind, "painted", None)
    if show is None:
        return None
    places = {name: unit for unit, name in enumerate(units.labels["unit_id"].astype(str))}
    found = [cut for one in show(items, units.labels, task) for cut in _cut(one, units, places)]
    if not found:
        return None
    arrays = {name: [cut[name] for cut in found] for name in found[0]}
    numbers = np.array(arrays.pop("unit"), dtype=np.intp)
    if paint is not None and outputs is not None:
        arrays["masks"] = paint(outputs(numbers), units.labels.iloc[numbers], task)
    return packed_arrays(f"samples of {task.name}", "samples", **arrays)


def _cut(one: Shown, units: Units, places: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    for side, name in ((side, name) for side, names in enumerate(one.sides) for name in names):
        if (unit := places.get(str(name))) is None:
            continue
        source = units.records[int(units.rows[unit])]["image"]
        try:
            image = units.cut(read_image(source), unit)
        except PacoError:
            continue
        seen = units.labels["visible"].iloc[unit] if "visible" in units.labels else None
        yield {
            "images": image, "ids": str(name), "roles": one.role, "items": one.item, "sides": side, "unit": unit,
            "transforms": units.transforms[unit],
            "visible": np.ones(0, dtype=bool) if seen is None else np.asarray(seen, dtype=bool),
        }  # fmt: skip
