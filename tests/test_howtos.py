"""The how-tos do what they say: their files are written, their commands run in the order of the page."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from paco_eval.cli import main
from paco_fr.checkpoint import SHIPPED
from tasks.readers.synthetic.drawn import BENCHMARK

FOLDER = Path(__file__).parent.parent / "docs" / "howto"
PAGES = sorted(FOLDER.glob("*.md"))
BLOCK = re.compile(r"```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)```", flags=re.S)

SLOW = {"latex", "low", "robustness"}
"""Pages whose commands take more than seconds; those of the others run in the suite."""


def blocks(page: Path) -> list[tuple[str, str, str]]:
    """Return language, title and text of the blocks of a page."""
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def lines(page: Path, language: str) -> list[str]:
    return [line for kind, _, text in blocks(page) if kind == language for line in text.strip().splitlines()]


@pytest.fixture
def desk(tmp_path, monkeypatch, tmp_path_factory) -> Path:
    """Return a folder with what a reader of the pages has: two checkpoints, photographs, a set of smiles.

    Drawn benchmarks have fewer people than those of a reader.
    """
    for part in ("train", "validation", "test"):
        monkeypatch.setitem(BENCHMARK, part, 6)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(
        "PACO_CACHE", str(tmp_path_factory.getbasetemp() / "howto-cache")
    )  # faces are drawn once
    Path("runs").mkdir()
    for name, shipped in (("a", "paco-tiny"), ("b", "mae-tiny")):
        Path("runs", name).symlink_to(SHIPPED / shipped)
    rng = np.random.default_rng(0)
    labels = ["file,person,smile,part"]
    for number in range(48):
        picture = Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8))
        parts = ("train", "validation", "test")
        for place in (f"photos/{parts[number % 3]}/{'cats' if number % 2 else 'dogs'}", "smiles"):
            Path(place).mkdir(parents=True, exist_ok=True)
            picture.save(f"{place}/{number}.png")
        labels.append(f"{number}.png,person{number},{number % 2},{parts[number % 3]}")
    Path("smiles/labels.csv").write_text("\n".join(labels))
    return tmp_path


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "page",
    [pytest.param(p, id=p.stem, marks=[pytest.mark.slow] if p.stem in SLOW else []) for p in PAGES],
)
def test_the_commands_of_a_page_run_one_after_the_other(page, desk):
    for kind, title, text in blocks(page):
        if kind == "python":
            assert title, "a file has a name"
            Path(title).write_text(text, encoding="utf-8")
    assert lines(page, "sh")
    for line in lines(page, "sh"):
        done = CliRunner().invoke(main, shlex.split(line)[1:])
        assert done.exit_code == 0, f"{line}\n{done.output}\n{done.exception}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_other_commands_of_a_page_are_understood(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for line in lines(page, "console"):
        program, *words = shlex.split(line)
        assert program == "paco-eval"
        done = CliRunner().invoke(main, [*words, "--help"])
        assert done.exit_code == 0, line
        context = main.make_context("paco-eval", list(words))
        _, command, rest = main.resolve_command(context, list(words))
        while hasattr(command, "commands"):
            command, rest = command.commands[rest[0]], rest[1:]
        known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
        assert {word.partition("=")[0] for word in rest if word.startswith("--")} <= known, line


def test_there_are_eight_and_the_site_lists_them_all():
    site = (FOLDER.parents[1] / "mkdocs.yml").read_text(encoding="utf-8")
    assert len(PAGES) == 8 and all(f"howto/{page.name}" in site for page in PAGES)
