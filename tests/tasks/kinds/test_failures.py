"""Failures never help: whatever could not be read is scored as the worst honest outcome for its own label."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from paco_fr.contracts import CROPS
from paco_fr.faces.rotation import rotation_from_angles
from tasks.kinds import load_kind, main_metric
from tasks.lists import PairList, SearchList
from tasks.metrics.failures import angle_errors, pair_scores, wrong_classes
from tasks.task import Task


def declare(kind: str, main: str, **options: object) -> Task:
    return Task("family/set", 1, kind, "module:reader", CROPS["box"], main, "", "", options=options)


def people(n: int = 48) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    angles = rng.uniform(-80, 80, (n, 3))
    who = [f"p{i // 4:02d}" for i in range(n)]
    return pd.DataFrame(
        {
            "unit_id": [f"u{i:02d}" for i in range(n)], "group": who, "identity": who,
            "media": ["gallery" if i % 4 == 0 else "probe" for i in range(n)],
            "rotation": [turn.tolist() for turn in rotation_from_angles(*angles.T)],
            "landmarks": list(rng.normal(size=(n, 5, 2)) * 20 + 50),
            "transform": [np.array([[1.0, 0, 0], [0, 1, 0]])] * n, "canvas": 100,
            "expression": rng.integers(0, 3, n), "attributes": list(rng.integers(0, 2, (n, 4))),
        }
    )  # fmt: skip


LIST = PairList(
    np.array([f"u{i:02d}" for i in range(0, 40)]),
    np.array([f"u{i:02d}" for i in [*range(1, 21), *range(28, 48)]]),
    np.arange(40) < 20,
    np.arange(40) % 4,
    "made",
)
TASKS = [
    declare("pose", "mae"),
    declare("pose", "geodesic"),
    declare("landmarks", "nme_box"),
    declare("landmarks", "auc7"),
    declare("verification", "auc", impostors=300),
    declare("verification", "eer", impostors=300),
    declare("verification", "tar@far=1e-1", impostors=300),
    declare("verification", "tar_nearest@far=1e-3", pairs="list", pair_list=LIST),
    declare("identification", "tpir_nonmated@fpir=1e-1", gallery_media=("gallery",), unenrolled=0.4),
    declare("classification", "accuracy", classes=("a", "b", "c")),
    declare("multilabel", "mean_accuracy", classes=("a", "b", "c", "d")),
]


@pytest.mark.parametrize("task", TASKS, ids=[f"{task.kind}-{task.main_metric}" for task in TASKS])
def test_losing_units_never_gives_a_better_score(task: Task) -> None:
    kind, labels, rng = load_kind(task.kind), people(), np.random.default_rng(1)
    best = np.asarray(kind.perfect(labels, task), dtype=float)
    metric, noise = main_metric(task), 0.01 if task.kind == "landmarks" else 0.05
    for _ in range(12):
        outputs = best + rng.normal(size=best.shape) * noise * rng.integers(0, 20)
        lost = outputs.copy()
        candidates = np.flatnonzero(
            labels["media"] != "gallery" if task.kind == "identification" else np.ones(48)
        )
        lost[rng.choice(candidates, rng.integers(1, 12), replace=False)] = np.nan
        whole, less = (metric.value(kind.items(found, labels, task)) for found in (outputs, lost))
        assert less <= whole + 1e-9 if metric.higher_is_better else less >= whole - 1e-9


def test_impostor_pairs_that_cannot_be_read_are_accepted() -> None:
    """Seven genuine pairs read and seven impostor pairs whose pictures are missing: a constant scored 100."""
    ids = np.array([f"u{i:02d}" for i in range(28)])
    pairs = PairList(ids[::2], ids[1::2], np.arange(14) % 2 == 0, np.empty(0, np.int64), "made")
    task = declare("verification", "accuracy_10fold", pairs="list", pair_list=pairs)
    labels = pd.DataFrame({"unit_id": ids, "group": [f"pair {i // 2}" for i in range(28)]})
    outputs = np.ones((28, 3))
    outputs[[i for i in range(28) if i // 2 % 2]] = np.nan
    kind = load_kind("verification")
    items = kind.items(outputs, labels, task)
    found = {metric.name: metric.value(items) for metric in kind.metrics(task)}
    assert found["auc"] == 0.0
    assert found["accuracy_10fold"] <= 50.0
    assert (items["failure"] != "").sum() == 7


def test_a_template_that_cannot_be_read_is_a_miss_and_an_alarm() -> None:
    """It was zero, alike to nothing: rejected, as impostors should be."""
    labels = pd.DataFrame(
        {"unit_id": list("abcdef"), "group": list("112233"), "template": list("112233"),
         "media": list("123456"), "detector_score": 1.0}
    )  # fmt: skip
    pairs = PairList(
        np.array([1, 1, 2]), np.array([1, 2, 3]), np.array([True, False, False]), np.empty(0, np.int64), ""
    )
    task, kind = declare("templates", "tar@far=1e-1", pair_list=pairs), load_kind("templates")
    outputs = np.eye(3)[[0, 0, 1, 1, 2, 2]]

    def rates(found: np.ndarray) -> tuple[float, float]:
        items = kind.items(found, labels, task)
        values = {metric.name: metric.value(items) for metric in kind.metrics(task)}
        return values["tar@far=1e-1"], values["tar_nearest@far=1e-1"]

    assert rates(outputs) == (100.0, 100.0)
    outputs[4:] = np.nan  # of template 3, which an impostor pair names
    assert rates(outputs) == (0.0, 0.0)


def test_a_probe_that_cannot_be_read_is_a_miss_and_an_alarm() -> None:
    """A search for somebody who is not in the gallery raised no alarm when its picture was lost."""
    labels, kind = people(), load_kind("identification")
    task = declare("identification", "rank1", gallery_media=("gallery",), unenrolled=0.4)
    outputs = np.asarray(kind.perfect(labels, task), dtype=float)
    whole = kind.items(outputs, labels, task)
    stranger, mated = whole.index[~whole["mated"]][0], whole.index[whole["mated"]][0]
    for probe in (whole["id"][stranger], whole["id"][mated]):
        outputs[labels.index[labels["unit_id"] == probe]] = np.nan
    items = kind.items(outputs, labels, task)
    assert items["nonmated_score"][stranger] == np.inf
    assert np.isnan(items["mate_score"][mated])
    found = {metric.name: metric.value(items) for metric in kind.metrics(task)}
    assert found["achieved_fpir@1e-2"] == 0.0
    assert found["tpir_nonmated@fpir=1e-2"] == found["tpir@fpir=1e-2"] == 0.0  # nothing lies above the alarm
    assert found["rank1"] == pytest.approx(100 * (1 - 1 / whole["mated"].sum()))


def test_ties_in_a_search_are_ties_however_products_round() -> None:
    """A constant encoder, three in the gallery, scored 50 where a fair draw gives a third."""
    labels = pd.DataFrame(
        {
            "unit_id": list("abcd"),
            "group": list("wxyw"),
            "identity": list("wxyw"),
            "media": ["1", "1", "1", "2"],
        }
    )
    task, kind = declare("identification", "rank1", gallery_media=("1",)), load_kind("identification")
    items = kind.items(np.tile(np.linspace(0.1, 1, 8), (4, 1)), labels, task)
    assert main_metric(task).value(items) == pytest.approx(100 / 3)
    names = np.arange(4)
    labels = labels.assign(
        template=names.astype(str), media=names.astype(str), detector_score=[0.3, 0.7, 0.9, 0.4]
    )
    listed = SearchList(names[:3], names[:3], np.zeros(3, np.int64), names[3:], names[:1], "made")
    pooled = declare("identification", "rank1", search_list=listed)
    same = np.tile(np.linspace(0.1, 1, 8, dtype=np.float32), (4, 1))
    assert main_metric(pooled).value(kind.items(same, labels, pooled)) == pytest.approx(100 / 3)


def test_the_rule_by_hand() -> None:
    assert pair_scores([0.5, np.nan, np.nan], [True, True, False]).tolist() == [0.5, -np.inf, np.inf]
    assert angle_errors([0.0, -95.0, 20.0], 99).tolist() == [99.0, 180.0, 119.0]
    mask = np.array([[0, 1, 1], [2, 0, 1]], dtype=np.uint8)
    assert wrong_classes(mask).tolist() == [[1, 0, 0], [0, 1, 0]]
    assert (wrong_classes(np.zeros((2, 2), np.uint8)) != 0).all()
