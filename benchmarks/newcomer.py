"""What a newcomer waits for, beside another tree: start-ups, evaluations cold and warm, the quickstart and its page.

``python -m benchmarks.newcomer --against TREE`` runs both trees in turn, each with a cache of its own, and prints for each
case the seconds on the clock and of the processors (children included; a busy machine changes these less) and their
ratio. ``git worktree add TREE COMMIT`` makes the other tree. Start-ups are medians of rounds, beside a bare ``python -c
pass`` and ``import torch``. ``--quickstart`` adds both quickstarts, which take minutes, and their pages in Chromium.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.report import browser_here, weighed
from paco_eval.cli import COMMANDS

PROGRAM = "from paco_eval.cli import main; main()"
STARTS = {
    "python -c pass": "pass",
    "import torch": "import torch",
    **{f"{name} --help": PROGRAM for name in ("", *COMMANDS)},
    **{f"list {what}": PROGRAM for what in ("tasks", "encoders", "datasets", "recipes")},
}
"""What is started, and the code that does it with the words of its name, where it takes any."""
CONSTANT = "evaluate constant --tasks pose/synthetic --limit 60"
TINY = "evaluate paco-tiny --tasks pose/synthetic"
RUNS = (
    ("dry run, empty cache", f"{CONSTANT} --dry-run"),
    ("60 of each part, empty cache", f"{CONSTANT} --out a"),
    ("the same, all measured", f"{CONSTANT} --out a"),
    ("the same, measured anew", f"{CONSTANT} --out a --overwrite always"),
    ("paco-tiny on 3,240 faces, empty cache", f"{TINY} --out b"),
    ("the same, all measured", f"{TINY} --out b"),
    ("the same, features cached", f"{TINY} --out b --overwrite always"),
)
"""Evaluations in the order in which they run; the cache is emptied where the title says so."""
QUICKSTART = ("quickstart, empty cache", "quickstart --out q")


class Spent(NamedTuple):
    """Seconds of a process: on the clock, and of the processors."""

    wall: float
    cpu: float
    status: int

    def __str__(self) -> str:
        return f"{self.wall:7.2f} s {self.cpu:7.2f} CPU" + (f" (exit {self.status})" if self.status else "")


def spent(tree: Path, place: Path, code: str, *words: str) -> Spent:
    """Run code with the modules of a tree in a folder whose cache is its own, and return what it took."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "PACO_CACHE": str(place / "cache")}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-c", code, *words]
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, check=False)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Spent(wall, cpu, done.returncode)


def line(title: str, found: dict[str, Spent]) -> None:
    """Print a case with what each tree took; the ratio is that of the processors where both did it."""
    here, there = found.get("here"), found.get("there")
    both = here is not None and there is not None and here.status == there.status == 0
    ratio = f"  {here.cpu / there.cpu:5.2f} x" if both and here and there else ""
    print(f"{title:46s} {'   '.join(f'{name} {each}' for name, each in found.items())}{ratio}", flush=True)


def main() -> None:
    """Print a line for each case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", type=Path, help="another tree of this repository")
    parser.add_argument("--rounds", type=int, default=5, help="of start-ups")
    parser.add_argument("--quickstart", action="store_true", help="also run the quickstarts: minutes")
    parser.add_argument("--only", default="", help="a regular expression of cases")
    asked = parser.parse_args()
    trees = {"here": Path(__file__).parents[1]} | (
        {"there": asked.against.resolve()} if asked.against else {}
    )
    with tempfile.TemporaryDirectory() as scratch:
        places = {name: Path(scratch) / name for name in trees}
        for place in places.values():
            place.mkdir()
        for name, code in STARTS.items():
            if not re.search(asked.only, name):
                continue
            words = name.split() if code is PROGRAM else []
            rounds: dict[str, list[Spent]] = {tree: [] for tree in trees}
            for _ in range(asked.rounds):
                for tree, path in trees.items():
                    rounds[tree].append(spent(path, places[tree], code, *words))
            line(name, {tree: _median(each) for tree, each in rounds.items()})
        for title, words in (*RUNS, *((QUICKSTART,) if asked.quickstart else ())):
            if not re.search(asked.only, title):
                continue
            found = {}
            for tree, path in trees.items():
                if title.endswith("empty cache"):
                    shutil.rmtree(places[tree] / "cache", ignore_errors=True)
                found[tree] = spent(path, places[tree], PROGRAM, *words.split())
            line(title, found)
        for tree, place in places.items():
            page = place / "q" / "report" / "report.html"
            if page.exists():
                print(f"{'the page of the quickstart':46s} {tree} {weighed(browser_here(), page, place)}")


def _median(rounds: list[Spent]) -> Spent:
    return Spent(
        *(statistics.median(times) for times in list(zip(*rounds, strict=True))[:2]), rounds[-1].status
    )


if __name__ == "__main__":
    main()
