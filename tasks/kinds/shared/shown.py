"""What of a task people are shown: the same faces whoever is measured, the worst of each, the hardest comparisons."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tasks.task import Task

SHARED, WORST, PAIR = "shared", "worst", "pair"
"""Why a picture is kept: every encoder is shown on it; this one did worst on it; it is of a comparison that this one
did worst on."""
FACES, OWN, PAIRS = 6, 2, 3
"""How many: shared faces, an encoder's worst ones, and comparisons of one person and of two."""
PICTURES = 4
"""Pictures of one side of a comparison at most."""


class Shown(NamedTuple):
    """A scored thing whose pictures are kept.

    Attributes:
        role: why, one of the three above.
        item: its id among the items.
        sides: units of its pictures: one side of one for a face, two or three sides for a comparison.

    """

    role: str
    item: str
    sides: tuple[tuple[str, ...], ...]


def faces_shown(items: pd.DataFrame, labels: pd.DataFrame, task: Task) -> list[Shown]:
    """Return shared faces, and those with the largest ``error``; of classes the surest of the wrong ones."""
    shared = shared_faces(labels[labels["unit_id"].isin(items["id"])])
    known = items[(items["failure"] == "") & ~items["id"].isin(shared)]
    key = known["error"] + known.get("confidence", 0.0)
    worst = known.loc[key.sort_values(ascending=False, kind="stable").index[:OWN], "id"]
    return [
        Shown(role, name, ((name,),))
        for role, names in ((SHARED, shared), (WORST, worst.astype(str)))
        for name in names
    ]


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

    Nobody is in two of them, so that one bad photograph is not all there is to see.
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
