"""Light changed at random: within what is said, smooth over the picture, and the same wherever it is drawn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paco_fr.data.light import TINT, relight
from paco_fr.train.batches import Views
from tests.paco_fr.conftest import pool_of, small_config


def grey(value: int = 60) -> np.ndarray:
    return np.full((32, 32, 3), value, dtype=np.uint8)


@given(seed=st.integers(0, 2**32 - 1), stops=st.floats(0, 4))
def test_light_changes_by_no_more_than_the_stops_said(seed, stops):
    lit = relight(grey(), stops, np.random.default_rng(seed)).astype(float)
    most = 60 * 2 ** ((3 + TINT) * stops / 2.2)
    assert 60**2 / most - 1 <= lit.min() and lit.max() <= min(255, most + 1)


def test_the_middle_changes_by_the_stops_and_an_edge_by_twice_as_many():
    class Most:
        def uniform(self, low, high, count):
            return np.array([1, 1, 0, 0, 0, 0])

    lit = relight(grey(20), 1.0, Most()).astype(float)  # type: ignore[arg-type]
    light = (lit / 20) ** 2.2  # what falls on a place, as a share of what fell there
    assert light[:, 15:17].mean() == pytest.approx(2, rel=0.05)
    assert light[:, -1].mean() == pytest.approx(4, rel=0.1) and light[:, 0].mean() == pytest.approx(
        1, rel=0.1
    )


def test_no_stops_change_nothing_and_a_draw_repeats():
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    assert np.array_equal(relight(image, 0.0, np.random.default_rng(1)), image)
    first, again = (relight(image, 1.0, np.random.default_rng(1)) for _ in range(2))
    assert np.array_equal(first, again) and not np.array_equal(first, image)


def test_a_run_shows_each_picture_in_other_light_every_epoch_and_hides_what_it_would_have_hidden():
    plain, lit = small_config(), small_config(data={"light": 1.0})
    pool = pool_of(plain)
    size = len(pool.images)
    before, batch = (Views(pool, config).raw(range(8))[0] for config in (plain, lit))
    assert np.array_equal(batch.hidden, before.hidden) and not np.array_equal(batch.images, before.images)
    alone = Views(pool, lit).raw(range(3, 8))[0]
    assert np.array_equal(alone.images, batch.images[3:])
    later = Views(pool, lit).raw(range(size, 2 * size))[0]
    assert not {row.numpy().tobytes() for row in later.images} & {
        row.numpy().tobytes() for row in batch.images
    }
