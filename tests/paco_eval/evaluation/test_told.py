"""What a row, and the console, tell beside a number: what failed, what is missing, what it rests on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from paco_eval.encoders.baselines import Constant, Pixels
from paco_eval.evaluation.data import Data
from paco_eval.evaluation.runner import evaluate_all, measure
from paco_eval.report.tables.table import family_tables
from paco_eval.rows.store import Stored
from paco_fr.contracts import PixelContract
from tasks.data_check import shortfall
from tasks.task import Task
from tests.paco_eval.conftest import blob_records, blob_task


def said_of(task: Task, out: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    lines: list[str] = []
    monkeypatch.setattr("paco_eval.evaluation.runner.load_encoder", lambda _: Constant())
    assert evaluate_all(["constant"], [task], out=out, say=lines.append) == []
    return "\n".join(lines)


def test_failures_reach_row_and_console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The console was silent, and a row counted pictures where pairs are scored."""
    task = blob_task("verification", reader_options={"broken": 2})
    (row,) = measure(Pixels(), Data.load(task, None), out=tmp_path / "a", say=lambda _: None)
    assert (row.n_expected, row.n_scored, row.item) == (18, 16, "pair")
    assert 0 < row.n_items_failed < row.n_items
    assert row.failed == (row.n_items_failed, row.n_items, "pair")
    assert row.void
    assert row.interval and row.interval.unit == "person" and "product" in row.interval.method
    said = said_of(task, tmp_path / "b", monkeypatch)
    assert f"{row.failures}, scored as the worst, more than the 5 % with which a number stands" in said
    assert "failed" not in said_of(blob_task("pose"), tmp_path / "c", monkeypatch)


def test_a_part_of_an_official_set_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A set with 24 of its faces gave a row that called itself official."""
    records = blob_records(None)
    task = blob_task("pose", data_kind="official", options={"expected": {"test": 10_000, "train": 1}})
    assert shortfall(task, records) == "test 18 of 10000"
    data = Data.load(task, None)
    assert data.data_kind == "partial"
    (row,) = measure(Constant(), data, out=tmp_path / "a", say=lambda _: None)
    assert (row.data_kind, row.chosen["missing"]) == ("partial", "test 18 of 10000")
    assert "PART of the official set: test 18 of 10000" in said_of(task, tmp_path / "b", monkeypatch)
    whole = blob_task("pose", data_kind="official", options={"expected": {"test": 18}})
    assert Data.load(whole, None).data_kind == "official"


def test_what_is_resampled_is_named(tmp_path: Path) -> None:
    """A caption said "over group" where a group is a person."""
    (row,) = measure(Constant(), Data.load(blob_task("pose"), None), out=tmp_path, say=lambda _: None)
    assert row.interval and row.interval.unit in ("person", "group of related pictures", "picture")
    assert row.item == "picture" and row.n_items == 18


def test_rows_and_captions_say_the_protocol_in_words(tmp_path: Path) -> None:
    """Crop, normaliser, folds and flip stood in a row as hashes, if at all; the canvas of a larger input nowhere."""
    task = replace(blob_task("landmarks"), cut="somebody's")
    (small,) = measure(Constant(), Data.load(task, None), out=tmp_path, say=lambda _: None)
    large = Constant(name="large", weight_hash="large", pixels=PixelContract(2 * task.crop.canvas))
    (big,) = measure(large, Data.load(task, None), out=tmp_path, say=lambda _: None)
    way = "crop: somebody's; square around the box, 1 times its larger side; errors divided by the box of all points"
    assert str(small.chosen["way"]).startswith(way) and small.chosen["way"] == big.chosen["way"]
    assert str(small.chosen["resolution"]).endswith(f"canvas {task.crop.canvas} px, input 8 px")
    assert str(big.chosen["resolution"]).endswith(
        f"canvas {2 * task.crop.canvas} px, input {2 * task.crop.canvas} px"
    )
    assert small.crop_hash != big.crop_hash and small.main.value == pytest.approx(big.main.value)
    (table,) = family_tables([Stored(row, tmp_path) for row in (small, big)])
    assert f"blobs: {way}" in table.caption and "no mirrored picture" in table.caption
    assert not any("face crop" in flag for flag in table.notes) and "face crop" not in table.caption
