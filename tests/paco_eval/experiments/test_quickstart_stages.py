"""What the quickstart says on its way, and the first picture that it shows."""

from __future__ import annotations

import numpy as np
from PIL import Image

from paco_eval.experiments import quickstart
from paco_eval.rows.store import write_row
from tests.fixtures.made_rows import TASKS, make_row


def test_stages_are_numbered_and_time_left_follows_the_time_taken(monkeypatch):
    clock, said = [0.0], []
    monkeypatch.setattr(quickstart.time, "monotonic", lambda: clock[0])
    stages = quickstart.Stages(said.append)
    stages.begin("a first look")
    total = sum(quickstart.STAGES.values())
    assert said == [f"1/5 a first look, about {quickstart.rounded(total)} left"]
    clock[0] = 2 * quickstart.STAGES["a first look"]  # half as quick as it should be
    stages.begin("training")
    left = 2 * (total - quickstart.STAGES["a first look"])
    assert said[-1] == f"2/5 training, about {quickstart.rounded(left)} left"
    assert total <= 180, "seconds of two cores that are promised"


def test_times_are_told_in_round_numbers():
    assert [quickstart.rounded(seconds) for seconds in (3, 44, 119, 185)] == [
        "10 s",
        "40 s",
        "120 s",
        "3 min",
    ]


def test_the_first_picture_shows_faces_what_is_hidden_and_what_is_filled_in(tmp_path):
    path = quickstart.first_look(tmp_path / "look.png", count=2)
    sheet = np.asarray(Image.open(path), dtype=float)
    side, line, gap = 112, 14, 6
    tops = [gap + row * (side + line + gap) for row in range(4)]
    faces, hidden, tokens, filled = (sheet[top : top + side, gap : gap + side] for top in tops)
    away = [np.abs(row - faces).mean() for row in (hidden, tokens, filled)]
    assert away[0] > 1.5 * away[2] > 0 and away[1] > 0


def test_gains_stand_beside_what_a_long_training_comes_to(tmp_path):
    """The end showed the method worse than untrained in a family and said nothing of why."""
    for encoder, method in (
        ("random:tiny", "random:tiny"),
        ("paco:q", "paco/tiny"),
        ("paco-tiny", "paco-tiny"),
    ):
        row, items = make_row(encoder, TASKS[2], method=method)
        write_row(tmp_path / "rows", row, items)
    (said,) = quickstart.gains(tmp_path)
    assert said.startswith("pose, angle error, degrees: ") and "trained (" in said
    assert said.endswith("after four million pictures (paco-tiny)")
