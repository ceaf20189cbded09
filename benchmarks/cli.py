"""How long ``paco-eval --help`` and ``list tasks`` take, beside a bare ``python -c pass`` and ``import torch``.

``python -m benchmarks.cli`` prints medians of whole processes, taken in turn, and ratios to bare Python.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

ROUNDS = 7
PROGRAM = [sys.executable, "-c", "from paco_eval.cli import main; main()"]
CASES = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "paco-eval --help": [*PROGRAM, "--help"],
    "paco-eval list tasks": [*PROGRAM, "list", "tasks"],
    "paco-eval list encoders": [*PROGRAM, "list", "encoders"],
    "python -c 'import torch'": [sys.executable, "-c", "import torch"],
}


def main() -> None:
    seconds: dict[str, list[float]] = {name: [] for name in CASES}
    for _ in range(ROUNDS + 1):
        for name, command in CASES.items():
            started = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            seconds[name].append(time.perf_counter() - started)
    bare = statistics.median(seconds["python -c pass"][1:])
    for name, times in seconds.items():
        median = statistics.median(times[1:])  # the first round warms the disk
        print(f"{name:26s} {median:6.3f} s  {median / bare:5.1f} x bare Python")


if __name__ == "__main__":
    main()
