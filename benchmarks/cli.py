"""How long every command takes to start, beside a bare ``python -c pass`` and ``import torch``, and beside another checkout.

``python -m benchmarks.cli`` prints medians of whole processes, taken in turn, and ratios to bare Python: the help of every
command and the lists. ``--against CHECKOUT`` runs the same calls of another checkout in the same rounds, where it has them.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from paco_eval.cli import COMMANDS

PROGRAM = [sys.executable, "-c", "from paco_eval.cli import main; main()"]
CALLS = ["--help", *(f"{name} --help" for name in COMMANDS), "list tasks", "list encoders", "list datasets"]
BARE, TORCH = "python -c pass", "python -c 'import torch'"


def main() -> None:
    """Run all calls in turn and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--against", type=Path, help="another checkout")
    asked = parser.parse_args()
    here = Path(__file__).parents[1]
    places = {"here": here} | ({"there": asked.against.resolve()} if asked.against else {})
    seconds: dict[tuple[str, str], list[float]] = {}
    for _ in range(asked.rounds + 1):
        for name, code in ((BARE, "pass"), (TORCH, "import torch")):
            seconds.setdefault((name, "here"), []).append(_took([sys.executable, "-c", code], here))
        for call in CALLS:
            for place, folder in places.items():
                took = _took([*PROGRAM, *call.split()], folder)
                if took is not None:
                    seconds.setdefault((call, place), []).append(took)
    # The first round warms the disk.
    medians = {key: statistics.median(times[1:]) for key, times in seconds.items() if len(times) > 1}
    bare = medians[BARE, "here"]
    for name in (BARE, TORCH, *CALLS):
        found = {place: medians[name, place] for place in places if (name, place) in medians}
        shown = "  ".join(
            f"{place} {value:6.3f} s {value / bare:5.1f} x bare" for place, value in found.items()
        )
        print(f"{name:26s} {shown}")


def _took(command: list[str], folder: Path) -> float | None:
    """Return the seconds of a process that imports from a checkout; None where it has no such command."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    started = time.perf_counter()
    done = subprocess.run(command, check=False, capture_output=True, cwd=folder, env=environment)
    return time.perf_counter() - started if done.returncode == 0 else None


if __name__ == "__main__":
    main()
