"""Faces kept beside a row: from the best to the worst, with what was predicted and what is true."""

from __future__ import annotations

from pathlib import Path

import pytest

from paco_eval.encoders.baselines import Pixels
from paco_eval.evaluation.data import Data
from paco_eval.evaluation.runner import measure
from paco_eval.rows.artefacts import load_arrays
from paco_eval.rows.store import SAMPLES, find_row, read_items
from tests.paco_eval.conftest import blob_task


def quiet(text: str) -> None:
    pass


@pytest.mark.parametrize("kind", ["landmarks", "pose", "classification"])
def test_faces_run_from_the_best_to_the_worst(kind: str, tmp_path: Path) -> None:
    (row,) = measure(Pixels(), Data.load(blob_task(kind), None), out=tmp_path, say=quiet)
    kept = load_arrays(find_row(tmp_path / "rows" / f"{row.key}.json").beside(SAMPLES), "samples")
    assert kept is not None and len(kept["images"]) == 8
    items = read_items(tmp_path / "rows" / f"{row.key}.json").sort_values("error")
    best, worst = items.iloc[0], items.iloc[-1]
    names = [str(name) for name in kept["names"]]
    if kind == "landmarks":
        assert kept["truth"].shape[1] > 0
        assert names[-1] == f"{worst['id']}  {worst['error']:.1f} %"
    elif kind == "pose":
        assert kept["truth"].shape[1] == 0
        assert names[0].startswith(f"{best['yaw_pred']:.0f}/{best['pitch_pred']:.0f}/")
        assert f" for {worst['yaw_true']:.0f}/" in names[-1]
    else:
        assert " for " not in names[0], "the surest of the right ones first"
        assert (" for " in names[-1]) == bool(items["error"].any())


def test_kinds_that_do_not_show_on_a_face_keep_none(tmp_path: Path) -> None:
    (row,) = measure(Pixels(), Data.load(blob_task("verification"), None), out=tmp_path, say=quiet)
    assert find_row(tmp_path / "rows" / f"{row.key}.json").beside(SAMPLES) is None
