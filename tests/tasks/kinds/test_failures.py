"""Failures never help: whatever could not be read is scored as the worst honest outcome for its own label."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paco_fr.contracts import CROPS
from paco_fr.faces.decode import encode_png
from paco_fr.faces.rotation import rotation_from_angles
from tasks.kinds import load_kind, main_metric
from tasks.lists import PairList, SearchList
from tasks.metrics.failures import angle_errors, pair_scores, predicted_in_all
from tasks.registry import all_tasks
from tasks.task import Task


def declare(kind: str, main: str, **options: object) -> Task:
    return Task("family/set", 1, kind, "module:reader", CROPS["box"], main, "", "", options=options)


N, TOKENS, PARTS = 24, 4, 3


def faces() -> pd.DataFrame:
    """Return labels of all kinds at once: six people with four pictures, three templates a person."""
    rng = np.random.default_rng(0)
    who = [f"p{i // 4}" for i in range(N)]
    masks = rng.integers(0, PARTS, (N, 6, 6)).astype(np.uint8)
    return pd.DataFrame(
        {
            "unit_id": [f"u{i:02d}" for i in range(N)], "group": who, "identity": who,
            "media": [str(i % 4) for i in range(N)], "template": [str(i - (i % 4 == 3)) for i in range(N)],
            "detector_score": rng.uniform(0.5, 1, N),
            "rotation": [turn.tolist() for turn in rotation_from_angles(*rng.uniform(-80, 80, (N, 3)).T)],
            "landmarks": list(rng.normal(size=(N, 5, 2)) * 20 + 50),
            "transform": [np.array([[1.0, 0, 0], [0, 1, 0]])] * N, "canvas": 6,
            "expression": rng.integers(0, 3, N), "attributes": list(rng.integers(0, 2, (N, 4))),
            "mask": [{"bytes": encode_png(mask), "path": "mask.png"} for mask in masks],
        }
    )  # fmt: skip


def listed(names: np.ndarray) -> PairList:
    """Return all pairs of some names, four to a person and in three folds."""
    first, second = (names[side] for side in np.triu_indices(len(names), 1))
    person = {name: at // (len(names) // 6) for at, name in enumerate(names)}
    same = np.array([person[a] == person[b] for a, b in zip(first, second, strict=True)])
    return PairList(first, second, same, np.arange(len(first)) % 3, "made")


NAMES = np.array([f"u{i:02d}" for i in range(N)])
TEMPLATES = np.array([i for i in range(N) if i % 4 != 3])
SUBJECTS = TEMPLATES // 4
ENROLLED = TEMPLATES % 4 == 0
SEARCHED = SearchList(
    TEMPLATES[ENROLLED], SUBJECTS[ENROLLED], SUBJECTS[ENROLLED] % 2, TEMPLATES[~ENROLLED], SUBJECTS[~ENROLLED], "made"
)  # fmt: skip
ABC, GALLERY = ("a", "b", "c"), {"gallery_media": ("0", "1"), "unenrolled": 0.5}
TASKS = [
    declare("pose", "mae", filter=99),
    declare("pose", "geodesic"),
    declare("landmarks", "nme_box"),
    declare("landmarks", "auc7"),
    declare("verification", "auc", impostors=100),
    declare("verification", "eer", impostors=100),
    declare("verification", "tar@far=1e-1", impostors=100),
    declare("verification", "rank1", pairs="gallery_probe", gallery="0", probe="1"),
    declare("verification", "accuracy_10fold", pairs="list", pair_list=listed(NAMES)),
    declare("verification", "accuracy_10fold_grid", pairs="list", pair_list=listed(NAMES)),
    declare("verification", "val_10fold@far=1e-3", pairs="list", pair_list=listed(NAMES)),
    declare("templates", "tar@far=1e-1", pair_list=listed(TEMPLATES)),
    declare("identification", "rank1", **GALLERY),
    declare("identification", "tpir@fpir=1e-1", **GALLERY),
    declare("identification", "tpir_nonmated@fpir=1e-1", **GALLERY),
    declare("identification", "rank1", search_list=SEARCHED),
    declare("classification", "accuracy", classes=ABC),
    declare("classification", "class_mean_accuracy", classes=ABC),
    declare("classification", "macro_f1", classes=ABC),
    declare("multilabel", "mean_accuracy", classes=(*ABC, "d")),
    declare("multilabel", "balanced_accuracy", classes=(*ABC, "d")),
    declare("segmentation", "mean_f1", classes=ABC),
    declare("segmentation", "f1_b", classes=ABC),
    declare("codebook", "belief_accuracy"),
    declare("stability", "same_token"),
    declare("stability", "same_token_covered"),
]
LABELS = faces()


def answered(task: Task, noise: float, rng: np.random.Generator) -> np.ndarray:
    """Return outputs of the task's shape, right or noisy, within what an encoder may honestly say."""
    kind = load_kind(task.kind)
    if task.kind == "segmentation":
        return np.asarray(rng.normal(size=(N, TOKENS, PARTS)))
    best = np.asarray(kind.perfect(LABELS, task), dtype=float)
    if task.kind in ("codebook", "stability"):
        rows = best[rng.integers(0, N, best.shape), np.arange(best.shape[1])]
        return np.where(rng.random(best.shape) < noise, rows, best)
    return best + noise * rng.normal(size=best.shape) * (0.5 if task.kind == "landmarks" else 1.0)


