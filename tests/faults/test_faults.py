"""The campaign of faults in a short form; the long one is ``python -m tests.faults``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.commands import make_data
from tests.faults.flips import flip, kinds


def test_one_flipped_bit_is_the_same_or_made_again_or_refused(tmp_path: Path, monkeypatch) -> None:
    """Damaged features, states, weights, cards and choices were read as if they were whole."""
    import numpy as np

    monkeypatch.setenv("PACO_CACHE", str(tmp_path / "cache"))
    make_data(tmp_path / "data")
    stored = kinds(tmp_path, tmp_path / "data")
    rng = np.random.default_rng(0)
    came = {kind.name: {flip(kind, rng) for _ in range(6)} for kind in stored}
    assert all(found <= {"same", "made again", "refused"} for found in came.values()), came
    assert {"features", "choice", "row", "state", "weights", "card", "shard"} <= came.keys()


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", ["together", "full-disks", "kills"])
def test_what_is_disturbed_ends_as_if_it_were_not(part: str, tmp_path: Path) -> None:
    record = tmp_path / "record.json"
    words = ["--seed", "0", "--kills", "6", "--parts", part, "--record", str(record)]
    ended = subprocess.run(
        [sys.executable, "-m", "tests.faults", *words],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert json.loads(record.read_text())["findings"] == []
