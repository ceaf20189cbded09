"""Every benchmark end to end: its miniature is written, checked, and scored with pixels against a kept score.

Sets without a train part take the encoder's default block here, not that of ``choice_from``, which would render
thousands of faces first. A score that changes needs a new version of its task, or of ``pixels``.
``PACO_GOLDEN=write pytest tests/tasks/mimics`` keeps new ones.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from paco_eval.encoders import load_encoder
from paco_eval.evaluation.data import Data
from paco_eval.evaluation.runner import measure
from paco_eval.rows.schema import Row
from paco_eval.rows.store import read_items, read_row
from tasks.data_check import passport
from tasks.mimics import WRITERS
from tasks.registry import all_tasks, variants

GOLDEN = Path(__file__).parents[2] / "golden" / "pixels.json"
SLACK = 2e-3
"""Relative difference that another processor's rounding may make."""


KNOWN = all_tasks() | variants()


@pytest.mark.parametrize("name", sorted(name for name, task in KNOWN.items() if task.plain_name in WRITERS))
def test_pixels_score_as_kept(name: str, miniatures: Path, tmp_path: Path) -> None:
    task = KNOWN[name]
    found = passport(task, miniatures)
    assert found.sound, found
    assert found.data_kind == "mimic"
    assert not found.shared
    scored = replace(task, choice_from="")
    encoder = load_encoder("pixels")
    rows = measure(encoder, Data.load(scored, miniatures), out=tmp_path, say=lambda _: None)
    if not name.startswith("recognition/"):  # whose items are pairs and templates
        check_rows(rows, tmp_path, found.counts)
    scores = {row.subset: row.main.value for row in rows}
    kept = json.loads(GOLDEN.read_text(encoding="utf-8")) if GOLDEN.exists() else {}
    if os.environ.get("PACO_GOLDEN") == "write":
        kept[name] = {
            "version": task.version,
            "pixels": encoder.adapter_version,
            "metric": task.main_metric,
            "scores": scores,
        }
        GOLDEN.write_text(json.dumps(dict(sorted(kept.items())), indent=1) + "\n", encoding="utf-8")
    assert name in kept, "no kept score; see the head of this file"
    if kept[name]["version"] != task.version:
        pytest.fail(f"{name} has version {task.version}: keep its new score (see the head of this file)")
    assert kept[name]["metric"] == task.main_metric
    assert kept[name]["pixels"] == encoder.adapter_version, "scores of an earlier version of pixels"
    assert scores == pytest.approx(kept[name]["scores"], rel=SLACK), (
        "a changed score needs a new task version"
    )


def check_rows(rows: list[Row], out: Path, counts: dict[str, int]) -> None:
    """Rows say what they were measured on, and each subset's items are the flagged ones of the whole."""
    assert rows[0].subset == "all"
    whole = read_items(out / "rows" / f"{rows[0].key}.json")
    for row in rows:
        path = out / "rows" / f"{row.key}.json"
        assert read_row(path).data_kind == "mimic"
        assert row.n_scored == row.n_expected
        items = read_items(path)
        if row.subset != "all":
            assert row.n_expected == counts[row.subset]
            assert set(items["id"]) == set(whole["id"][whole[f"subset:{row.subset}"]])
    if "excluded" in counts:
        assert rows[0].chosen["excluded"] == counts["excluded"]