@pytest.mark.parametrize("task", TASKS, ids=[f"{task.kind}-{task.main_metric}" for task in TASKS])
@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    noise=st.floats(0, 2),
    lost=st.sets(st.integers(0, N - 1), min_size=1, max_size=8),
)
def test_losing_any_units_never_gives_a_better_score(
    task: Task, seed: int, noise: float, lost: set[int]
) -> None:
    """A lost gallery entry, a lost picture of a template and a withheld wrong class or mask helped all others."""
    kind, metric = load_kind(task.kind), main_metric(task)
    outputs = answered(task, noise, np.random.default_rng(seed))
    less = outputs.copy()
    less[list(lost)] = np.nan
    before, after = (metric.value(kind.items(found, LABELS, task)) for found in (outputs, less))
    assert after <= before + 1e-9 if metric.higher_is_better else after >= before - 1e-9


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
    labels, kind = faces(), load_kind("identification")
    task = declare("identification", "rank1", gallery_media=("0",), unenrolled=0.5)
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


def test_a_gallery_entry_that_cannot_be_read_stands_first_in_all_other_searches() -> None:
    """It was never found, so that searches for others had one rival less; the row says what became of them."""
    labels, kind = faces(), load_kind("identification")
    task = declare("identification", "rank1", gallery_media=("0",))
    outputs = np.asarray(kind.perfect(labels, task), dtype=float)
    outputs[4] = np.nan  # the entry of the second person
    items = kind.items(outputs, labels, task)
    found = {metric.name: metric.value(items) for metric in kind.metrics(task)}
    assert (found["rank1"], found["rank5"]) == (0.0, pytest.approx(100 * 15 / 18))
    assert items["failure"].value_counts().to_dict() == {
        "an entry of the gallery has no finite output": 15,
        "no finite output": 3,
    }


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


@pytest.mark.parametrize("name", ["affectnet7", "fer2013", "rafdb", "rafdb_challenge", "synthetic"])
def test_a_lost_picture_costs_no_class_that_the_set_does_not_have(name: str) -> None:
    """Sets without contempt had eight classes, so that a lost picture was a false alarm in the F1 of contempt."""
    task, labels = all_tasks()[f"expression/{name}"], faces().head(7).assign(expression=range(7))
    outputs = np.eye(7)
    outputs[0] = np.nan
    found = load_kind("classification").items(outputs, labels, task)
    (macro_f1,) = (m for m in load_kind("classification").metrics(task) if m.name == "macro_f1")
    assert macro_f1.value(found) == pytest.approx(100 * 6 * (2 / 3) / 7)


def test_the_rule_by_hand() -> None:
    assert pair_scores([0.5, np.nan, np.nan], [True, True, False]).tolist() == [0.5, -np.inf, np.inf]
    assert angle_errors([0.0, -95.0, 20.0], 99).tolist() == [99.0, 180.0, 119.0]
    true = np.array([[1.0, 2.0, 0.0], [0.0, 3.0, 1.0]])
    assert predicted_in_all(np.zeros((2, 3)), true, [True, False]).tolist() == [
        [2.0, 1.0, 3.0],
        [0.0, 0.0, 0.0],
    ]
