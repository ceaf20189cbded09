"""The token classifier against scikit-learn's Ridge over all tokens at once."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from paco_eval.probes.solvers.token_ridge import BATCH, STRENGTHS, fit, histograms
from paco_fr.utils.errors import PacoError


def data(n, tokens=16, dimensions=5, classes=3, side=8, seed=0):
    rng = np.random.default_rng(seed)
    maps = rng.integers(0, classes, (n, side, side)).astype(np.uint8)
    shares = histograms(maps, tokens, classes)
    x = shares @ rng.normal(size=(classes, dimensions)) + 0.3 * rng.normal(size=(n, tokens, dimensions)) + 20
    return x.astype(np.float32), maps


def test_against_scikit_learn():
    x, maps = data(BATCH + 7)
    new, _ = data(9, seed=1)
    y = histograms(maps, 16, 3).reshape(-1, 3)
    flat = x.reshape(-1, 5).astype(np.float64)
    scaler = StandardScaler().fit(flat)
    path = fit(x, maps)
    assert path.strengths == STRENGTHS
    for strength, together in zip(path.strengths, path.all_outputs(new), strict=True):
        model = Ridge(alpha=len(flat) * strength, solver="svd").fit(scaler.transform(flat), y)
        expected = model.predict(scaler.transform(new.reshape(-1, 5).astype(np.float64))).reshape(9, 16, 3)
        np.testing.assert_allclose(path.outputs(new, strength), expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(together, path.outputs(new, strength))


def test_histograms_are_shares_of_each_cell():
    maps = np.zeros((1, 4, 4), np.uint8)
    maps[0, :2, :2] = [[0, 1], [2, 1]]
    found = histograms(maps, 4, 3)
    assert found.shape == (1, 4, 3)
    np.testing.assert_allclose(found[0], [[0.25, 0.5, 0.25], [1, 0, 0], [1, 0, 0], [1, 0, 0]])


def test_constant_tokens_predict_the_shares():
    _, maps = data(5)
    path = fit(np.full((5, 1, 2), 7.0, np.float32), maps)
    found = path.outputs(np.full((2, 1, 2), 7.0), STRENGTHS[-1])
    np.testing.assert_allclose(found, np.tile(np.bincount(maps.ravel()) / maps.size, (2, 1, 1)))


def test_what_is_no_grid_of_tokens_is_refused():
    x, maps = data(4)
    with pytest.raises(PacoError, match=r"last/tokens have shape .* a square of tokens"):
        fit(x[:, :15], maps, layer="last/tokens")
    with pytest.raises(PacoError, match="3 class maps for 4 units"):
        fit(x, maps[:3])
    x[2, 3, 1] = np.inf
    with pytest.raises(PacoError, match="are not finite"):
        fit(x, maps)
