"""Which pictures people are shown of searches, templates, class maps and attributes."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from paco_fr.contracts import CROPS
from tasks.kinds import load_kind
from tasks.kinds.shared.shown import PICTURES, Shown
from tasks.lists import PairList, SearchList
from tasks.task import Task


def declare(kind: str, **options: object) -> Task:
    return Task("family/set", 1, kind, "module:reader", CROPS["box"], "", "", "", options=options)


def shown(kind: str, outputs: Any, labels: pd.DataFrame, task: Task) -> list[Shown]:
    module: Any = load_kind(kind)
    return list(module.shown(module.items(outputs, labels, task), labels, task))


def test_a_search_shows_probe_wrong_match_and_the_person_itself() -> None:
    """Searches kept no picture at all, so nobody saw whom an encoder took for whom."""
    people = ["ann", "ben", "cid", "ann", "ben", "cid"]
    labels = pd.DataFrame(
        {
            "unit_id": [f"{who}-{at // 3}" for at, who in enumerate(people)],
            "group": people,
            "identity": people,
            "media": ["mugshot"] * 3 + ["photo"] * 3,
        }
    )
    outputs = np.eye(3)[[0, 1, 2, 0, 2, 2]] + 0.1 * np.eye(3)[[0, 1, 2, 0, 1, 2]]  # Ben looks like Cid
    first, *others = shown(
        "identification", outputs, labels, declare("identification", gallery_media=["mugshot"])
    )
    assert first == Shown("pair", "ben-1", (("ben-1",), ("cid-0",), ("ben-0",)))
    assert {one.sides for one in others} == {(("ann-1",), ("ann-0",)), (("cid-1",), ("cid-0",))}


def templates() -> tuple[pd.DataFrame, np.ndarray]:
    """Return labels and embeddings of four templates: 1 and 2 of one subject but unlike, 3 and 4 of two and alike."""
    number = np.repeat([1, 2, 3, 4], [6, 1, 1, 1])
    labels = pd.DataFrame(
        {"unit_id": [f"u{at}" for at in range(9)], "group": [f"s{n}" for n in number], "template": number,
         "media": range(9), "detector_score": 1.0}
    )  # fmt: skip
    return labels, np.eye(3)[np.array([0, 0, 1, 2, 2])[number]]


def test_templates_show_their_hardest_pairs_with_a_few_pictures_each() -> None:
    labels, outputs = templates()
    listed = PairList(
        np.array([1, 3, 1]),
        np.array([2, 4, 3]),
        np.array([True, False, False]),
        np.empty(0, np.int64),
        "made",
    )
    genuine, impostor = shown("templates", outputs, labels, declare("templates", pair_list=listed))
    assert (genuine.item, impostor.item) == ("1 2", "3 4")
    assert genuine.sides == (tuple(f"u{at}" for at in range(PICTURES)), ("u6",))


def test_a_search_of_templates_shows_pictures_of_templates() -> None:
    labels, outputs = templates()
    listed = SearchList(
        np.array([2, 3]), np.array([10, 20]), np.zeros(2, np.int64), np.array([4]), np.array([10]), "made"
    )
    (one,) = shown("identification", outputs, labels, declare("identification", search_list=listed))
    assert one == Shown("pair", "4", (("u8",), ("u7",), ("u6",)))


def test_a_predicted_class_map_is_kept_as_it_is_scored() -> None:
    """Of parsing no prediction was kept, so a report could not show one."""
    mask = np.zeros((64, 64), np.uint8)
    mask[16:48, 32:] = 2
    stream = io.BytesIO()
    Image.fromarray(mask).save(stream, "PNG")
    labels = pd.DataFrame(
        {"unit_id": ["a"], "mask": [{"bytes": stream.getvalue(), "path": None}],
         "transform": [np.eye(2, 3)], "canvas": [64], "group": ["a"]}
    )  # fmt: skip
    task, kind = declare("segmentation", classes=["background", "nose", "hair"]), load_kind("segmentation")
    tokens = np.eye(3)[mask[4::8, 4::8].ravel()][None]  # a grid of 8 x 8 tokens that know their classes
    truth, said = kind.painted(tokens, labels, task)[0]  # type: ignore[attr-defined]
    assert (truth == kind.targets(labels, task)[0]).all()
    assert (said != truth).mean() < 0.01  # corners are cut
    assert kind.painted(np.full_like(tokens, np.nan), labels, task)[0, 1].max() == 0  # type: ignore[attr-defined]


def test_attributes_show_the_faces_with_most_of_them_wrong() -> None:
    truth = np.zeros((9, 4))
    labels = pd.DataFrame(
        {"unit_id": [f"{at}" for at in range(9)], "group": "g", "yaw": [0.0, *range(10, 90, 10)],
         "attributes": truth.tolist()}
    )  # fmt: skip
    outputs = truth.copy()
    outputs[[3, 6]] = [[1, 1, 1, 0], [1, 0, 0, 0]]
    found = shown("multilabel", outputs, labels, declare("multilabel", classes=list("abcd")))
    shared = [one.item for one in found if one.role == "shared"]
    worst = [one.item for one in found if one.role == "worst"]
    assert len(shared) == 6 and not set(shared) & set(worst)
    assert worst[0] == next(name for name in ("3", "6", "1") if name not in shared)
