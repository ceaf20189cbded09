"""Means over attributes against scikit-learn, and where they mean nothing."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from tasks.metrics.classification import ATTRIBUTES

MEAN, BALANCED = ATTRIBUTES


def items(truth: np.ndarray, prediction: np.ndarray) -> pd.DataFrame:
    groups = [f"g{n}" for n in range(len(truth))]
    return pd.DataFrame({"group": groups, "truth": truth.tolist(), "prediction": prediction.tolist()})


def test_against_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    truth, prediction = rng.integers(0, 2, (2, 50, 6))
    table = items(truth, prediction)
    pairs = list(zip(truth.T, prediction.T, strict=True))
    assert MEAN.value(table) == pytest.approx(100 * np.mean([accuracy_score(t, p) for t, p in pairs]))
    assert BALANCED.value(table) == pytest.approx(
        100 * np.mean([balanced_accuracy_score(t, p) for t, p in pairs])
    )


def test_attributes_that_never_occur_give_no_score() -> None:
    """Saying no to attributes that nobody has scored 100."""
    nobody = items(np.zeros((5, 3), int), np.zeros((5, 3), int))
    assert np.isnan([MEAN.value(nobody), BALANCED.value(nobody)]).all()
    assert np.isnan([metric.value(nobody.iloc[:0]) for metric in ATTRIBUTES]).all()
