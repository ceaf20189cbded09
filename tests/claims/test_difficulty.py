"""How hard the tasks are: between what knows nothing and perfection there is room on both sides."""

from __future__ import annotations

import pytest

from tests.claims.reference import FAMILIES, stored


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
