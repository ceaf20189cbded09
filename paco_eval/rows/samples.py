"""A few faces of a row with what was predicted and what is true, for the report."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from paco_eval.rows.artefacts import packed_arrays
from paco_fr.faces.crop import apply, crop_image
from paco_fr.faces.decode import read_image
from paco_fr.utils.errors import PacoError
from tasks.kinds.classification import class_names
from tasks.task import Task
from tasks.units import Units

COUNT = 8
"""Faces kept: evenly spaced from the best to the worst error, so that failures show, too."""

Item = Mapping[Hashable, Any]


def samples_of(task: Task, items: pd.DataFrame, units: Units) -> bytes | None:
    """Return the samples file of one row, None where its kind of task cannot be shown on a face.

    Points, of landmark tasks, are in pixels of the canvas; other kinds say prediction and truth in words.
    """
    if task.kind not in CAPTIONS:
        return None
    ranked = _ranked(items[items["failure"] == ""])
    picked = ranked.iloc[
        np.unique(np.linspace(0, len(ranked) - 1, min(COUNT, len(ranked))).round().astype(int))
    ]
    place = {name: unit for unit, name in enumerate(units.labels["unit_id"])}
    images, predicted, truth, visible, names = [], [], [], [], []
    for item in picked.to_dict("records"):
        unit = place[item["id"]]
        source = units.records[int(units.rows[unit])]["image"]
        try:
            images.append(crop_image(read_image(source), units.transforms[unit], units.canvas))
        except PacoError:
            continue
        own, true = (_points(item, name, units.transforms[unit], task) for name in ("prediction", "truth"))
        seen = units.labels["visible"].iloc[unit] if "visible" in units.labels and len(true) else None
        predicted.append(own)
        truth.append(true)
        visible.append(np.ones(len(true), dtype=bool) if seen is None else np.asarray(seen, dtype=bool))
        names.append(CAPTIONS[task.kind](item, task))
    if not images:
        return None
    return packed_arrays(
        f"samples of {task.name}", "samples",
        images=images, predicted=predicted, truth=truth, visible=visible, names=names,
    )  # fmt: skip


def _ranked(items: pd.DataFrame) -> pd.DataFrame:
    """Return items from the best to the worst; of right and of wrong classes the surest are the ends."""
    key = items["error"]
    if "confidence" in items:
        key = key + np.where(key > 0, items["confidence"], 1 - items["confidence"])
    return items.loc[key.sort_values(kind="stable").index]


def _points(item: Item, name: str, transform: npt.NDArray[np.float64], task: Task) -> npt.NDArray[np.float64]:
    if task.kind != "landmarks":
        return np.empty((0, 2))
    return np.asarray(apply(transform, np.asarray(item[name], dtype=np.float64)))


def _of_landmarks(item: Item, task: Task) -> str:
    return f"{item['id']}  {item['error']:.1f} %"


def _of_pose(item: Item, task: Task) -> str:
    said, true = (
        "/".join(f"{item[f'{angle}_{side}']:.0f}" for angle in ("yaw", "pitch", "roll"))
        for side in ("pred", "true")
    )
    return f"{said}° for {true}°"


def _of_class(item: Item, task: Task) -> str:
    said, true = (class_names(task)[int(item[name])] for name in ("prediction", "truth"))
    return said if said == true else f"{said} for {true}"


CAPTIONS: dict[str, Callable[[Item, Task], str]] = {
    "landmarks": _of_landmarks,
    "pose": _of_pose,
    "classification": _of_class,
}
"""By kind of task, the line under a face."""
