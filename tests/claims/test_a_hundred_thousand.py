"""A hundred thousand presentations, three seeds, and how hard the tasks are."""

from __future__ import annotations

import pytest

from paco_eval.analysis.statistics import over_seeds
from tests.claims.reference import FAMILIES, difference, main_metric, stored


@pytest.mark.parametrize("task", ["pose/synthetic", "landmarks/synthetic"])
def test_paco_beats_the_untrained_encoder_over_three_seeds(task):
    assert difference(task, "paco/tiny", "random:tiny").high < 0, "errors: less is better"
    paco, untrained, metric = stored(task, "paco/tiny"), stored(task, "random:tiny"), main_metric(task)
    assert len(paco) == len(untrained) == 3
    apart = [
        over_seeds(metric, [a.items()], baseline=[b.items()]) for a, b in zip(paco, untrained, strict=True)
    ]
    assert sum(difference.high < 0 for difference in apart) >= 2


@pytest.mark.parametrize("task", ["expression/synthetic", "recognition/synthetic"])
@pytest.mark.parametrize("method", ["paco/tiny", "mae/tiny", "simmim/tiny"])
def test_every_pretraining_beats_the_untrained_encoder_where_more_is_better(task, method):
    assert difference(task, method, "random:tiny").low > 0


@pytest.mark.parametrize("task", ["pose/synthetic", "landmarks/synthetic"])
@pytest.mark.parametrize("rival", ["simmim/tiny", "pixels"])
def test_paco_beats_simmim_and_pixels_on_geometry(task, rival):
    assert difference(task, "paco/tiny", rival).high < 0


@pytest.mark.parametrize(
    "task", ["pose/synthetic", "landmarks/synthetic", "expression/synthetic", "recognition/synthetic"]
)
def test_between_paco_and_mae_nothing_is_claimed(task):
    found = difference(task, "paco/tiny", "mae/tiny")
    assert found.low < 0 < found.high


def test_pixels_beat_every_encoder_in_recognition():
    task = "recognition/synthetic"
    for method in ("paco/tiny", "mae/tiny", "simmim/tiny", "random:tiny"):
        assert difference(task, method, "pixels").high < 0


@pytest.mark.parametrize("family", FAMILIES)
def test_difficulty_leaves_room_on_both_sides(family):
    """(pixels - constant) / (perfect - constant): 0.1 to 0.7 on the normal level, less on the hard one."""
    shares = []
    for task in (f"{family}/synthetic", f"{family}/synthetic_hard"):
        (pixels,), (constant,) = stored(task, "pixels"), stored(task, "constant")
        floor = constant.row.main.value
        perfect = 100.0 if constant.row.main.higher_is_better else 0.0
        shares.append((pixels.row.main.value - floor) / (perfect - floor))
    normal, hard = shares
    assert 0.1 <= normal <= 0.7
    assert hard < normal
