"""A few pictures of a row for the report: the same faces for every encoder, its own worst, its hardest pairs.

Only the pictures are kept, with where they were cut from. What was predicted on them is in the items, of which any
encoder's can be laid over the same pictures.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from paco_eval.rows.artefacts import packed_arrays
from paco_fr.faces.decode import read_image
from paco_fr.utils.errors import PacoError
from tasks.task import Task
from tasks.units import Units

SHARED, WORST, PAIR = "shared", "worst", "pair"
"""Why a picture is kept: every encoder is shown on it; this one did worst on it; it is of a pair this one did worst on."""
FACES, OWN, PAIRS = 6, 2, 3
"""How many: shared faces, an encoder's worst ones, and pairs of one person and of two."""
SHOWN = ("landmarks", "pose", "classification")
"""Kinds of task whose prediction can be shown on one face."""


def samples_of(task: Task, items: pd.DataFrame, units: Units) -> bytes | None:
    """Return the samples file of one row, None where its kind of task cannot be shown on faces."""
    if task.kind not in (*SHOWN, "verification"):
        return None
    found: list[dict[str, Any]] = []
    for role, wanted in _picked(task, items, units):
        found += _cut(role, wanted, units)
    if not found:
        return None
    visible = [cut.pop("visible") for cut in found]
    return packed_arrays(
        f"samples of {task.name}", "samples",
        **{name: [cut[name] for cut in found] for name in found[0]}, visible=visible,
    )  # fmt: skip


def _picked(task: Task, items: pd.DataFrame, units: Units) -> Iterator[tuple[str, list[str]]]:
    """Yield why pictures are kept, and the names of their units."""
    if task.kind == "verification":
        pairs = hardest_pairs(items)
        yield PAIR, list(dict.fromkeys(pairs[["id_a", "id_b"]].to_numpy().ravel()))
        return
    shared = shared_faces(units.labels[units.labels["unit_id"].isin(items["id"])])
    yield SHARED, shared
    known = items[(items["failure"] == "") & ~items["id"].isin(shared)]
    key = known["error"] + known.get("confidence", 0.0)  # of wrong classes the surest is the worst
    yield WORST, known.loc[key.sort_values(ascending=False, kind="stable").index[:OWN], "id"].tolist()


def shared_faces(labels: pd.DataFrame) -> list[str]:
    """Return the units that every encoder is shown on: from one profile to the other where the yaw is known.

    They depend on the data alone, so rows of several runs show the same faces.
    """
    yaw = labels["yaw"] if "yaw" in labels else pd.Series(0.0, index=labels.index)
    known = pd.DataFrame({"yaw": yaw.astype(float), "unit": labels["unit_id"].astype(str)})
    order = known.sort_values(["yaw", "unit"])["unit"].tolist()
    places = np.linspace(0, len(order) - 1, min(FACES, len(order))).round().astype(int)
    return [order[place] for place in places]


def hardest_pairs(items: pd.DataFrame) -> pd.DataFrame:
    """Return the items of the least alike pairs of one person, then of the most alike pairs of two people.

    No picture is in two of them, so that one bad photograph is not all there is to see.
    """
    known = items[(items["failure"] == "") & np.isfinite(items["score"].astype(float))]
    kept: list[Any] = []
    seen: set[str] = set()
    for same in (True, False):
        side = known[known["truth"].astype(bool) == same].sort_values("score", ascending=same, kind="stable")
        before = len(kept)
        for index, a, b in zip(side.index, side["id_a"], side["id_b"], strict=True):
            if len(kept) - before == PAIRS:
                break
            if not {a, b} & seen:
                seen |= {a, b}
                kept.append(index)
    return known.loc[kept]


def _cut(role: str, names: list[str], units: Units) -> Iterator[dict[str, Any]]:
    place = {name: unit for unit, name in enumerate(units.labels["unit_id"].astype(str))}
    for name in names:
        if (unit := place.get(str(name))) is None:
            continue
        source = units.records[int(units.rows[unit])]["image"]
        try:
            image = units.cut(read_image(source), unit)
        except PacoError:
            continue
        seen = units.labels["visible"].iloc[unit] if "visible" in units.labels else None
        yield {
            "images": image, "ids": str(name), "roles": role, "transforms": units.transforms[unit],
            "visible": np.ones(0, dtype=bool) if seen is None else np.asarray(seen, dtype=bool),
        }  # fmt: skip
