"""The tables of the documents are those that the program makes of the stored rows, and the README's picture is, too.

Above each stands the command that makes it. ``PACO_WRITE_TABLES=1 pytest tests/claims/test_tables.py -m ""`` makes them anew.
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest
from click import Context

from paco_eval.analysis.names import names_of
from paco_eval.analysis.significance import registered_metrics
from paco_eval.cli import main
from paco_eval.report.charts.leaders import to_svg
from paco_eval.report.leaderboard.board import Leaderboard
from paco_eval.report.leaderboard.layout import leaderboards
from paco_eval.report.leaderboard.selection import Asked
from paco_eval.report.leaderboard.writers import written
from tests.claims.reference import reference
from tests.claims.test_photographs import BLOCK

ROOT = Path(__file__).parents[2]
MADE = re.compile(r"<!-- (paco-eval report .*?) -->\n(.*?)<!-- end -->", re.S)
PICTURE = ROOT / "docs" / "leaders.svg"


def tables(page: str) -> list[tuple[str, str]]:
    """Return the commands of a page with what stands below them."""
    return [
        (" ".join(command.split()), text) for command, text in MADE.findall((ROOT / page).read_text("utf-8"))
    ]


FOUND = [(page, *table) for page in ("README.md", "docs/results.md") for table in tables(page)]


def made(command: str, *, resampled: bool) -> tuple[list[Leaderboard], bool]:
    """Return what the command makes, without reading the rows anew, and whether it shows costs."""
    program, name, *words = shlex.split(command)
    assert (program, name) == ("paco-eval", "report")
    parsed = main.get_command(Context(main), "report").make_context("report", words).params
    assert [str(run) for run in parsed["runs"]] == ["results/reference"] and parsed["formats"] == ("md",)
    asked = Asked(
        parsed["tasks"], parsed["encoders"], parsed["baseline"], names_of(parsed["names"]), None,
        parsed["columns"], parsed["cost"],
    )  # fmt: skip
    metric_of = registered_metrics() if resampled else None
    return leaderboards(reference().rows, asked, metric_of=metric_of), asked.cost


def numbers(text: str) -> list[list[str]]:
    """Return the cells of a table without intervals, emphasis and costs."""
    lines = [line for line in text.splitlines() if line.startswith("| ") and ":--" not in line]
    plain = [re.sub(r" ?<su[bp]>.*?</su[bp]>|\*|\([^)]*\)", "", line) for line in lines]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in plain]


def test_every_table_of_numbers_stands_below_its_command():
    """Or below its file, in ``test_photographs.py``."""
    for page in ("README.md", "docs/results.md"):
        text = BLOCK.sub("", MADE.sub("", (ROOT / page).read_text("utf-8")))
        left = [line for line in text.splitlines() if re.match(r"\|.*\d\.\d.*\|", line)]
        assert not left, left[:3]
    assert len(FOUND) >= 4 and FOUND[0][0] == "README.md"


@pytest.mark.parametrize(
    ("page", "command", "text"), FOUND, ids=[f"{p}-{i}" for i, (p, _, _) in enumerate(FOUND)]
)
def test_encoders_order_and_values_are_those_of_the_rows(page, command, text):
    boards, cost = made(command, resampled=False)
    assert numbers(text) == numbers(written(boards, "md", cost=cost))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "command", "text"), FOUND, ids=[f"{p}-{i}" for i, (p, _, _) in enumerate(FOUND)]
)
def test_tables_are_those_of_the_rows_to_the_letter(page, command, text):
    boards, cost = made(command, resampled=True)
    expected = written(boards, "md", cost=cost)
    if os.environ.get("PACO_WRITE_TABLES"):
        place = ROOT / page
        whole = place.read_text("utf-8")
        (start, end) = next(m.span(2) for m in MADE.finditer(whole) if " ".join(m[1].split()) == command)
        place.write_text(whole[:start] + expected + whole[end:], "utf-8")
        if page == "README.md":
            PICTURE.write_text(to_svg(boards[0]), "utf-8")
    else:
        assert text == expected


def test_the_picture_of_the_readme_shows_its_table():
    """It was a photograph of a page that had changed long since."""
    assert "docs/leaders.svg" in (ROOT / "README.md").read_text("utf-8")
    boards, _ = made(FOUND[0][1], resampled=True)
    assert PICTURE.read_text("utf-8") == to_svg(boards[0])
    assert FOUND[0][2] == written(boards, "md", cost=False)
