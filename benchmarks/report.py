"""Weight, printed pages and first paint of a report's page, beside those of an earlier checkout.

Run it from the root of the repository: ``python -m benchmarks.report RUN [--against TREE]``. It needs Chromium. RUN is a
folder of rows, as quickstart leaves; without one, rows of 50 encoders on 100 tasks are made up. Aims: 3 MB and 12
printed pages for the rows of quickstart, first paint under 1 s.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ENCODERS, TASKS, TIMES = 50, 100, 5

BUILD = """
import sys
from paco_eval.report.build import build_report
build_report([sys.argv[1]], sys.argv[2], formats=["html"])
"""


def made_up(folder: Path) -> Path:
    """Write an archive of rows that nobody measured."""
    import pandas as pd

    from paco_eval.rows.schema import Interval, Metric, Row
    from paco_eval.rows.store import write_row

    items = pd.DataFrame({"id": ["a"], "group": ["a"]})
    for encoder in range(ENCODERS):
        for task in range(TASKS):
            mae = Metric(value=5 + encoder / 10, low=4, high=11, higher_is_better=False, unit="deg")
            row = Row(
                task=f"family{task // 10}/task{task}", task_version=1, family=f"family{task // 10}",
                encoder=f"encoder{encoder}", method=f"method{encoder}", weight_hash=f"{encoder:016x}",
                pixel_hash="0" * 16, crop_hash="0" * 16, protocol="frozen", data_fingerprint="0" * 16,
                data_kind="synthetic", metrics={"mae": mae, "geodesic": mae}, main_metric="mae", n_expected=2000,
                n_scored=2000, chosen={"block": 11, "pooling": "grid4", "ridge": 10.0},
                interval=Interval(method="bootstrap percentile", unit="identity", n_units=200, replicates=1000),
            )  # fmt: skip
            write_row(folder / "rows", row, items)
    return folder


def measured(browser: str, run: Path, tree: Path, folder: Path) -> str:
    """Build the page of a run with the code of a tree and say what it weighs and how fast it is seen."""
    start = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    subprocess.run(
        [sys.executable, "-c", BUILD, str(run), str(folder)], check=True, env=environment, cwd=tree
    )
    seconds = time.perf_counter() - start
    return f"{weighed(browser, folder / 'report.html', folder)}, made in {seconds:.0f} s"


def browser_here() -> str:
    """Return the program of a Chromium; without one there is nothing to measure."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        raise SystemExit("No Chromium on this machine.")
    return found


def weighed(browser: str, page: Path, folder: Path) -> str:
    """Say what a page weighs, how many pages it is on paper, and how long after an empty one it is seen."""
    headless = [
        browser,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
    ]
    subprocess.run(
        [*headless, f"--user-data-dir={folder}/p", f"--print-to-pdf={folder}/a.pdf", page.as_uri()],
        capture_output=True, check=True,
    )  # fmt: skip
    pages = len(re.findall(rb"/Type\s*/Page\b", (folder / "a.pdf").read_bytes()))
    empty = folder / "empty.html"
    empty.write_text("<!doctype html><title>empty</title><p>nothing", encoding="utf-8")
    # A browser without a screen reports no paints, so a picture of the page is held against one of an empty page.
    paint = _pictured(headless, page, folder) - _pictured(headless, empty, folder)
    seen = f"painted {paint:.2f} s after an empty page"
    return f"{page.stat().st_size / 1e6:.2f} MB, {pages} printed pages, {seen}"


def _pictured(headless: list[str], page: Path, folder: Path) -> float:
    """Return the least seconds of several pictures of what is first seen of a page."""
    found = []
    for _ in range(TIMES):
        start = time.perf_counter()
        subprocess.run(
            [*headless, f"--user-data-dir={folder}/s", f"--screenshot={folder}/a.png", page.as_uri()],
            capture_output=True, check=True,
        )  # fmt: skip
        found.append(time.perf_counter() - start)
    return min(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", nargs="?", type=Path, help="folder of rows")
    parser.add_argument("--against", type=Path, help="another tree, measured on the same rows")
    asked = parser.parse_args()
    browser = browser_here()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = (asked.run or made_up(folder / "run")).resolve()
        for what, tree in (("here", Path(__file__).parents[1]), ("there", asked.against)):
            if tree is not None:
                print(f"{what:7} {measured(browser, run, tree.resolve(), folder / what)}", flush=True)


if __name__ == "__main__":
    main()
