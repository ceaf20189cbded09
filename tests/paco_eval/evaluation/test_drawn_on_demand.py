"""A limit draws only what it needs, and a plan draws nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from paco_eval.encoders.baselines import Constant
from paco_eval.evaluation.data import Data
from paco_eval.evaluation.dry_run import lines_of, plan
from paco_eval.evaluation.protocols import Protocol
from paco_fr.synthetic import dataset
from tasks.readers.records import records_of
from tasks.registry import all_tasks

FEW = {"seed": 7, "images_per_identity": 3, "train": 6, "validation": 4, "test": 4}


@pytest.fixture
def task():
    return replace(all_tasks()["pose/synthetic"], reader_options=FEW)


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """Count the faces that are drawn, into a cache of their own."""
    monkeypatch.setenv("PACO_CACHE", str(tmp_path))
    names: list[str] = []

    def record(spec, index):
        found = honest(spec, index)
        names.append(found["image_id"])
        return found

    honest = dataset.record
    monkeypatch.setattr(dataset, "record", record)
    return names


def test_a_limit_draws_the_people_whom_it_needs_and_they_are_the_same(task, drawn):
    """A trial run on sixty pictures drew all 3,240 faces first."""
    limited = Data.load(task, None, Protocol(limit=3))
    assert len(drawn) == 9, "one person of three pictures in each part"
    whole = records_of(task, None)
    assert len(whole) == 42
    again = Data.load(task, None, Protocol(limit=3))
    assert again.fingerprint == limited.fingerprint, "read from the whole set now"
    assert len(drawn) == 9 + 42, "nothing is drawn a third time"
    kept = whole.select(
        np.flatnonzero(np.isin(whole["image_id"], limited.views["all"][0].labels["image_id"]))
    )
    assert kept["image"][:] == limited.views["all"][0].records["image"][:]


def test_a_plan_draws_nothing_and_counts_what_would_be_drawn(task, drawn):
    """A dry run drew all faces, for minutes, to say that it would take no time."""
    derived = replace(task, name="pose/again")
    cells = plan([Constant()], [task, derived])
    assert [(cell.pictures, cell.passes, cell.undrawn) for cell in cells] == [(42, 42, 42), (42, 0, 0)]
    assert "42 faces are drawn first" in lines_of(cells)[-2]
    assert not drawn
    limited = plan([Constant()], [task], Protocol(limit=4))
    assert limited[0].pictures == 12 and limited[0].undrawn == 12
    records_of(task, None)
    assert plan([Constant()], [task])[0].undrawn == 0
