"""F1 from the summed confusion matrix, against scikit-learn over all pixels at once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

from tasks.metrics.segmentation import confusion, metrics_for

CLASSES = ("background", "skin", "left eye", "hair")


def pictures(seed: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    random = np.random.default_rng(seed)
    found = []
    for size in (8, 20, 30):
        truth = random.integers(0, 3, (size, size))  # nobody has hair
        prediction = np.where(random.random((size, size)) < 0.7, truth, random.integers(0, 4, (size, size)))
        found.append((truth, prediction))
    return found


def items(pairs: list[tuple[np.ndarray, np.ndarray]]) -> pd.DataFrame:
    cells = [confusion(truth, prediction, 4).ravel().tolist() for truth, prediction in pairs]
    return pd.DataFrame({"group": [f"g{n}" for n in range(len(pairs))], "confusion": cells})


def values(table: pd.DataFrame, weights: np.ndarray | None = None) -> dict[str, float]:
    return {metric.name: float(metric.compute(table, weights)[0]) for metric in metrics_for(CLASSES)}


def test_against_all_pixels_at_once() -> None:
    pairs = pictures()
    truth, prediction = (np.concatenate([pair[side].ravel() for pair in pairs]) for side in (0, 1))
    scores = 100 * f1_score(truth, prediction, average=None, labels=range(4))
    found = values(items(pairs))
    assert found["f1_skin"] == pytest.approx(scores[1])
    assert found["f1_left_eye"] == pytest.approx(scores[2])
    assert found["f1_hair"] == 0  # predicted, and nowhere in the truth: it was left out of the mean
    assert found["mean_f1"] == pytest.approx(scores[1:].mean())
    nobody = values(items([(np.minimum(t, 2), np.minimum(p, 2)) for t, p in pairs]))
    assert np.isnan(nobody["f1_hair"])  # neither shown nor predicted: no score, and not in the mean
    two = f1_score(np.minimum(truth, 2), np.minimum(prediction, 2), average=None, labels=[1, 2])
    assert nobody["mean_f1"] == pytest.approx(100 * two.mean())
    assert found["pixel_accuracy"] == pytest.approx(100 * (truth == prediction).mean())


def test_weights_are_repetitions_and_perfection_is_100() -> None:
    pairs = pictures(1)
    weighted = values(items(pairs), np.array([[2.0, 0.0, 1.0]]))
    repeated = values(items([pairs[0], pairs[0], pairs[2]]))
    assert weighted == pytest.approx(repeated, nan_ok=True)
    perfect = values(items([(truth, truth) for truth, _ in pairs]))
    assert perfect["mean_f1"] == perfect["pixel_accuracy"] == 100


def test_bad_masks() -> None:
    with pytest.raises(ValueError, match="shapes"):
        confusion(np.zeros((2, 2)), np.zeros((2, 3)), 4)
    with pytest.raises(ValueError, match="outside 0 to 3"):
        confusion(np.full((2, 2), 4), np.zeros((2, 2)), 4)
