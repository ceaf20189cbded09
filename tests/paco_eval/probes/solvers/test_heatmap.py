"""Heat maps: a written-out soft-argmax, maps that are read off right, and what the head refuses."""

import numpy as np
import pytest

from paco_eval.probes.solvers.heatmap import STRENGTHS, centres, fit, gaussians, soft_argmax
from paco_eval.probes.solvers.token_ridge import regress
from paco_fr.utils.errors import PacoError
from paco_fr.utils.random import generator


def tokens_at(points, side=8, dimensions=6, seed=0):
    """Return tokens that mix the maps of the points with noise."""
    rng = generator("heat maps", seed)
    maps = gaussians(points, side * side)
    mixing = generator("mixing").normal(size=(maps.shape[2], dimensions))
    return (maps @ mixing + 0.01 * rng.normal(size=(*maps.shape[:2], dimensions)) + 5).astype(np.float32)


def test_soft_argmax_is_the_mean_place_under_the_softmax():
    maps = generator("maps").normal(size=(2, 9, 3))
    found = soft_argmax(maps, 0.5)
    for unit in range(2):
        for point in range(3):
            weights = [np.exp(maps[unit, token, point] / 0.5) for token in range(9)]
            x = sum(w * (token % 3 + 0.5) / 3 for token, w in enumerate(weights)) / sum(weights)
            y = sum(w * (token // 3 + 0.5) / 3 for token, w in enumerate(weights)) / sum(weights)
            np.testing.assert_allclose(found[unit, 2 * point : 2 * point + 2], [x, y])


def test_gaussians_peak_at_the_point_and_spread_by_a_token():
    maps = gaussians(np.array([[0.375, 0.625, 0.5, 0.5]]), 16)
    assert maps.shape == (1, 16, 2)
    np.testing.assert_allclose(centres(16)[9], [0.375, 0.625])
    assert maps[0, 9, 0] == 1.0 and maps[0, 10, 0] == pytest.approx(np.exp(-0.5)) == maps[0, 13, 0]
    assert maps[0, :, 1].max() == pytest.approx(np.exp(-0.25))


def test_points_are_found_to_a_fraction_of_a_token_and_better_than_by_their_mean():
    draw = generator("points")
    train, new = (draw.uniform(0.2, 0.8, (n, 4)) for n in (150, 40))
    path = fit(tokens_at(train), train)
    assert path.strengths == STRENGTHS
    errors = [np.abs(found - new).mean() for found in path.all_outputs(tokens_at(new, seed=1))]
    assert min(errors) < 0.1 / 8 and np.abs(train.mean(0) - new).mean() > 8 * min(errors)


def test_one_strength_alone_says_what_it_says_on_the_path():
    points = generator("points").uniform(0.2, 0.8, (70, 6))
    x = tokens_at(points)
    path = fit(x, points)
    together = list(path.all_outputs(x[:5]))
    for at in (0, 7, len(STRENGTHS) - 1):
        alone = fit(x, points, strengths=(STRENGTHS[at],))
        np.testing.assert_array_equal(path.outputs(x[:5], STRENGTHS[at]), together[at])
        np.testing.assert_allclose(alone.outputs(x[:5], STRENGTHS[at]), together[at], rtol=1e-9)
    maps = regress(x, lambda at: gaussians(points[at], 64), 3, (0.01,)).outputs(x[:5], 0.01)
    at = STRENGTHS.index("0.01 at temperature 0.05")
    np.testing.assert_allclose(together[at], soft_argmax(maps, 0.05))


def test_what_is_no_grid_of_tokens_is_refused():
    points = generator("points").uniform(0.2, 0.8, (4, 2))
    x = tokens_at(points)
    with pytest.raises(PacoError, match=r"last/tokens have shape .* a square of tokens"):
        fit(x[:, :15], points, layer="last/tokens")
    with pytest.raises(PacoError, match="points of 3 units for 4 units"):
        fit(x, points[:3])
