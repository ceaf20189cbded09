"""What the benchmarks ask of the kinds beyond the basics: supplied boxes, the lenient column, many labels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from paco_fr.contracts import CROPS
from paco_fr.faces.rotation import rotation_from_angles
from paco_fr.utils.errors import PacoError
from tasks.kinds import load_kind, multilabel
from tasks.metrics.pose import angle_error, lenient_error
from tasks.task import Task


def declare(kind: str, main_metric: str, **options: object) -> Task:
    return Task("family/set", 1, kind, "module:reader", CROPS["box"], main_metric, "", "", options=options)


def values(task: Task, items: pd.DataFrame) -> dict[str, float]:
    return {metric.name: metric.value(items) for metric in load_kind(task.kind).metrics(task)}


def test_errors_by_the_supplied_box() -> None:
    """One image is off by 3 px in x at every point; its box is 30 x 40."""
    task = declare("landmarks", "nme_diag", normaliser="supplied_box", threshold=7)
    points = np.random.default_rng(0).uniform(10, 50, (2, 19, 2))
    labels = pd.DataFrame(
        {
            "unit_id": ["a", "b"],
            "group": ["a", "b"],
            "landmarks": list(points),
            "box": [[0, 0, 30, 40]] * 2,
            "transform": [np.array([[1.0, 0, 0], [0, 1, 0]])] * 2,
            "canvas": 100,
        }
    )
    outputs = (points + [[[3, 0]], [[0, 0]]] + 0.5) / 100
    found = values(task, load_kind("landmarks").items(outputs.reshape(2, -1), labels, task))
    assert found["nme_diag"] == pytest.approx(100 * 3 / 50 / 2)
    assert found["nme_box"] == pytest.approx(100 * 3 / np.sqrt(1200) / 2)
    assert found["fr_box7"] == 50  # 8.66 % of the box
    assert found["auc_box7"] == pytest.approx(50)


def test_the_lenient_column_forgives_flips_and_is_no_score() -> None:
    truth = np.array([[10.0, 0, 0], [-170, 20, 5]])
    turned = truth + np.array([[0.0, 0, 0], [180, 0, 0]])
    assert angle_error(turned, truth).max() == 180
    assert lenient_error(turned, truth).max() == 0
    assert lenient_error([100.0, 359.0, -89], [0.0, 0.0, 0.0]).tolist() == [80, 1, 89]
    labels = pd.DataFrame(
        {"unit_id": ["a"], "group": ["a"], "rotation": [rotation_from_angles(0, 10, 0).tolist()]}
    )
    kind = load_kind("pose")
    plain, lenient = declare("pose", "mae"), declare("pose", "mae", lenient=True)
    outputs = rotation_from_angles(0, 10, 170)[:, :2].T.reshape(1, 6)
    assert "mae_lenient180" not in values(plain, kind.items(outputs, labels, plain))
    found = values(lenient, kind.items(outputs, labels, lenient))
    assert found["mae_roll"] == pytest.approx(170)
    assert found["mae_lenient180"] == pytest.approx(10 / 3)


NAMES = ("a", "b", "c")
MANY = declare("multilabel", "mean_accuracy", classes=NAMES)


def many(n: int = 60, seed: int = 1) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "unit_id": [f"u{i}" for i in range(n)],
            "group": [f"g{i // 2}" for i in range(n)],
            "attributes": random.integers(0, 2, (n, 3)).tolist(),
        }
    )


def test_many_labels_against_plain_counting() -> None:
    labels = many()
    truth = np.array(labels["attributes"].to_list())
    outputs = np.random.default_rng(2).uniform(0, 1, truth.shape)
    items = multilabel.items(outputs, labels, MANY)
    found, right = values(MANY, items), (outputs > 0.5) == truth
    assert found["mean_accuracy"] == pytest.approx(100 * right.mean(axis=0).mean())
    halves = [(right[truth[:, k] == v, k].mean()) for k in range(3) for v in (0, 1)]
    assert found["balanced_accuracy"] == pytest.approx(100 * np.mean(halves))
    assert values(MANY, multilabel.items(multilabel.perfect(labels, MANY), labels, MANY)) == {
        "mean_accuracy": 100, "balanced_accuracy": 100,
    }  # fmt: skip


def test_many_labels_weighted_is_many_labels_repeated() -> None:
    labels = many(8)
    outputs = np.random.default_rng(3).uniform(0, 1, (8, 3))
    items = multilabel.items(outputs, labels, MANY)
    twice = pd.concat([items, items[items["group"] == "g0"]], ignore_index=True)
    weights = np.array([[2.0, 1.0, 1.0, 1.0]])
    for metric in multilabel.metrics(MANY):
        assert metric.compute(items, weights)[0] == pytest.approx(metric.value(twice))


def test_a_unit_without_output_has_every_label_wrong() -> None:
    labels = many(4)
    outputs = multilabel.perfect(labels, MANY).copy()
    outputs[1] = np.nan
    items = multilabel.items(outputs, labels, MANY)
    assert items["error"].tolist() == [0, 1, 0, 0]
    assert items["failure"].astype(bool).tolist() == [False, True, False, False]
    assert values(MANY, items)["mean_accuracy"] == 75


def test_other_values_than_0_and_1_are_named() -> None:
    labels = many(4)
    labels.loc[[2], "attributes"] = pd.Series([[0, 2, 1]], index=[2])
    with pytest.raises(PacoError, match="Unit 'u2': 'attributes' holds values other than 0 and 1"):
        multilabel.targets(labels, MANY)
