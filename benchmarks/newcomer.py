"""What a newcomer waits for, beside an earlier commit: start-up of every command, evaluations cold and warm, the page.

``python -m benchmarks.newcomer --former CHECKOUT [--quickstart]`` runs both trees in turn, each command in a process and
with a cache of its own, and prints seconds on the clock and of the processors (children included), which a busy machine
changes less. The page is that of each quickstart: its size, and when a headless Chromium paints it first.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

COMMANDS = (
    "quickstart",
    "pretrain",
    "evaluate",
    "embed",
    "ablate",
    "compare",
    "report",
    "repro",
    "explain",
    "export",
)
TASK = ["--tasks", "pose/synthetic"]
PAINT = """<script>new PerformanceObserver(list => { for (const e of list.getEntries())
if (e.name === "first-contentful-paint") document.title = "paint " + Math.round(e.startTime) })
.observe({type: "paint", buffered: true})</script>"""


class Spent(NamedTuple):
    """Seconds of a command."""

    wall: float
    cpu: float
    status: int

    def __str__(self) -> str:
        return f"{self.wall:7.2f} s {self.cpu:7.2f} CPU" + (f"  (exit {self.status})" if self.status else "")


def spent(tree: Path, cache: Path, *words: str) -> Spent:
    """Run a command of a tree and return what it took."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "PACO_CACHE": str(cache)}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    program = "from paco_eval.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=cache.parent,
        env=environment,
        capture_output=True,
        check=False,
    )
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Spent(wall, cpu, done.returncode)


def painted(page: Path, folder: Path) -> str:
    """Return milliseconds to the first paint of contents in a headless browser, or why there are none."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        return "no Chromium"
    copy = folder / "page.html"
    copy.write_text(page.read_text(encoding="utf-8").replace("</body>", f"{PAINT}</body>"), encoding="utf-8")
    done = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         f"--user-data-dir={folder}/browser", "--timeout=5000", "--dump-dom", copy.as_uri()],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = re.search(r"<title>paint (\d+)</title>", done.stdout)
    return f"{found.group(1)} ms" if found else "not told"


def main() -> None:
    """Print a line for each case and tree."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--former", type=Path, required=True, help="a checkout to stand beside")
    parser.add_argument("--quickstart", action="store_true", help="also run both quickstarts: minutes")
    parser.add_argument("--only", default="", help="a regular expression of cases")
    given = parser.parse_args()
    here = Path(__file__).parents[1]
    cases = {f"{name} --help": [name, "--help"] for name in COMMANDS}
    cases |= {
        "evaluate, dry run, empty cache": ["evaluate", "constant", *TASK, "--limit", "60", "--dry-run"],
        "evaluate, 60 of each part, empty cache": ["evaluate", "constant", *TASK, "--limit", "60", "--out", "a"],
        "the same again, measured anew": [
            "evaluate", "constant", *TASK, "--limit", "60", "--out", "a", "--overwrite", "always",
        ],
        "evaluate paco-tiny, all faces, empty cache": ["evaluate", "paco-tiny", *TASK, "--out", "b"],
        "the same again, features cached": ["evaluate", "paco-tiny", *TASK, "--out", "b", "--overwrite", "always"],
    }  # fmt: skip
    if given.quickstart:
        cases["quickstart, empty cache"] = ["quickstart", "--out", "q"]
    with tempfile.TemporaryDirectory() as scratch:
        places = {
            tree: Path(scratch) / title for tree, title in ((given.former.resolve(), "former"), (here, "now"))
        }
        for name, words in cases.items():
            if not re.search(given.only, name):
                continue
            for tree, place in places.items():
                place.mkdir(exist_ok=True)
                cold = "empty cache" in name
                if cold:
                    shutil.rmtree(place / "cache", ignore_errors=True)
                print(f"{name:44s} {place.name:7s} {spent(tree, place / 'cache', *words)}", flush=True)
        for place in places.values():
            page = place / "q" / "report" / "report.html"
            if page.exists():
                size = page.stat().st_size / 1e6
                print(
                    f"{'the page of the quickstart':44s} {place.name:7s} {size:.1f} MB, painted {painted(page, place)}"
                )


if __name__ == "__main__":
    main()
