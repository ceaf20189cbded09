"""What all kinds owe: a perfect predictor scores best, failures are stated, nothing depends on order."""

import numpy as np
import pandas as pd
import pytest

from paco_eval.probes.solvers import load_solver
from paco_eval.rows.compact import plain_cells
from paco_fr.contracts import CROPS
from paco_fr.faces.rotation import rotation_from_angles
from paco_fr.utils.errors import PacoError
from tasks.kinds import KINDS, load_kind, main_metric
from tasks.kinds.shared.labels import stacked
from tasks.task import Task


def declare(kind: str, main_metric: str, **options: object) -> Task:
    return Task("family/set", 1, kind, "module:reader", CROPS["box"], main_metric, "", "", options=options)


TASKS = [
    declare("pose", "mae"),
    declare("landmarks", "nme_box", corners=(36, 45), visibility=True),
    declare(
        "landmarks",
        "nme_interocular",
        normaliser="outer_corners",
        corners=(18, 27),
        pupils=(0, 1),
        threshold=10,
    ),
    declare("verification", "auc", pairs="sampled", impostors=500),
    declare("verification", "auc", pairs="gallery_probe", gallery="neutral", probe="smiling"),
    declare("classification", "accuracy"),
]
NAMES = [f"{task.kind}-{i}" for i, task in enumerate(TASKS)]


def faces(n: int = 80, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    angles = rng.uniform(-80, 80, (n, 3))
    person = [f"person{i // 4:02d}" for i in range(n)]
    shear = rng.normal(size=(n, 2, 3)) * 0.1 + [[0.5, 0, 7], [0, 0.5, -3]]
    return pd.DataFrame(
        {
            "unit_id": [f"unit{i:03d}" for i in rng.permutation(n)],
            "image_id": [f"image{i:03d}" for i in range(n)],
            "group": person,
            "identity": person,
            "rotation": [r.tolist() for r in rotation_from_angles(*angles.T)],
            "yaw": angles[:, 0].astype(np.float32),
            "landmarks": [list(points) for points in rng.normal(size=(n, 68, 2)) * 30 + 150],
            "visible": list(rng.random((n, 68)) < 0.7),
            "transform": list(shear),
            "canvas": 112,
            "expression": rng.integers(0, 8, n),
            "media": np.where(np.arange(n) % 2, "smiling", "neutral"),
            "subsets": [["dark"] if i % 3 else [] for i in range(n)],
        }
    )


def values(task: Task, items: pd.DataFrame) -> dict[str, float]:
    return {metric.name: metric.value(items) for metric in load_kind(task.kind).metrics(task)}


@pytest.mark.parametrize("task", TASKS, ids=NAMES)
def test_perfect_scores_the_best(task):
    kind, labels = load_kind(task.kind), faces()
    items = kind.items(kind.perfect(labels, task), labels, task)
    for metric in kind.metrics(task):
        assert metric.value(items) == pytest.approx(metric.best, abs=1e-9), metric.name
    assert task.main_metric in values(task, items)
    assert (items["failure"] == "").all()


@pytest.mark.parametrize("task", TASKS, ids=NAMES)
def test_failures_are_counted_and_never_better_than_perfect(task):
    kind, labels = load_kind(task.kind), faces()
    outputs = np.array(kind.perfect(labels, task), dtype=float)
    outputs[::4] = np.nan
    items = kind.items(outputs, labels, task)
    whole = kind.items(kind.perfect(labels, task), labels, task)
    assert len(items) == len(whole)
    assert (items["failure"] != "").any()
    assert not (items["failure"] != "").all()
    main = main_metric(task)
    found = main.value(items)
    assert np.isfinite(found)
    assert found < main.best if main.higher_is_better else found > main.best


@pytest.mark.parametrize("task", TASKS, ids=NAMES)
def test_all_failed_still_gives_numbers(task):
    kind, labels = load_kind(task.kind), faces()
    items = kind.items(np.full(np.shape(kind.perfect(labels, task)), np.nan), labels, task)
    assert (items["failure"] != "").all()
    assert np.isfinite(list(values(task, items).values())).all()


@pytest.mark.parametrize("task", TASKS, ids=NAMES)
def test_order_of_units_does_not_matter(task):
    kind, labels = load_kind(task.kind), faces()
    outputs = np.asarray(kind.perfect(labels, task), dtype=float)
    outputs = outputs + np.random.default_rng(1).normal(size=outputs.shape)
    order = np.random.default_rng(2).permutation(len(labels))
    one = values(task, kind.items(outputs, labels, task))
    other = values(task, kind.items(outputs[order], labels.iloc[order].reset_index(drop=True), task))
    assert one == pytest.approx(other)


@pytest.mark.parametrize("task", TASKS, ids=NAMES)
def test_heads_fit_and_constant_features_are_safe(task):
    kind, labels = load_kind(task.kind), faces()
    targets = kind.targets(labels, task)
    features = np.random.default_rng(0).normal(size=(80, 12))
    for x in (features, np.full((80, 12), 3.0)):
        path = load_solver(kind.HEAD)(x, targets)
        items = kind.items(path.outputs(x, path.strengths[-1]), labels, task)
        assert (items["failure"] == "").all()
        assert np.isfinite(list(values(task, items).values())).all()


@pytest.mark.parametrize("task", TASKS, ids=NAMES)
def test_items_survive_parquet(task, tmp_path):
    kind, labels = load_kind(task.kind), faces()
    items = kind.items(kind.perfect(labels, task), labels, task)
    plain_cells(items).to_parquet(tmp_path / "items.parquet")
    assert values(task, pd.read_parquet(tmp_path / "items.parquet")) == values(task, items)


@pytest.mark.parametrize("task", TASKS, ids=NAMES)
def test_labels_may_come_from_parquet(task, tmp_path):
    kind, labels = load_kind(task.kind), faces()
    plain = labels.assign(
        landmarks=[np.asarray(p).tolist() for p in labels["landmarks"]],
        transform=[t.tolist() for t in labels["transform"]],
    )
    plain.to_parquet(tmp_path / "labels.parquet")
    read = pd.read_parquet(tmp_path / "labels.parquet")
    np.testing.assert_allclose(kind.targets(read, task), kind.targets(labels, task))


def test_kinds_load_lazily_and_suggest():
    heads = {"ridge", "logistic", "token_ridge", "whitening", "diagnostics"}
    assert {load_kind(name).HEAD for name in KINDS} == heads
    with pytest.raises(PacoError, match="landmarks"):
        load_kind("landmark")


def test_cells_of_another_shape_are_named():
    labels = pd.DataFrame({"unit_id": ["a", "b"], "landmarks": [[[1, 2], [3, 4]], [[1, 2]]]})
    with pytest.raises(PacoError, match=r"Unit 'b': 'landmarks' has shape \(1, 2\)"):
        stacked(labels, "landmarks", -1, 2)
    with pytest.raises(PacoError, match="no column 'rotation'"):
        stacked(labels, "rotation", 3, 3)
    with pytest.raises(PacoError, match="Unit 'a'"):
        stacked(labels.assign(landmarks=[None, None]), "landmarks", -1, 2)


def test_subsets_become_flags():
    task, labels = TASKS[0], faces()
    kind = load_kind("pose")
    items = kind.items(kind.perfect(labels, task), labels, task)
    assert items["subset:dark"].tolist() == [i % 3 != 0 for i in range(80)]
