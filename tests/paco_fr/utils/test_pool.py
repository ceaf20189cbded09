"""Work spread over processes, from wherever it is asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from paco_fr.utils.pool import in_order

SCRIPT = """
from paco_fr.utils.pool import in_order
from tests.paco_fr.utils.test_pool import work

print("begins")
print(list(in_order(work, 10, range(5), 2)))
"""


def work(context: int, job: int) -> int:
    return context * job


def test_any_number_of_workers_gives_the_same() -> None:
    expected = [0, 10, 20, 30, 40]
    for workers, threads in ((0, False), (1, False), (2, True), (2, False)):
        assert list(in_order(work, 10, range(5), workers, threads=threads)) == expected


def test_a_script_without_a_main_guard_is_run_once(tmp_path: Path) -> None:
    """Workers imported the caller's script again, which started workers again: BrokenProcessPool."""
    script = tmp_path / "mine.py"
    script.write_text(SCRIPT, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(
        [sys.executable, str(script)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["begins", "[0, 10, 20, 30, 40]"]
