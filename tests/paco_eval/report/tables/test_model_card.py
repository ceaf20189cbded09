"""A card lists scores of the exported weights and of no others."""

from __future__ import annotations

from pathlib import Path

import pytest

from paco_eval.report.tables.model_card import card_scores
from paco_eval.rows.store import write_row
from paco_fr.utils.errors import PacoError
from tests.fixtures.made_rows import TASKS, make_row

OURS, PIXELS = "a1" * 8, "5b2c0c1f6a4e9d37"


def write(folder: Path, encoder: str = "paco:runs/a", made=TASKS[2], **changed):
    row, items = make_row(encoder, made, **{"weight_hash": OURS, "pixel_hash": PIXELS, **changed})
    write_row(folder / "rows", row, items)
    return row


def test_main_metrics_of_these_weights_are_listed_with_their_setting(tmp_path):
    pose = write(tmp_path)
    write(tmp_path, made=TASKS[5], subset="frontal")
    write(tmp_path, made=TASKS[3], protocol="few-shot 5")
    write(tmp_path, made=TASKS[0], data_kind="mimic")
    write(tmp_path, level=3)
    write(tmp_path, "paco:runs/b", TASKS[4], weight_hash="b2" * 8)
    write(tmp_path, made=TASKS[1], pixel_hash="0" * 16)
    card = card_scores(tmp_path, OURS, PIXELS, "paco:runs/a")
    lines = [line for line in card.splitlines() if line.startswith("| ")][2:]
    assert len(lines) == 3
    value, low, high = (f"{number:.2f}" for number in (pose.main.value, pose.main.low, pose.main.high))
    assert (
        f"| pose/synthetic v1 | frozen | angle error, degrees ↓ | {value} | [{low}, {high}] | 240 of 242 |"
        in lines
    )
    assert any("expression/synthetic v1, frontal" in line for line in lines)
    assert any("few-shot 5" in line for line in lines)
    assert "intervals at 95 %" in card and "paco-fr 0.1.0" in card


def test_without_a_score_of_these_weights_the_error_says_what_is_there_and_what_to_do(tmp_path):
    write(tmp_path, "paco:runs/b", weight_hash="b2" * 8)
    write(tmp_path, made=TASKS[0], data_kind="mimic")
    with pytest.raises(PacoError) as told:
        card_scores(tmp_path, OURS, PIXELS, "paco:runs/a")
    for said in (
        f"none of 2 rows is a score of these weights ({OURS}",
        f"paco:runs/b ({'b2' * 8})",
        f"paco-eval evaluate paco:runs/a pixels constant --out {tmp_path}",
    ):
        assert said in str(told.value)
    (tmp_path / "empty").mkdir()
    with pytest.raises(PacoError, match="no rows"):
        card_scores(tmp_path / "empty", OURS, PIXELS, "paco:runs/a")
