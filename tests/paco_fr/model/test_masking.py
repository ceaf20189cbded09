from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paco_fr.config import MaskingConfig
from paco_fr.model.masking import draw_hidden
from paco_fr.model.regions import ANCHORS, REGIONS, region_map
from paco_fr.utils.random import generator


@given(
    strategy=st.sampled_from(["random", "block", "region"]),
    grid=st.sampled_from([4, 8, 14]),
    ratio=st.floats(0.1, 0.9),
    share=st.floats(0, 1),
    seed=st.integers(0, 10_000),
)
def test_every_strategy_hides_exactly_the_asked_number(strategy, grid, ratio, share, seed):
    hidden = max(1, round(ratio * grid * grid))
    config = MaskingConfig(strategy=strategy, ratio=ratio, region_share=share)
    cells = draw_hidden(config, hidden, region_map("arcface", grid), generator("mask", seed))
    assert len(cells) == hidden == len(set(cells.tolist()))
    assert (np.sort(cells) == cells).all()
    assert cells.min() >= 0 and cells.max() < grid * grid


def test_region_masks_hide_whole_regions_and_random_ones_seldom_do():
    regions = region_map("arcface", 8)

    def whole(strategy: str) -> float:
        config = MaskingConfig(strategy=strategy, region_share=1.0)
        counts = []
        for seed in range(200):
            hidden = set(draw_hidden(config, 38, regions, generator("mask", seed)).tolist())
            counts.append(sum(set(np.flatnonzero(regions == r)) <= hidden for r in np.unique(regions)))
        return float(np.mean(counts))

    assert whole("region") > whole("random") + 1.0


def test_every_cell_is_hidden_sometimes_and_the_draw_depends_on_its_key_alone():
    config = MaskingConfig()
    regions = region_map("arcface", 8)
    draws = [draw_hidden(config, 38, regions, generator("mask", 0, seed)) for seed in range(300)]
    shares = np.bincount(np.concatenate(draws), minlength=64) / 300
    assert shares.min() > 0.3 and shares.max() < 0.95
    again = draw_hidden(config, 38, regions, generator("mask", 0, 7))
    assert (again == draws[7]).all()


@pytest.mark.parametrize("anchor", sorted(ANCHORS))
@pytest.mark.parametrize("grid", [8, 14])
def test_region_maps_are_mirror_symmetric(anchor, grid):
    regions = region_map(anchor, grid).reshape(grid, grid)
    mirrored = regions[:, ::-1].copy()
    swap = {REGIONS.index(f"left {p}"): REGIONS.index(f"right {p}") for p in ("brow", "eye", "cheek")}
    swap |= {b: a for a, b in swap.items()}
    mirrored = np.vectorize(lambda r: swap.get(r, r))(mirrored)
    assert (mirrored == regions).mean() > 0.95


def test_eyes_nose_and_mouth_are_where_the_template_has_them():
    from paco_fr.faces.crop import template_points

    for template in ("arcface", "farl"):
        regions = region_map(template, 32).reshape(32, 32)
        cells = np.floor(template_points(template, 32) + 0.5).astype(int)
        named = [REGIONS[regions[y, x]] for x, y in cells]
        assert named[:3] == ["left eye", "right eye", "nose"]
        assert set(named[3:]) == {"mouth"}
