from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from paco_eval.cli import main
from paco_fr.config import load_recipe, set_fields
from tasks.readers.synthetic.drawn import BENCHMARK

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BY_EXAMPLE = "\n".join(page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs").glob("*.md")))


def commands(page: str) -> list[str]:
    """Return the lines of the blocks of a page."""
    return [
        line
        for block in re.findall(r"```\n(.*?)```", page, flags=re.S)
        for line in block.strip().splitlines()
    ]


COMMANDS = [*commands(README), *commands(BY_EXAMPLE)]
CHAIN = [line for line in commands(README) if line.startswith("paco-eval ")]


def test_the_two_commands_of_the_readme_are_what_ci_runs():
    assert COMMANDS[:2] == ["pip install . && paco-eval quickstart", 'pip install ".[test]" && pytest']
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for step in ('pip install -q ".[test]"', "paco-eval quickstart", "stage tests pytest"):
        assert step in script


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith("paco-eval ")])
def test_every_command_of_the_pages_is_understood(line, tmp_path, monkeypatch):
    """Each is parsed by the program itself, with --help in place of the work."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "eval.toml").write_text('encoders = ["paco-tiny", "pixels"]\ntasks = "pose/*"\nlimit = 60\n')
    words = shlex.split(line)[1:]
    result = CliRunner().invoke(main, [*words, "--help"])
    assert result.exit_code == 0, result.output
    context = main.make_context("paco-eval", list(words), resilient_parsing=False)
    name, command, rest = main.resolve_command(context, list(words))
    given = {word.partition("=")[0] for word in rest if word.startswith("--")}
    known = {
        option
        for parameter in getattr(command, "params", [])
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    if hasattr(command, "commands"):
        known = {o for sub in command.commands.values() for parameter in sub.params for o in parameter.opts}
    assert given <= known, f"{name}: {given - known}"


def test_the_readme_is_short_and_its_six_commands_read_what_earlier_ones_wrote():
    """Lines read folders that nothing before them had made."""
    assert len(README.splitlines()) <= 110 and len(CHAIN) == 6
    made = set()
    for line in CHAIN:
        words = shlex.split(line)
        read = [
            word.removeprefix("paco:")
            for word in words[2:]
            if re.match(r"(paco:)?(runs/|paco-results)", word)
        ]
        written = words[words.index("--out") + 1] if "--out" in words else ""
        assert {word for word in read if "=" not in word} <= {*made, written}, line
        made |= {written} if written else {"paco-results"} if words[1] == "evaluate" else set()
        assert "paco-results" in made or words[1] == "pretrain"


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_six_commands_of_the_readme_chain_from_an_empty_folder(tmp_path, monkeypatch):
    """As they are written, on fewer people and pictures than the benchmark has."""
    for part in ("train", "validation", "test"):
        monkeypatch.setitem(BENCHMARK, part, 6)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PACO_CACHE", str(tmp_path / "cache"))
    fewer = [
        "--set",
        "optimiser.presentations=256",
        "--set",
        "data.source=synthetic:identities=30,images_per_identity=5",
    ]
    for line in CHAIN:
        words = shlex.split(line)[1:]
        done = CliRunner().invoke(main, [*words, *(fewer if words[0] == "pretrain" else [])])
        assert done.exit_code == 0, (line, done.output[-2000:])
    assert "mine" in (tmp_path / "paco-results" / "report" / "table.md").read_text(encoding="utf-8")
    assert list((tmp_path / "runs" / "a" / "timm").glob("*"))


def test_every_setting_that_the_readme_changes_is_one():
    lines = [line for line in COMMANDS if line.startswith(("paco-eval pretrain", "paco-eval ablate"))]
    found = [pair for line in lines for pair in re.findall(r"--(?:set|vary) (\S+?)=(\S+)", line)]
    changes = [(key, value) for key, values in found for value in values.split(",")]
    assert len(changes) > 5
    for key, value in changes:
        load_recipe("tiny", set_fields((f"{key}={value}",)))


def test_the_python_of_the_readme_names_what_exists():
    import paco_eval

    block = re.search(r"```python\n(.*?)```", README, flags=re.S)
    assert block
    for name in re.findall(r"paco_eval\.(\w+)\(", block.group(1)):
        assert callable(getattr(paco_eval, name))


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_of_every_page_are_there(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert target.startswith("http") or (page.parent / target).exists(), target


PRETRAIN = """
from pathlib import Path
from paco_fr.config import PretrainConfig
from paco_fr.train.pretrain import pretrain

print("begins")
encoder = {"size": 32, "patch": 8, "dim": 24, "depth": 2, "heads": 2}
config = PretrainConfig.model_validate({
    "encoder": encoder, "decoder": {"dim": 16, "depth": 1, "heads": 2}, "data": {"source": "synthetic:n=12"},
    "optimiser": {"batch": 4, "presentations": 12}, "run": {"workers": 2}, "objective": "mae",
})
print(pretrain(config, Path("run")))
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_pretraining_runs_from_a_plain_script(tmp_path):
    """With workers, from a file without a main guard."""
    said = script(PRETRAIN, tmp_path)
    assert said == ["begins", "run"] and (tmp_path / "run/model.safetensors").is_file()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_python_of_the_readme_runs_as_a_plain_script(tmp_path):
    """Saved as a file, without a main guard, it ended in BrokenProcessPool: workers ran the script again."""
    block = re.search(r"```python\n(.*?)```", README, flags=re.S)
    assert block
    said = script(block.group(1) + "\nprint(len(results.frame), 'lines')\n", tmp_path)
    assert re.fullmatch(r"[1-9]\d* lines", said[-1])
    assert list((tmp_path / "paco-results").rglob("*"))


def script(text, tmp_path):
    """Run a Python file in a folder and return the lines that it printed."""
    (tmp_path / "mine.py").write_text(text, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PACO_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "mine.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()
