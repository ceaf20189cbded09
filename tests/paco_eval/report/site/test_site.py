"""The leaderboard's site: every number leads to its rows, every link somewhere, and nothing in a row can run."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner

from paco_eval.cli import main
from paco_eval.report.leaderboard.layout import leaderboards
from paco_eval.report.leaderboard.selection import Asked
from paco_eval.report.site.build import build_site
from paco_eval.rows.store import load_rows, write_row
from paco_fr.utils.errors import PacoError
from tasks.registry import all_tasks
from tests.fixtures.made_rows import TASKS, make_row, write_run

EVIL = '<script>alert("in")</script>'


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """Return a folder of rows under two protocols, one encoder with a name that would like to run."""
    folder = write_run(tmp_path_factory.mktemp("run"), ("paco-tiny", "pixels"), TASKS[2:4])
    for encoder, changed in (
        ("large", {"cost": {"parameters": 3e8}, "licences": {"data": "d", "weights": "CC BY-NC 4.0"}}),
        (EVIL, {}),
        ("pixels", {"protocol": "knn"}),
    ):
        row, items = make_row(encoder, TASKS[2], **changed)
        write_row(folder / "rows", row, items)
    return folder


@pytest.fixture(scope="module")
def site(run, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("site")
    boards = leaderboards(load_rows(run).rows, Asked(columns="tasks"), replicates=50)
    build_site(boards, out, tasks=all_tasks(), published=False)
    return out


class Page(HTMLParser):
    """Links, ids and scripts of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links, self.ids, self.scripts = [], set(), 0
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.scripts += tag == "script"
        if "id" in found:
            self.ids.add(found["id"])
        if tag == "a":
            self.links.append(found["href"])


def test_every_link_leads_to_a_page_or_a_place_in_it(site):
    pages = sorted(site.rglob("*.html"))
    assert len(pages) == 2 + 4 + 2, "index and submit, four encoders, two tasks"
    for path in pages:
        page = Page(path)
        for link in page.links:
            file, _, place = link.partition("#")
            target = (path.parent / file).resolve() if file else path
            assert target.is_file(), (path, link)
            assert not place or place in Page(target).ids, (path, link)


def test_every_number_of_an_encoder_and_of_a_task_leads_to_all_of_its_rows(site, run):
    for stored in load_rows(run).rows:
        shown = [p for p in site.glob("*/*.html") if stored.row.key in Page(p).ids]
        assert {path.parent.name for path in shown} == {"encoders", "tasks"}, stored.row.encoder
        text = shown[0].read_text(encoding="utf-8")
        assert stored.row.commit in text and stored.row.weight_hash in text and stored.row.digest in text


def test_the_first_page_filters_by_family_protocol_size_and_licence(site):
    text = (site / "index.html").read_text(encoding="utf-8")
    filters = dict(re.findall(r'data-filter="(\w+)">(.*?)</select>', text))
    options = {name: re.findall(r"<option>([^<]+)</option>", inside) for name, inside in filters.items()}
    assert options["protocol"] == ["frozen", "knn"]
    assert options["size"] == ["below 1 M", "above 100 M"]
    assert "CC BY-NC 4.0" in options["licence"] and len(options["family"]) == 2
    for name in ("size", "licence"):
        assert set(re.findall(f'data-{name}="([^"]+)"', text)) == set(options[name])
    assert set(re.findall('data-family="([^"]+)"', text)) == set(options["family"])


@pytest.mark.slow
def test_filters_in_an_address_hide_what_does_not_fit(site):
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no browser")
    address = f"file://{site}/index.html?size=above+100+M&family=pose"
    words = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", address]
    text = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert "1 encoder." in text
    rows = re.findall(r'<tr data-size="([^"]+)"[^>]*?( hidden="")?>', text)
    assert dict(rows) == {"below 1 M": ' hidden=""', "above 100 M": ""}
    cells = re.findall(r'<t[hd][^>]*data-family="(\w+)"[^>]*>', text)
    hidden = re.findall(r'<t[hd][^>]*data-family="(\w+)"[^>]*hidden=""', text)
    assert set(cells) - set(hidden) == {"pose"}


