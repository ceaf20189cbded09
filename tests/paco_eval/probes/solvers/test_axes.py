"""Axes of rows that were met before are not worked out again, and are the same to the bit."""

from __future__ import annotations

import numpy as np

from paco_eval.probes.solvers import logistic, ridge, standardise
from paco_fr.utils.random import generator


def test_tasks_on_the_same_pictures_share_one_decomposition(monkeypatch):
    """A cell whose features are cached spent half of its time on a decomposition that the task before had made."""
    calls, honest = [], standardise._decomposed

    def counted(centred):
        calls.append(centred.shape)
        return honest(centred)

    monkeypatch.setattr(standardise, "_decomposed", counted)
    rng = generator("axes", 0)
    features, other = rng.normal(size=(60, 12)), rng.normal(size=(60, 12))
    first = ridge.fit(features, rng.normal(size=(60, 2)))
    again = ridge.fit(features.copy(), rng.normal(size=(60, 3)))
    classes = logistic.fit(features, np.arange(60) % 3)
    assert calls == [(60, 12)]
    for path in (again, classes):
        assert np.array_equal(first.axes, path.axes)
    ridge.fit(other, rng.normal(size=(60, 2)))
    assert len(calls) == 2


def test_only_so_many_axes_are_kept(monkeypatch):
    standardise._kept.clear()
    monkeypatch.setattr(standardise, "HELD_BYTES", 2 * 8 * 8 * 8)
    for seed in range(5):
        standardise.principal_axes(generator("axes", seed).normal(size=(30, 8)))
    assert len(standardise._kept) == 2
