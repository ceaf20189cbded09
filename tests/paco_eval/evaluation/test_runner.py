from __future__ import annotations

import signal
from ast import literal_eval
from dataclasses import replace

import numpy as np
import pytest

from paco_eval.encoders.baselines import Constant, Pixels
from paco_eval.evaluation.data import Data
from paco_eval.evaluation.protocols import Protocol
from paco_eval.evaluation.runner import evaluate_all, measure
from paco_eval.probes.probe import choose
from paco_eval.rows.store import load_rows, read_items
from paco_fr.contracts import CROPS
from paco_fr.utils.errors import PacoError
from paco_fr.utils.files import owned_folder
from tasks.derived import derived_tasks
from tests.fixtures.child import in_processes, python
from tests.paco_eval.conftest import blob_task, small_pixels


def quiet(_: str) -> None:
    pass


@pytest.mark.parametrize(("kind", "floor", "reached"), [
    ("pose", 4.0, 2.5), ("landmarks", 50.0, 30.0), ("classification", 60.0, 85.0), ("verification", 0.5, 0.8),
])  # fmt: skip
def test_every_kind_runs_to_a_row_and_pixels_beat_the_constant(kind, floor, reached, tmp_path):
    data = Data.load(blob_task(kind), None)
    (pixels,) = measure(Pixels(), data, out=tmp_path, say=quiet)
    (constant,) = measure(Constant(), data, out=tmp_path, say=quiet)
    better = 1 if pixels.main.higher_is_better else -1
    assert better * pixels.main.value > better * reached
    assert better * constant.main.value <= better * floor
    assert pixels.n_expected == pixels.n_scored == 18
    assert pixels.main.low <= pixels.main.value <= pixels.main.high
    path = tmp_path / "rows" / f"{pixels.key}.json"
    assert len(read_items(path)) > 0 and path.exists()


def test_rows_are_found_again_and_overwrite_is_obeyed(tmp_path):
    data = Data.load(blob_task("pose"), None)
    assert measure(small_pixels(), data, out=tmp_path, say=quiet)
    assert measure(small_pixels(), data, out=tmp_path, say=quiet) == []
    assert measure(small_pixels(), data, out=tmp_path, overwrite="always", say=quiet)
    with pytest.raises(PacoError, match="never"):
        measure(small_pixels(), data, out=tmp_path, overwrite="never", say=quiet)


def test_the_same_measurement_gives_the_same_numbers(tmp_path):
    rows = [
        measure(small_pixels(), Data.load(blob_task("pose"), None), out=tmp_path / name, say=quiet)[0]
        for name in "ab"
    ]
    assert (
        rows[0].key == rows[1].key and rows[0].metrics == rows[1].metrics and rows[0].chosen == rows[1].chosen
    )


def test_broken_pictures_are_counted_and_scored_by_the_rule(tmp_path):
    task = blob_task("pose", reader_options={"broken": 2})
    (row,) = measure(small_pixels(), Data.load(task, None), out=tmp_path, say=quiet)
    assert (row.n_expected, row.n_scored) == (18, 16)
    items = read_items(tmp_path / "rows" / f"{row.key}.json")
    assert len(items) == 18 and (items["failure"] != "").sum() == 2


def test_choosing_never_sees_the_test_part(tmp_path):
    """Scrambled test features change no choice; a chooser that looked at them would differ."""
    task = blob_task("pose")
    data = Data.load(task, None)
    units, split = data.views["all"]
    from paco_eval.features.extract import extract

    tables = extract(small_pixels(), units, task.reductions).layers
    test = split.score[0].held.indices
    scrambled = {layer: table.copy() for layer, table in tables.items()}
    for table in scrambled.values():
        table[test] = np.nan
    assert choose(task, tables, units.labels, split.select) == choose(
        task, scrambled, units.labels, split.select
    )


def test_a_limit_is_marked_in_the_row(tmp_path):
    (row,) = measure(
        small_pixels(), Data.load(blob_task("pose"), None, Protocol(limit=6)), out=tmp_path, say=quiet
    )
    assert row.protocol == "frozen, limit 6" and row.n_expected == 6


def test_a_required_crop_that_clashes_is_refused(tmp_path):
    encoder = Pixels()
    encoder.required_crop = CROPS["arcface"]
    with pytest.raises(PacoError, match="needs the crop"):
        measure(encoder, Data.load(blob_task("pose"), None), out=tmp_path, say=quiet)


