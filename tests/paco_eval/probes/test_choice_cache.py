from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import paco_eval.probes.scorer as scoring
from paco_eval.encoders.baselines import Pixels
from paco_eval.evaluation.data import Data
from paco_eval.evaluation.runner import measure
from paco_eval.probes.choice_cache import choice_path, chosen_once, remembered
from paco_eval.probes.probe import Choice
from paco_eval.rows.store import read_items
from tasks.derived import derived_tasks
from tests.paco_eval.conftest import blob_task
from tests.paco_eval.evaluation.test_derived import quiet, swept

CHOICE = Choice(("4", "grid4"), 0.1 + 0.2, 12.345678901234567)


def small() -> Pixels:
    """Return pixels of small grids alone."""
    return Pixels(blocks=("4x4", "8x8"))


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows with every choice that is made."""
    made: list[int] = []
    choose = scoring.choose
    monkeypatch.setattr(scoring, "choose", lambda *given: made.append(1) or choose(*given))
    return made


def test_a_task_and_all_that_derive_from_it_choose_once_with_the_same_numbers(tmp_path, monkeypatch):
    made = counted(monkeypatch)
    tasks = [swept("occlusion", ("boxes",)), swept("illumination", ("gamma",)), swept("quality", ("blur",))]
    base = replace(tasks[0], name="pose/blobs", sweep=None)

    def measured(out: Path) -> list[tuple]:
        rows = measure(small(), Data.load(base, None), out=out, say=quiet)
        for task in tasks:
            rows += measure(small(), Data.load(task, None), out=out, say=quiet)
        items = [read_items(out / "rows" / f"{row.key}.json") for row in rows]
        return [
            (row.metrics, row.val_score, row.chosen, table.to_dict())
            for row, table in zip(rows, items, strict=True)
        ]

    once = measured(tmp_path / "once")
    assert len(made) == 1
    monkeypatch.setattr(scoring, "chosen_once", lambda path, choose: choose())
    monkeypatch.setattr("paco_eval.evaluation.derived.remembered", lambda path: None)
    assert measured(tmp_path / "every time") == once
    assert len(made) == 5


def test_whatever_a_choice_depends_on_has_a_file_of_its_own():
    task, encoder = blob_task("pose"), Pixels()
    data = Data.load(task, None)
    folds = data.views["all"][1].select

    def path(encoder=encoder, task=task, records=data.fingerprint, folds=folds, rule=""):
        return choice_path(encoder, task, records, folds, rule)

    other = Pixels()
    other.weight_hash = "another"
    half = Pixels()
    half.precision = "bfloat16"
    fewer = Data.load(replace(task, reader_options={"people": 15}), None)
    paths = [
        path(),
        path(encoder=other),
        path(encoder=half),
        path(task=replace(task, version=2)),
        path(task=replace(task, main_metric="mae_yaw")),
        path(task=replace(task, head="knn")),
        path(task=replace(task, options={"lenient": True})),
        path(records="others"),
        path(folds=fewer.views["all"][1].select),
        path(rule="raw"),
    ]
    assert len(set(paths)) == len(paths)
    assert path(task=derived_tasks([task])["occlusion/pose/blobs"]) == path()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"layer": ["4"], "strength": 1, "score": 1.0, "checksum": ""}',
                                     '{"layer": ["4", "mean"], "strength": null, "score": 1.0, "checksum": ""}'])  # fmt: skip
def test_a_broken_file_is_put_aside_and_made_again(content, tmp_path, capsys):
    path = tmp_path / "choice.json"
    path.write_text(content)
    assert remembered(path) is None
    assert chosen_once(path, lambda: CHOICE) == CHOICE
    assert remembered(path) == CHOICE, "to the last bit"
    aside = sorted(file.name for file in tmp_path.iterdir())
    assert aside == ["choice.json", "choice.json.damaged"]
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and f"Damaged: {path}: " in said and "made again" in said


def test_a_choice_is_held_against_its_checksum_bit_by_bit(tmp_path):
    """A flipped bit of a kept choice was believed: another strength, another score."""
    path = tmp_path / "choice.json"
    chosen_once(path, lambda: CHOICE)
    whole = path.read_bytes()
    for bit in range(len(whole) * 8):
        broken = bytearray(whole)
        broken[bit // 8] ^= 1 << bit % 8
        path.write_bytes(broken)
        assert remembered(path) in (None, CHOICE), bit


def test_a_choice_without_a_checksum_is_made_again(tmp_path):
    """Earlier versions kept none."""
    path = tmp_path / "choice.json"
    path.write_text('{"layer": ["4", "mean"], "strength": 1.0, "score": 0.5}')
    assert remembered(path) is None
    assert chosen_once(path, lambda: CHOICE) == CHOICE == remembered(path)


def test_strengths_that_are_words_are_kept(tmp_path):
    choice = replace(CHOICE, strength="raw")
    chosen_once(tmp_path / "choice.json", lambda: choice)
    assert remembered(tmp_path / "choice.json") == choice
