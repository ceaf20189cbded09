"""CelebA with few labels: shares of its people, and so many with and without each attribute."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from paco_eval.encoders import load_encoder
from paco_eval.evaluation.data import Data
from paco_eval.evaluation.frozen import few_shot
from paco_eval.evaluation.protocols import Protocol, Shots
from paco_eval.evaluation.runner import evaluate_all
from paco_eval.rows.store import load_rows
from tasks.kinds import load_kind
from tasks.registry import all_tasks

TASK = all_tasks()["attributes/celeba"]


def fitted(data):
    return data.views["all"][1].score[0].fit.indices


def test_rows_of_each_share_and_number(miniatures: Path, tmp_path: Path) -> None:
    shots = ("1%", "10%", "2")
    failed = evaluate_all(
        [load_encoder("pixels")], [TASK], Protocol.asked("few-shot", shots=shots, seeds=2), out=tmp_path,
        data_root=miniatures, say=lambda _: None,
    )  # fmt: skip
    rows = [stored.row for stored in load_rows([tmp_path]).rows]
    assert not failed and len(rows) == 6
    assert {row.protocol for row in rows} == {"few-shot 1%", "few-shot 10%", "few-shot 2 per class"}
    for row in rows:
        assert row.main_metric == "mean_accuracy" and 0 <= row.main.value <= 100
        assert f"--shots {row.protocol.split()[1]}" in row.command


def test_each_attribute_has_so_many_with_and_without_it(miniatures: Path) -> None:
    data = Data.load(TASK, miniatures)
    labels = data.views["all"][0].labels
    present = load_kind("multilabel").targets(labels, data.task)
    whole = fitted(data)
    drawn = {number: fitted(few_shot(data, Shots(per_class=number), 0)) for number in (1, 2, 4)}
    for number, units in drawn.items():
        assert set(units) <= set(whole)
        for value in (0, 1):
            wanted = np.minimum(number, (present[whole] == value).sum(0))
            assert ((present[units] == value).sum(0) >= wanted).all()
    assert set(drawn[1]) < set(drawn[2]) <= set(drawn[4])
    other = fitted(few_shot(data, Shots(per_class=1), 1))
    assert not np.array_equal(drawn[1], other)
