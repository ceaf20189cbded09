"""Pictures kept beside a row: the same faces whoever is measured, the worst of each, and the hardest pairs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from paco_eval.encoders.baselines import Constant, Pixels
from paco_eval.evaluation.data import Data
from paco_eval.evaluation.runner import measure
from paco_eval.rows.artefacts import load_arrays
from paco_eval.rows.samples import samples_of
from paco_eval.rows.store import SAMPLES, find_row, read_items
from tasks.kinds.shared.shown import hardest_pairs
from tests.paco_eval.conftest import blob_task


def quiet(text: str) -> None:
    pass


def kept(kind: str, out: Path, encoder: Any) -> tuple[dict[str, Any], pd.DataFrame]:
    (row,) = measure(encoder, Data.load(blob_task(kind), None), out=out, say=quiet)
    path = out / "rows" / f"{row.key}.json"
    found = load_arrays(find_row(path).beside(SAMPLES), "samples")
    assert found is not None
    return found, read_items(path)


@pytest.mark.parametrize("kind", ["landmarks", "pose", "classification"])
def test_every_encoder_is_shown_on_the_same_faces(kind: str, tmp_path: Path) -> None:
    """Each row kept faces by its own errors, so no two encoders were ever seen on the same picture."""
    ours, items = kept(kind, tmp_path, Pixels())
    theirs, _ = kept(kind, tmp_path, Constant())
    shared = ours["roles"] == "shared"
    assert (
        shared.sum() == 6
        and ours["ids"][shared].tolist() == theirs["ids"][theirs["roles"] == "shared"].tolist()
    )
    known = dict(zip(items.id, items["yaw_true" if "yaw_true" in items else "yaw"], strict=True))
    yaws = [known[name] for name in ours["ids"][shared]]
    assert yaws == sorted(yaws) and yaws[0] == min(known.values()) and yaws[-1] == max(known.values())
    worst = items[~items.id.isin(ours["ids"][shared])].sort_values("error").iloc[-1]
    errors = dict(zip(items.id, items.error, strict=True))
    own = ours["ids"][ours["roles"] == "worst"]
    assert len(own) == 2 and errors[own[0]] == worst.error


def test_pairs_that_an_encoder_does_worst_on_are_kept(tmp_path: Path) -> None:
    """Recognition showed no picture at all."""
    found, items = kept("verification", tmp_path, Pixels())
    assert set(found["roles"]) == {"pair"}
    pairs = hardest_pairs(items)
    assert set(pairs.id_a) | set(pairs.id_b) == set(found["ids"]) and len(found["ids"]) == 2 * len(pairs)
    genuine, impostor = items[items.truth], items[~items.truth]
    assert pairs[pairs.truth].score.min() == genuine.score.min()
    assert pairs[~pairs.truth].score.max() == impostor.score.max()
    assert np.isfinite(found["transforms"]).all()


def test_kinds_that_do_not_show_on_a_face_keep_none() -> None:
    assert samples_of(replace(blob_task("pose"), kind="codebook"), pd.DataFrame(), None) is None  # type: ignore[arg-type]
