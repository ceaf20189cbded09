"""FaRL's head: shapes, its written-out arithmetic, and points read off the maps that they are drawn into."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from paco_eval.finetune.upernet import MAP, UperHead, depths, heatmaps, landmark_loss, points_of
from paco_fr.utils.random import generator


def logits_of(maps):
    return torch.logit(maps.clamp(1e-7, 1 - 1e-7))


@pytest.mark.parametrize("grid", [4, 7, 14])
def test_maps_have_four_times_the_resolution_of_the_tokens(grid):
    torch.manual_seed(0)
    head = UperHead(width=8, points=5)
    maps = [torch.randn(3, 8, grid, grid) for _ in range(4)]
    assert head(maps).shape == (3, 5, 4 * grid, 4 * grid)
    assert points_of(head(maps)).shape == (3, 5, 2) and landmark_loss(
        head(maps), torch.rand(3, 5, 2)
    ).shape == (3,)


def test_every_block_and_every_weight_matters():
    torch.manual_seed(0)
    head = UperHead(width=8, points=5)
    maps = [torch.randn(4, 8, 6, 6, requires_grad=True) for _ in range(4)]
    landmark_loss(head(maps), torch.rand(4, 5, 2)).sum().backward()
    assert all(float(part.grad.abs().sum()) > 0 for part in maps)
    assert all(weight.grad is not None for weight in head.parameters())


def test_the_blocks_of_farl():
    assert depths(12) == (4, 6, 8, 12) and depths(24) == (8, 12, 16, 24)  # base and large, as released
    assert depths(4) == (1, 2, 3, 4) and depths(1) == (1, 1, 1, 1)


def test_heat_maps_are_gaussians_of_a_quarter_of_the_radius():
    points = torch.tensor([[[0.3, 0.7], [0.05, 0.99]]])
    made = heatmaps(points)
    for point in range(2):
        for row, column in ((89, 38), (90, 36), (127, 6), (120, 5), (60, 60)):
            x, y = points[0, point] * MAP - 0.5
            away = float((column - x) ** 2 + (row - y) ** 2)
            wanted = np.exp(-away / (2 * 1.25**2)) if away <= 25 else 0.0
            assert float(made[0, point, row, column]) == pytest.approx(wanted, abs=1e-5)


def test_points_are_the_mean_place_under_the_sigmoid():
    logits = torch.from_numpy(generator("logits").normal(size=(2, 3, 4, 4)))
    found = points_of(logits)
    weights = 1 / (1 + np.exp(-logits.numpy()))
    for x_of in (0, 1):
        place = (np.arange(4) + 0.5) / 4
        axis = place[None, :] if x_of == 0 else place[:, None]
        wanted = (weights * axis).sum((2, 3)) / weights.sum((2, 3))
        np.testing.assert_allclose(found[..., x_of], wanted, rtol=1e-5)


def test_a_perfect_map_says_its_point_and_loses_least():
    points = torch.from_numpy(generator("points").uniform(0.2, 0.8, (4, 3, 2))).float()
    perfect = logits_of(heatmaps(points))
    torch.testing.assert_close(points_of(perfect), points, atol=2e-3, rtol=0)
    own = landmark_loss(perfect, points)
    assert (own < 0.01).all() and (landmark_loss(perfect, points + 0.1) > own + 0.1).all()
    entropy = F.binary_cross_entropy_with_logits(perfect, heatmaps(points), reduction="none").mean((1, 2, 3))
    torch.testing.assert_close(own, (points_of(perfect) - points).norm(dim=2).mean(1) + entropy)
