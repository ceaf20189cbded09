"""The ridge path against scikit-learn's Ridge."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from paco_eval.probes.solvers.ridge import STRENGTHS, fit
from paco_fr.utils.errors import PacoError


def data(n, d, t=3, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) * rng.uniform(0.1, 9, d) + rng.normal(size=d) * 5
    return x, x @ rng.normal(size=(d, t)) * 0.1 + rng.normal(size=(n, t)) + 4


@pytest.mark.parametrize("shape", [(80, 11), (20, 50), (30, 30)])
def test_against_scikit_learn(shape):
    x, y = data(*shape)
    new, _ = data(*shape, seed=1)
    scaler = StandardScaler().fit(x)
    path = fit(x, y)
    assert path.strengths == STRENGTHS
    assert len(STRENGTHS) >= 45
    for strength, together in zip(path.strengths, path.all_outputs(new), strict=True):
        model = Ridge(alpha=len(x) * strength, solver="svd").fit(scaler.transform(x), y)
        expected = model.predict(scaler.transform(new))
        np.testing.assert_allclose(path.outputs(new, strength), expected, rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(together, expected, rtol=1e-6, atol=1e-7)


def test_strongest_penalty_predicts_the_mean():
    x, y = data(50, 5)
    assert np.abs(fit(x, y, strengths=(1e12,)).outputs(x, 1e12) - y.mean(axis=0)).max() < 1e-8


def test_constant_and_repeated_features_do_no_harm():
    x, y = data(40, 6)
    odd = np.column_stack([x, np.full(40, 1e8), x[:, 0], np.zeros(40)])
    twice = np.column_stack([x, x[:, 0]])
    new = np.random.default_rng(3).normal(size=(5, 9))
    new[:, 7] = new[:, 0]
    found = fit(odd, y).outputs(new, STRENGTHS[20])
    np.testing.assert_allclose(found, fit(twice, y).outputs(new[:, [0, 1, 2, 3, 4, 5, 7]], STRENGTHS[20]))


def test_only_constant_features_predict_the_mean():
    _, y = data(10, 2)
    found = fit(np.full((10, 4), 0.1, dtype=np.float32), y).outputs(np.ones((2, 4)), STRENGTHS[-1])
    np.testing.assert_allclose(found, np.tile(y.mean(axis=0), (2, 1)))


def test_one_unit_and_one_target():
    path = fit([[1.0, 2.0]], [3.0])
    assert path.outputs([[5.0, 5.0]], STRENGTHS[-1]) == [[3.0]]


def test_the_same_twice():
    x, y = data(60, 80)
    for one, other in zip(fit(x, y).all_outputs(x), fit(x, y).all_outputs(x), strict=True):
        np.testing.assert_array_equal(one, other)


def test_bad_numbers_are_named():
    x, y = data(10, 3)
    x[7, 1] = np.nan
    with pytest.raises(PacoError, match=r"Features of block11/mean are not finite in row 7 \(1 of 10 rows\)"):
        fit(x, y, layer="block11/mean")
    path = fit(*data(10, 3), layer="block11/mean")
    with pytest.raises(PacoError, match="block11/mean"):
        path.outputs(x, STRENGTHS[0])
    with pytest.raises(PacoError, match="shape"):
        fit(np.empty((0, 3)), np.empty((0, 1)))
    with pytest.raises(PacoError, match="finite target"):
        fit(data(10, 3)[0], np.full(10, np.nan))
    with pytest.raises(PacoError, match="9 targets for 10 units"):
        fit(data(10, 3)[0], np.zeros(9))
