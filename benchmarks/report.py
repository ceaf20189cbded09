"""How long a browser needs to open a report of 50 encoders on 100 tasks; the aim is under 2 s.

Run it from the root of the repository: ``python -m benchmarks.report [--figures]``. It needs Chromium.
With ``--figures`` every task has its dot plot of all encoders as well, which takes half a minute to draw.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from paco_eval.report.figures import table_figures
from paco_eval.report.page import Contents, render
from paco_eval.report.plots.style import looks
from paco_eval.report.tables.table import family_tables
from paco_eval.rows.schema import Interval, Metric, Row
from paco_eval.rows.store import Stored

ENCODERS, TASKS, RUNS = 50, 100, 5


def row(encoder: int, task: int) -> Row:
    mae = Metric(value=5 + encoder / 10, low=4, high=11, higher_is_better=False, unit="deg")
    return Row(
        task=f"family{task // 10}/task{task}", task_version=1, family=f"family{task // 10}",
        encoder=f"encoder{encoder}", method=f"method{encoder}", weight_hash=f"{encoder:016x}",
        pixel_hash="0" * 16, crop_hash="0" * 16, protocol="frozen", data_fingerprint="0" * 16,
        data_kind="synthetic", metrics={"mae": mae, "geodesic": mae}, main_metric="mae", n_expected=2000,
        n_scored=2000, chosen={"block": 11, "pooling": "grid4", "ridge": 10.0},
        interval=Interval(method="bootstrap percentile", unit="identity", n_units=200, replicates=1000),
    )  # fmt: skip


def page(figures: bool) -> str:
    nowhere = Path("nowhere") / "row.json"  # there are no items, so figures of items are left out
    rows = [Stored(row(i, j), nowhere) for i in range(ENCODERS) for j in range(TASKS)]
    tables = family_tables(rows)
    colours = looks(line.label for table in tables for line in table.lines)
    shown = [
        (table, list(table_figures(table, colours, lambda _: None)) if figures else []) for table in tables
    ]
    html = render(Contents(rows, shown, [], [], [], colours), "Benchmark")
    # The page lets only its own script run; the stop-watch needs leave.
    html = re.sub(r"script-src '[^']+'", "script-src 'unsafe-inline'", html)
    return html.replace("</body>", "<script>document.title = Math.round(performance.now())</script></body>")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--figures", action="store_true", help="draw a dot plot per task")
    figures = parser.parse_args().figures
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit("No Chromium on this machine.")
    start = time.perf_counter()
    html = page(figures)
    print(f"made in {time.perf_counter() - start:.1f} s, {len(html) / 1e6:.1f} MB")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.html"
        path.write_text(html, encoding="utf-8")
        for run in range(RUNS):
            done = subprocess.run(
                [browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
                 "--disable-background-networking", f"--user-data-dir={folder}/{run}", "--dump-dom",
                 path.as_uri()],
                capture_output=True, text=True, check=True,
            )  # fmt: skip
            found = re.search(r"<title>(\d+)</title>", done.stdout)
            print(f"opened, sorted and filtered by its script in {found.group(1) if found else '?'} ms")


if __name__ == "__main__":
    main()