def test_derived_tasks_and_diagnostics_stand_in_tables_of_their_own_without_being_asked_for(run, tmp_path):
    """They were on the site only where a pattern of ``--tasks`` began with their factor."""
    for encoder in ("paco-tiny", "constant", "pixels"):
        for kind, level in (("clean", 0), ("box", 1), ("box", 2)):
            row, items = make_row(
                encoder,
                TASKS[2],
                task=f"occlusion/{TASKS[2].task}",
                family="occlusion/pose",
                subset=kind,
                level=level,
            )
            write_row(tmp_path / "rows", row, items)
    boards = leaderboards(load_rows([run, tmp_path]).rows, Asked(columns="tasks"), parts=True, replicates=50)
    assert [(board.protocol, board.part) for board in boards] == [
        ("frozen", ""),
        ("knn", ""),
        ("frozen", "occlusion"),
    ]
    assert {entry.encoder for entry in boards[-1].entries} == {"paco-tiny", "pixels"}, (
        "constant has nothing to lose"
    )
    assert all(entry.rank is not None for entry in boards[-1].entries)
    build_site(boards, tmp_path / "s", tasks=all_tasks(), published=False)
    text = (tmp_path / "s" / "index.html").read_text(encoding="utf-8")
    assert re.findall(r'data-part="([^"]+)"', text) == ["as they are", "as they are", "occluders"]
    pictures = text.split('data-filter="part">')[1].split("</select>")[0]
    assert re.findall(r"<option>([^<]+)</option>", pictures) == ["as they are", "occluders"]


def test_what_a_row_says_is_text_and_never_runs(site):
    for path in site.rglob("*.html"):
        assert Page(path).scripts == 1 and EVIL not in path.read_text(encoding="utf-8"), path


def test_numbers_of_the_literature_stand_on_the_page_of_their_task_apart(site, run, tmp_path):
    row, items = make_row("pixels", TASKS[3], task="landmarks/wflw")
    write_row(tmp_path / "rows", row, items)
    build_site(
        leaderboards(load_rows(tmp_path).rows, Asked(columns="tasks")), tmp_path / "s", tasks=all_tasks()
    )
    text = (tmp_path / "s" / "tasks" / "landmarks-wflw.html").read_text(encoding="utf-8")
    told = text.split("In the literature")[1]
    assert "FacePerceiver" in told and "wizwand.com" not in told  # whose crop nobody tells
    first = (tmp_path / "s" / "index.html").read_text(encoding="utf-8")
    listed = Page(tmp_path / "s" / "index.html").links
    assert "wizwand.com" not in first and "tasks/landmarks-300w.html" in listed, "measured by nobody here"
    assert all((tmp_path / "s" / link.partition("#")[0]).is_file() for link in listed)


def test_the_command_writes_the_site_and_the_tables_as_data(run, tmp_path):
    done = CliRunner().invoke(main, ["leaderboard", str(run), "--out", str(tmp_path), "--replicates", "50"])
    assert done.exit_code == 0, done.output
    boards = json.loads((tmp_path / "table.json").read_text(encoding="utf-8"))
    assert [board["protocol"] for board in boards] == ["frozen", "knn"]
    assert "paco-eval rows check" in (tmp_path / "submit.html").read_text(encoding="utf-8")


def test_published_numbers_may_be_named_and_no_page_names_a_folder_of_this_machine(run, tmp_path):
    published, spoilt = tmp_path / "published", tmp_path / "spoilt"
    published.mkdir()
    (published / "published.csv").touch()
    spoilt.mkdir()
    words = ["leaderboard", run, published, spoilt, "--out", tmp_path / "s", "--replicates", 50]
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 0 and f"{spoilt}: no rows" in done.stderr and str(published) not in done.stderr
    text = (tmp_path / "s/index.html").read_text(encoding="utf-8")
    assert "spoilt: no rows" in text and str(tmp_path) not in text


def test_a_protocol_of_several_tables_is_one_choice(run, tmp_path):
    boards = leaderboards(load_rows(run).rows, Asked(columns="tasks"), replicates=50)
    build_site([*boards, replace(boards[0], part="occlusion")], tmp_path, tasks=all_tasks(), published=False)
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    (inside,) = re.findall(r'data-filter="protocol">(.*?)</select>', text)
    assert re.findall("<option>(.*?)</option>", inside) == ["frozen", "knn"]


def test_without_rows_there_is_no_site(tmp_path):
    with pytest.raises(PacoError, match="No rows"):
        build_site([], tmp_path, tasks={})
