"""Four million pictures shown: the encoders that ship."""

from __future__ import annotations

import pytest

from paco_eval.analysis.bootstrap import Interval
from paco_eval.analysis.statistics import over_seeds
from tests.claims.reference import FAMILIES, main_metric, stored


def shipped_difference(task: str, ours: str, baseline: str) -> Interval:
    """Return the paired difference of two encoders over people; of several untrained ones, the first."""
    sides = [[stored(task, method)[0].items()] for method in (ours, baseline)]
    return over_seeds(main_metric(task), sides[0], baseline=sides[1])


@pytest.mark.parametrize("family", FAMILIES)
def test_shipped_paco_beats_the_untrained_encoder_in_every_family(family):
    task = f"{family}/synthetic"
    found = shipped_difference(task, "paco-tiny", "random:tiny")
    better = found.low > 0 if main_metric(task).higher_is_better else found.high < 0
    assert better


@pytest.mark.parametrize("family", FAMILIES)
def test_shipped_paco_is_ahead_of_shipped_mae_in_landmarks_and_expression(family):
    """With one seed each: observed on these people, no claim about the objectives."""
    task = f"{family}/synthetic"
    found = shipped_difference(task, "paco-tiny", "mae-tiny")
    if family in ("pose", "recognition"):
        assert found.low < 0 < found.high
    else:
        assert found.low > 0 if main_metric(task).higher_is_better else found.high < 0


@pytest.mark.parametrize("family", FAMILIES)
def test_shipped_paco_is_ahead_of_shipped_simmim_in_all_but_recognition(family):
    """With one seed each, as above."""
    task = f"{family}/synthetic"
    found = shipped_difference(task, "paco-tiny", "simmim-tiny")
    if family == "recognition":
        assert found.low < 0 < found.high
    else:
        assert found.low > 0 if main_metric(task).higher_is_better else found.high < 0


def test_shipped_paco_and_pixels_cannot_be_told_apart_in_recognition():
    found = shipped_difference("recognition/synthetic", "paco-tiny", "pixels")
    assert found.low < 0 < found.high
