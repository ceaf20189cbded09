"""The page in Chromium: it sorts, filters, draws faces when asked, prints on few pages, and is quiet."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from paco_eval.report.charts.panels import Curve, Lines
from paco_eval.report.page.svg import Ids, panel_svg
from paco_eval.rows.store import load_rows
from tests.paco_eval.report.conftest import HOSTILE, Built

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


BROWSER = (
    str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


def titled(encoder: str) -> str:
    """Return what tables call an encoder of these rows."""
    return encoder.replace("random:", "untrained ")


class Page(HTMLParser):
    """What a browser made of the page: order and visibility of lines, state of headers."""

    def __init__(self) -> None:
        super().__init__()
        self.table = ""
        self.lines: dict[str, list[str]] = {}
        self.hidden: set[str] = set()
        self.sorted: dict[str, str] = {}
        self.theme = self.body = self.matrix = ""
        self.faces = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "html":
            self.theme = found.get("data-theme", "")
        elif tag == "body":
            self.body = found.get("class", "")
        elif tag == "table":
            self.table = found.get("data-table", "")
        elif tag == "tr" and "data-name" in found:
            self.lines.setdefault(self.table, []).append(found["data-name"])
            if "hidden" in found:
                self.hidden.add(found["data-name"])
        elif tag == "button" and found.get("aria-selected") == "true":
            self.matrix = found["data-task"]
        elif tag == "svg" and found.get("class") == "face":
            self.faces += 1
        elif tag == "th" and "aria-sort" in found:
            self.sorted[self.table] = found["aria-sort"]


def dom(html: Path, folder: Path, **view: str) -> str:
    """Open the page in a headless browser, demand a quiet console, and return what it became."""
    address = html.resolve().as_uri() + (f"#{urlencode(view)}" if view else "")
    run = subprocess.run(
        [*BROWSER, "--enable-logging=stderr", f"--user-data-dir={folder}", "--virtual-time-budget=2000", "--dump-dom", address],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "CONSOLE" not in run.stderr, [line for line in run.stderr.splitlines() if "CONSOLE" in line]
    return run.stdout


def browse(html: Path, folder: Path, **view: str) -> Page:
    """Return order and visibility of what a browser shows."""
    page = Page()
    page.feed(dom(html, folder, **view))
    return page


ACT = """
const numbers = [...document.querySelectorAll("table.board .n")];
const card = document.querySelector("#provenance");
const seen = [];
const note = (what) => seen.push([what, card.hidden ? "" : card.textContent]);
(() => {
  seen.push(["tab", numbers.every((number) => number.tabIndex === 0) ? "all" : "not all"]);
  note("at first");
  numbers[0].click(); note("click");
  seen.push(["described", numbers[0].getAttribute("aria-describedby") || ""]);
  document.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" })); note("escape");
  document.querySelector("h1").style.marginTop = "2000px";
  numbers.at(-1).focus();
  numbers.at(-1).scrollIntoView({ behavior: "instant" });
  dispatchEvent(new Event("scroll"));  // without a screen there are no frames, which would send it
  note("focus on the last, scrolled into view");
  const place = card.getBoundingClientRect();
  seen.push(["scrolled", String(scrollY > 0 && place.top >= 0 && place.bottom <= innerHeight)]);
  document.querySelector("#theme").focus(); note("focus elsewhere");
  numbers[0].click(); document.querySelector("h1").click(); note("click elsewhere");
  document.title = JSON.stringify(seen);
})();
"""


CUT = """
const cut = [];
for (const drawing of document.querySelectorAll("svg.chart")) {
  const box = drawing.getBoundingClientRect();
  for (const text of drawing.querySelectorAll("text")) {
    const own = text.getBoundingClientRect();
    if (own.width && (own.left < box.left - 1 || own.right > box.right + 1)) cut.push(text.textContent);
  }
}
document.title = JSON.stringify(cut);
"""


def acted(html: str, script: str, folder: Path) -> Any:
    """Return what a script finds on the page; the page lets only its own run, so this one is given leave."""
    path = folder / "acted.html"
    free = re.sub(r"script-src '[^']+'", "script-src 'unsafe-inline'", html)
    path.write_text(free.replace("</body>", f"<script>{script}</script></body>"))
    title = re.search(r"<title>(.*?)</title>", dom(path, folder / "acted"), re.DOTALL)
    assert title, "the script came to its end"
    return json.loads(unescape(title[1]))


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine")
class TestInABrowser:
    def test_sorts_filters_and_opens_quietly(self, built: Built, tmp_path: Path) -> None:
        html = built.out / "report.html"
        plain = browse(html, tmp_path / "a")
        board = "board-frozen"
        assert plain.hidden == set() and plain.sorted == {board: "ascending"}
        assert plain.lines["pose-frozen"][-1] == "constant" and HOSTILE in plain.lines["pose-frozen"]
        best_first = browse(
            html, tmp_path / "b", sort="pose-frozen:1:up", filter="TINY", metrics="all", theme="dark",
            faces="pose/synthetic",
        )  # fmt: skip
        values = {
            titled(s.row.encoder): s.row.main.value
            for s in load_rows(built.run).rows
            if s.row.task == "pose/synthetic"
        }
        assert best_first.lines["pose-frozen"] == sorted(values, key=lambda name: values[name] or 0.0)
        assert best_first.sorted == {"pose-frozen": "ascending", board: "ascending"}
        assert best_first.hidden >= {name for name in values if "tiny" not in name}
        assert not any("tiny" in name for name in best_first.hidden)
        assert (best_first.theme, best_first.body) == ("dark", "all-metrics")
        # Five encoders on two shared faces and on the worst one, below two heads of columns.
        assert (best_first.matrix, best_first.faces) == ("pose/synthetic", 2 + 5 * 3)

    def test_hardest_pairs_are_shown(self, built: Built, tmp_path: Path) -> None:
        page = browse(built.out / "report.html", tmp_path / "p", faces="recognition/synthetic")
        assert (page.matrix, page.faces) == ("recognition/synthetic", 2 * 6)

    def test_prints_on_few_pages(self, built: Built, tmp_path: Path) -> None:
        """A quickstart's page took 31 printed pages."""
        address = (built.out / "report.html").resolve().as_uri()
        command = [
            *BROWSER,
            f"--user-data-dir={tmp_path / 'd'}",
            f"--print-to-pdf={tmp_path / 'a.pdf'}",
            address,
        ]
        subprocess.run(command, capture_output=True, timeout=60, check=True)
        pages = re.findall(rb"/Type\s*/Page\b", (tmp_path / "a.pdf").read_bytes())
        assert 1 <= len(pages) <= 12

    def test_provenance_by_click_and_by_keyboard(self, built: Built, tmp_path: Path) -> None:
        seen = dict(acted(built.html, ACT, tmp_path))
        assert seen["tab"] == "all" and seen["at first"] == "" and seen["described"] == "provenance"
        assert "weights" in seen["click"] and "protocol" in seen["click"]
        assert seen["escape"] == seen["focus elsewhere"] == seen["click elsewhere"] == ""
        assert seen["scrolled"] == "true" and "weights" in seen["focus on the last, scrolled into view"]

    def test_no_word_of_a_chart_is_cut_off(self, built: Built, tmp_path: Path) -> None:
        ends = ((0.0, "soft"), (1.0, "directional"))
        wide = panel_svg(Lines("t", "x", "y", (Curve("a", (0.0, 1.0), (1.0, 2.0)),), ticks=ends), Ids(["a"]))
        html = built.html.replace("<details", "<details open").replace("</main>", f"{wide}</main>")
        assert "directional" in html
        assert acted(html, CUT, tmp_path) == []
