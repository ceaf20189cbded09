"""Of recognition the pairs and searches that each encoder did worst on, and what the others make of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from paco_eval.rows.schema import Row

FAR = 0.01
"""Rate of false accepts at which a pair is called accepted, where the main metric names no other."""
TEMPLATES = 600
"""Templates whose pairs of two subjects say how alike strangers are."""

Item = Mapping[str, Any]
Sides = Mapping[str, Mapping[str, Sequence[Sequence[str]]]]
"""By line and item of a comparison, the units of each side."""
Verdicts = Callable[[pd.DataFrame, Sequence[str], Row], dict[str, dict[str, Any]]]
"""What an encoder makes of comparisons, by item."""


def item_of(frame: pd.DataFrame, name: str) -> Item:
    """Return one line of items that are indexed by their ids."""
    place = int(np.flatnonzero(frame.index == name)[0])
    return {str(column): frame[column].iloc[place] for column in frame}


def comparisons(
    kind: str,
    told: Sequence[tuple[str, Row]],
    frames: Mapping[str, pd.DataFrame],
    sides: Sides,
    pictures: Mapping[str, int],
) -> dict[str, Any]:
    """Return for each line the comparisons that it did worst on, and what every line makes of them.

    Args:
        kind: of :data:`COMPARED`.
        told: line and row of the encoders.
        frames: items of each line.
        sides: of each line what it did worst on.
        pictures: number on the page of every unit that is kept.

    """
    _, (verdicts, over) = COMPARED[kind]
    sets = []
    for label, _ in told:
        shown = sides.get(label, {})
        said = {other: verdicts(frames[other], list(shown), row) for other, row in told}
        shown = {
            item: units for item, units in shown.items() if all(item in cells for cells in said.values())
        }
        if not shown:
            continue
        columns = [
            {
                "id": item,
                "sides": [[pictures[name] for name in side] for side in units],
                **over(said[label][item], len(units)),
            }
            for item, units in shown.items()
        ]
        lines = [{"label": other, "cells": [cells[item] for item in shown]} for other, cells in said.items()]
        sets.append({"label": label, "columns": columns, "rows": lines})
    return {"sets": sets, "far": f"{100 * _far(told[0][1]):g} %"} if sets else {}


def _over_pair(cell: Mapping[str, Any], sides: int) -> dict[str, Any]:
    return {"t": "one person" if cell["same"] else "two people", "same": cell["same"], "heads": []}


def _over_search(cell: Mapping[str, Any], sides: int) -> dict[str, Any]:
    heads = ["searched", "taken for", "itself"] if sides > 2 else ["searched", "found"]
    return {"t": "", "same": sides < 3, "heads": heads}


def _of_pairs(frame: pd.DataFrame, items: Sequence[str], row: Row) -> dict[str, dict[str, Any]]:
    scores = frame.loc[~frame["truth"].astype(bool), "score"].to_numpy(dtype=np.float64)
    strangers = np.sort(scores[np.isfinite(scores)])
    told = {name: item_of(frame, name) for name in items if name in frame.index}
    far = _far(row)
    return {
        name: _verdict(float(item["score"]), bool(item["truth"]), strangers, far)
        for name, item in told.items()
    }


def _of_templates(frame: pd.DataFrame, items: Sequence[str], row: Row) -> dict[str, dict[str, Any]]:
    some = frame.iloc[np.unique(np.linspace(0, len(frame) - 1, min(TEMPLATES, len(frame))).astype(int))]
    units, group = np.stack(some["embedding"].to_list()), some["group"].to_numpy(dtype=str)
    strangers = np.sort((units @ units.T)[group[:, None] < group])
    far, found = _far(row), {}
    for name in items:
        pair = name.split(" ")
        if len(pair) == 2 and set(pair) <= set(frame.index):
            one, other = (item_of(frame, side) for side in pair)
            score = float(np.dot(one["embedding"], other["embedding"]))
            found[name] = _verdict(score, one["group"] == other["group"], strangers, far)
    return found


def _far(row: Row) -> float:
    name, _, rate = row.main_metric.partition("far=")
    return float(rate) if rate and name.startswith("tar") else FAR


def _verdict(score: float, same: bool, strangers: npt.NDArray[np.floating], far: float) -> dict[str, Any]:
    """Return what is said of a pair beside the scores of pairs of two people, sorted."""
    if not np.isfinite(score) or not len(strangers):
        return {"t": "failed", "same": same}
    threshold = strangers[min(len(strangers) - 1, int(np.ceil((1 - far) * len(strangers))))]
    accepted = bool(score > threshold)
    above = 100 * np.searchsorted(strangers, score) / len(strangers)
    return {
        "t": "accepted" if accepted else "rejected",
        "ok": accepted == same,
        "v": round(float(above), 1),
        "s": f"above {above:.0f} % of impostors",
        "same": same,
    }


def _of_searches(frame: pd.DataFrame, items: Sequence[str], row: Row) -> dict[str, dict[str, Any]]:
    found = {}
    for name in (name for name in items if name in frame.index):
        item = item_of(frame, name)
        right, place = item["prediction"] == item["truth"], int(item["above"] + item["equal"]) + 1
        found[name] = {
            "t": "found" if right else f"takes {item['prediction']}" if item["prediction"] else "failed",
            "ok": bool(right),
            "s": "" if right else f"itself at place {place:,}",
        }
    return found


COMPARED: dict[str, tuple[set[str], tuple[Verdicts, Callable[[Mapping[str, Any], int], dict[str, Any]]]]] = {
    "verification": ({"id_a", "id_b", "score", "truth"}, (_of_pairs, _over_pair)),
    "templates": ({"embedding", "pictures"}, (_of_templates, _over_pair)),
    "identification": ({"mated", "above", "prediction"}, (_of_searches, _over_search)),
}
"""By kind of task the columns of items by which it is known, what is said of comparisons, and what stands over them."""