@pytest.mark.parametrize("name", ["whole", "box"])
def test_a_named_crop_lifts_the_refusal_and_is_marked(name, tmp_path):
    encoder = Pixels()
    encoder.required_crop = CROPS["arcface"]
    data = Data.load(blob_task("pose"), None, Protocol(limit=6, crop=name))
    (row,) = measure(encoder, data, out=tmp_path, say=quiet)
    assert row.protocol == f"frozen, crop {name}, limit 6" and row.crop_hash == CROPS[name].hash
    assert row.command.endswith(f"--crop {name} --limit 6")
    with pytest.raises(PacoError, match="Did you mean whole"):
        Data.load(blob_task("pose"), None, Protocol(crop="whole2"))


def test_a_failed_cell_is_told_and_the_others_go_on(tmp_path):
    said: list[str] = []
    bad = replace(blob_task("pose"), reader_options={"people": 2})
    failed = evaluate_all(
        ["pixels", "constant"], [bad, blob_task("landmarks")], out=tmp_path, say=said.append
    )
    assert [line.partition(": ")[0] for line in failed] == ["pose/blobs  pixels", "pose/blobs  constant"]
    assert any(line.startswith("pose/blobs: ") for line in said)
    rows, problems = load_rows([tmp_path])
    assert len(rows) == 2 and not problems


def test_a_wrong_encoder_stops_the_call_before_anything_is_computed(tmp_path):
    with pytest.raises(PacoError, match="Did you mean pixels"):
        evaluate_all(["constant", "pixles"], [blob_task("pose")], out=tmp_path, say=quiet)
    assert not (tmp_path / "rows").exists()


def test_two_evaluations_into_one_folder_are_refused_and_rows_stay(tmp_path):
    evaluate_all(["constant"], [blob_task("pose")], out=tmp_path, say=quiet)
    with owned_folder(tmp_path), pytest.raises(PacoError, match="Another run"):
        evaluate_all(["pixels"], [blob_task("pose")], out=tmp_path, say=quiet)
    assert len(load_rows([tmp_path])[0]) == 1


def test_rate_is_told_only_where_pictures_were_encoded_now(tmp_path, monkeypatch):
    monkeypatch.setattr("paco_eval.features.extract.BATCH", 8)
    data = Data.load(blob_task("pose"), None)
    (first,) = measure(small_pixels(), data, out=tmp_path / "a", say=quiet)
    (again,) = measure(small_pixels(), data, out=tmp_path / "b", say=quiet)
    assert first.cost["images_per_s"] > 0
    assert "images_per_s" not in again.cost
    assert first.cost["flops"] == again.cost["flops"] == 0


class Faulty(Pixels):
    """Someone else's encoder with a bug."""

    def tokens(self, images, blocks):
        return images + blocks


def torn_records(data_root=None):
    raise KeyError("split")


def test_a_bug_fails_its_cell_alone_and_its_traceback_is_kept(tmp_path):
    said: list[str] = []
    torn = blob_task("pose", name="pose/torn", reader="tests.paco_eval.evaluation.test_runner:torn_records")
    encoders = [Faulty(name="theirs", weight_hash="f" * 16), "constant"]
    failed = evaluate_all(encoders, [torn, blob_task("pose")], out=tmp_path, say=said.append)
    log = f" (traceback in {tmp_path / 'errors.log'})"
    assert failed[:2] == [f"pose/torn  {name}: KeyError: 'split'{log}" for name in ("theirs", "constant")]
    assert failed[2].startswith("pose/blobs  theirs: TypeError: ") and failed[2].endswith(log)
    assert len(failed) == 3 and "\n" not in "".join(failed) and failed[2] in said
    kept = (tmp_path / "errors.log").read_text()
    assert "in torn_records" in kept and "return images + blocks" in kept
    assert [stored.row.encoder for stored in load_rows([tmp_path])[0]] == ["constant"]


