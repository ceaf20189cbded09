"""Cells of sweeps in little space: what is read is what was measured."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from paco_eval.analysis.robustness import metric_of
from paco_eval.encoders.baselines import Pixels
from paco_eval.evaluation.data import Data
from paco_eval.evaluation.runner import measure
from paco_eval.rows.compact import REST, compact, completed, departing
from paco_eval.rows.store import items_path, load_rows, read_items
from paco_fr.utils.errors import PacoError
from tests.paco_eval.evaluation.test_derived import quiet, swept


def test_values_are_those_of_the_items_that_are_kept(tmp_path, monkeypatch):
    for kind in ("pose", "verification"):
        task = swept(
            "quality",
            ("blur",),
            kind=kind,
            **({"options": {"impostors": 200}} if kind == "verification" else {}),
        )
        measure(Pixels(blocks=("4x4",)), Data.load(task, None), out=tmp_path, say=quiet)
    monkeypatch.setattr("paco_eval.analysis.robustness.select", lambda name: [(tasks_of[name], None)])
    tasks_of = {
        name: swept("quality", ("blur",), kind=name.split("/")[1])
        for name in ("quality/pose/blobs", "quality/verification/blobs")
    }
    stored = load_rows(tmp_path).rows
    assert len(stored) == 6
    for found in stored:
        items = found.items()
        assert metric_of(found.row).value(items) == pytest.approx(found.row.main.value, rel=1e-9)
        own = pd.read_parquet(items_path(found.path))
        if found.row.level == 5:
            assert found.row.chosen[REST] and "id" in items and "id" not in own
        elif found.row.level == 0:
            assert REST not in found.row.chosen and "id" in own
        assert not len(own.select_dtypes("float64").columns)
    cell = next(found for found in stored if found.row.level == 5 and "verification" in found.row.task)
    assert set(pd.read_parquet(items_path(cell.path))) == {"score"}
    items_path(cell.path.with_name(f"{cell.row.chosen[REST]}.json")).unlink()
    with pytest.raises(PacoError, match="items cannot be read"):
        read_items(cell.path)


def frame(**changed: list) -> pd.DataFrame:
    plain = {
        "id": ["a", "b"],
        "group": ["p", "q"],
        "failure": ["", ""],
        "error": [1.0, np.nan],
        "truth": [1, 2],
    }
    return pd.DataFrame({**plain, **changed})


def test_only_what_departs_is_kept():
    clean = frame()
    own = departing(frame(error=[2.0, np.nan], achieved=[0.1, 0.2]), clean)
    assert list(own) == ["error", "achieved"]
    whole = completed(own, clean)
    assert whole["error"].tolist()[0] == 2.0 and set(whole) == {*clean, "achieved"}
    assert list(departing(frame(error=[np.nan, 1.0]), clean)) == ["error"], "missing is a value of its own"
    assert departing(frame(id=["b", "a"]), clean) is None and departing(frame().iloc[:1], clean) is None
    with pytest.raises(PacoError, match="1 units"):
        completed(own.iloc[:1], clean)


def test_compact_items_have_no_points_and_single_precision():
    points = [np.zeros((2, 2)), np.ones((2, 2))]
    made = compact(frame(prediction=points, truth=points))
    assert list(made) == ["id", "group", "failure", "error"] and made["error"].dtype == np.float32
    assert list(compact(frame(prediction=[1, 2]))) == [
        "id",
        "group",
        "failure",
        "error",
        "truth",
        "prediction",
    ]
