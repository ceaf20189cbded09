"""The logistic path against scikit-learn's LogisticRegression."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from paco_eval.probes.solvers.logistic import STRENGTHS, fit
from paco_fr.utils.errors import PacoError


def data(n, d, classes=4, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    x = rng.normal(size=(n, d)) + 0.7 * rng.normal(size=(classes, d))[y]
    return x * rng.uniform(0.1, 9, d) + 3, y


@pytest.mark.parametrize("shape", [(120, 8), (24, 50)])
@pytest.mark.parametrize("classes", [2, 4])
def test_against_scikit_learn(shape, classes):
    x, y = data(*shape, classes)
    scaler = StandardScaler().fit(x)
    path = fit(x, y, strengths=STRENGTHS[:11], tolerance=1e-7)
    assert len(STRENGTHS) >= 15
    outputs = list(path.all_outputs(x))
    for at in (0, 5, 8, 10):
        # With two classes the symmetric weights are half of scikit-learn's one row, so their penalty is too.
        strength = STRENGTHS[at] * (0.5 if classes == 2 else 1.0)
        model = LogisticRegression(C=1 / (len(x) * strength), tol=1e-10, max_iter=100_000)
        expected = model.fit(scaler.transform(x), y).predict_proba(scaler.transform(x))
        np.testing.assert_allclose(outputs[at], expected, atol=2e-5)
        np.testing.assert_array_equal(outputs[at], path.outputs(x, STRENGTHS[at]))


def test_default_tolerance_is_close_enough_to_decide_alike():
    x, y = data(150, 12)
    close, rough = fit(x, y, strengths=STRENGTHS[:11], tolerance=1e-7), fit(x, y, strengths=STRENGTHS[:11])
    for a, b in zip(close.all_outputs(x), rough.all_outputs(x), strict=True):
        assert np.abs(a - b).max() < 2e-3


def test_a_class_never_seen_gets_no_probability():
    x, y = data(60, 5, classes=3)
    seen = y != 1
    found = fit(x[seen], y[seen]).outputs(x, STRENGTHS[7])
    assert found.shape == (60, 3)
    assert not found[:, 1].any()
    np.testing.assert_allclose(found.sum(axis=1), 1.0)


def test_one_sample_of_a_class_and_constant_features():
    x, y = data(41, 5, classes=2)
    y[-1] = 2
    x[:, 2] = 7.0
    outputs = list(fit(x, y).all_outputs(x))
    assert np.isfinite(outputs).all()
    assert outputs[-1][-1].argmax() == 2


def test_only_constant_features_give_the_class_shares():
    found = fit(np.ones((8, 3)), [0, 0, 0, 1, 1, 2, 2, 2]).outputs(np.ones((1, 3)), STRENGTHS[-1])
    np.testing.assert_allclose(found, [[3 / 8, 2 / 8, 3 / 8]], atol=1e-4)


def test_the_same_twice():
    x, y = data(60, 20)
    for one, other in zip(fit(x, y).all_outputs(x), fit(x, y).all_outputs(x), strict=True):
        np.testing.assert_array_equal(one, other)


def test_bad_input_is_named():
    x, y = data(10, 3)
    with pytest.raises(PacoError, match="two classes"):
        fit(x, np.zeros(10))
    with pytest.raises(PacoError, match="class codes of shape"):
        fit(x, y[:9])
    x[3, 0] = np.inf
    with pytest.raises(PacoError, match="Features of block2 are not finite in row 3"):
        fit(x, y, layer="block2")