def test_a_bug_that_all_encoders_share_pictures_with_spares_the_others(tmp_path):
    task = derived_tasks([blob_task("pose", reader="tests.paco_eval.evaluation.test_derived:face_records")])[
        "quality/pose/blobs"
    ]
    task = replace(task, sweep=replace(task.sweep, kinds=("blur",), levels=(3,)))
    encoders = [Faulty(name="theirs", weight_hash="f" * 16), small_pixels(), Constant()]
    failed = evaluate_all(encoders, [task], out=tmp_path, say=quiet)
    assert len(failed) == 1 and "theirs: TypeError" in failed[0]
    assert {stored.row.encoder for stored in load_rows([tmp_path])[0]} == {"pixels", "constant"}


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
def test_who_stops_an_evaluation_stops_all_of_it(end, tmp_path, monkeypatch):
    def stopped(*call, **options):
        raise end

    monkeypatch.setattr("paco_eval.evaluation.frozen.extract", stopped)
    with pytest.raises(end):
        evaluate_all(["pixels"], [blob_task("pose"), blob_task("landmarks")], out=tmp_path, say=quiet)


SPREAD = """
from pathlib import Path
from accelerate import PartialState
from paco_eval.encoders.baselines import Pixels
from paco_eval.evaluation.protocols import Protocol
from paco_eval.evaluation.runner import evaluate_all
from tasks.derived import derived_tasks
from paco_eval.features.processes import use_device
from tests.paco_eval.conftest import blob_task

class Faulty(Pixels):
    def tokens(self, images, blocks):
        return images + blocks if PartialState().process_index == 1 else super().tokens(images, blocks)

use_device("auto")
encoders = [Faulty(name="theirs", weight_hash="f" * 16), "constant"]
failed = evaluate_all(encoders, [blob_task("pose")], out=Path(OUT), say=lambda _: None)
assert len(failed) == 1, failed
print(failed[0])
"""


def test_a_bug_in_one_process_fails_the_cell_in_all_and_they_go_on(tmp_path):
    said = in_processes(
        2, SPREAD.replace("OUT", repr(str(tmp_path))), PACO_CACHE=str(tmp_path.with_name("cache"))
    )
    assert "pose/blobs  theirs: RuntimeError: TypeError: " in said and "in process 1 (traceback in" in said
    assert ", in tokens" in (tmp_path / "errors.log").read_text()
    assert [stored.row.encoder for stored in load_rows([tmp_path])[0]] == ["constant"]


KILLED = """
import os, signal
from pathlib import Path
import paco_eval.evaluation.frozen as frozen
from tests.paco_eval.evaluation.test_runner import grid

real, calls = frozen.extract, []

def cut_short(*call, **options):
    found = real(*call, **options)
    calls.append(1)
    if len(calls) == 3:  # features of the third cell are stored, its row is not
        os.kill(os.getpid(), signal.SIGKILL)
    return found

frozen.extract = cut_short
grid(Path(OUT))
"""
AGAIN = """
from pathlib import Path
from paco_eval.features.processes import use_device
from tests.paco_eval.evaluation.test_runner import grid
use_device("auto")
print(grid(Path(OUT)))
"""


def grid(out):
    """Measure two encoders on two tasks; return what was said, a line a cell."""
    said: list[str] = []
    tasks = [blob_task("pose"), blob_task("verification")]
    assert evaluate_all(["random:tiny", "pixels"], tasks, out=out, say=said.append) == []
    return said


def test_after_a_kill_one_cell_is_measured_again_and_three_processes_print_the_same(tmp_path):
    whole = grid(tmp_path / "whole")
    cut, cache = repr(str(tmp_path / "cut")), str(tmp_path / "cache")
    status, told = python(KILLED.replace("OUT", cut), environment={"PACO_CACHE": cache}).ended()
    assert status == -signal.SIGKILL, told
    assert len(load_rows([tmp_path / "cut"])[0]) == 2
    said = in_processes(3, AGAIN.replace("OUT", cut), PACO_CACHE=cache)
    lines = literal_eval(said.splitlines()[-1])
    assert lines[:2] == [f"pose/blobs  {name}: already measured" for name in ("random:tiny", "pixels")]
    assert lines[2:] == whole[2:] and len(lines) == 4
    metrics = [
        {(stored.row.task, stored.row.encoder): stored.row.main for stored in load_rows([tmp_path / run])[0]}
        for run in ("whole", "cut")
    ]
    assert metrics[0].keys() == metrics[1].keys()
    for cell, metric in metrics[0].items():
        assert metrics[1][cell].value == pytest.approx(metric.value, rel=1e-5)
