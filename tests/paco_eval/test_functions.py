"""Python is the command line: functions have the settings of commands, and rows repeat those of the call."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import click
import pytest
from click.testing import CliRunner

import paco_eval
from paco_eval.api import tables
from paco_eval.cli import COMMANDS, main
from paco_eval.rows.store import load_rows
from paco_fr.utils.errors import PacoError
from tests.paco_eval.conftest import blob_task
from tests.paco_eval.report.leaderboard.test_leaderboard import scored

FUNCTIONS = [
    name
    for name in ("pretrain", "evaluate", "embed", "compare", "report", "repro", "explain", "export")
    if name in COMMANDS
]

OF_TERMINALS = {
    "quiet", "verbose", "log_file", "config", "dry_run", "jobs", "job_set", "sensitivity",
}  # fmt: skip
"""Options about what is printed, planned or submitted instead."""

OF_PYTHON = {"say", "progress", "command", "pixels"}
"""Settings that only Python can give: functions, and how a module wants its pictures."""

SAID_OTHERWISE = {"report": {"formats": "format"}, "compare": {"style": None}, "export": {"push": None}}
"""Options whose variable has another name, that a function answers by what it returns, or that are one of its own."""

OTHER_DEFAULTS = {("explain", "out")}
"""Settings that write nothing in Python unless they are given."""


def callables(name: str):
    return getattr(tables, name, None) or getattr(paco_eval, name)


def plain(value):
    """Return a default as the other side has it: nothing given is nothing given."""
    if (
        value is inspect.Parameter.empty
        or value in ((), "", None, False)
        or type(value).__name__ == "Sentinel"
    ):
        return None
    if isinstance(value, (list, tuple)):
        return list(value) or None
    return str(value) if isinstance(value, Path) else value


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_have_the_settings_and_defaults_of_their_commands(name, monkeypatch):
    """Python had four names where the command line has a dozen commands."""
    monkeypatch.delenv("PACO_DATA", raising=False)
    command = main.get_command(click.Context(main), name)
    others = SAID_OTHERWISE.get(name, {})
    options = {}
    for option in command.params:
        if option.name in OF_TERMINALS or others.get(option.name, "") is None:
            continue
        default = option.default() if callable(option.default) else option.default
        options[others.get(option.name, option.name)] = plain(default)
    parameters = inspect.signature(callables(name)).parameters
    settings = {each: plain(found.default) for each, found in parameters.items() if each not in OF_PYTHON}
    hidden = {option.name for option in command.params if not option.expose_value}
    assert set(settings) == set(options) - hidden
    other = {
        each for each in settings if settings[each] != options[each] and (name, each) not in OTHER_DEFAULTS
    }
    assert other == set()


def test_the_folder_of_reports_is_the_command_too():
    """Importing anything of ``paco_eval.report`` put the folder where the function was."""
    import paco_eval.report.tables.table

    assert isinstance(paco_eval.report, ModuleType) and callable(paco_eval.report)
    with pytest.raises(PacoError, match="Nothing to report"):
        paco_eval.report("no/such/run", format=["csv"])
    assert set(paco_eval.__all__) >= set(FUNCTIONS)


def test_the_package_is_the_program():
    done = subprocess.run(
        [sys.executable, "-m", "paco_eval", "list", "recipes"], capture_output=True, text=True, check=True
    )
    assert "tiny" in done.stdout


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Two floors on a small task, by a file of settings."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("run")
        patch.setenv("PACO_CACHE", str(folder / "cache"))
        patch.chdir(folder)
        (folder / "mine.py").write_text(
            "from tests.paco_eval.conftest import blob_task\nPOSE = blob_task('pose')\n"
        )
        (folder / "eval.toml").write_text(
            'encoders = ["pixels", "constant"]\ntasks = "pose/blobs"\ntasks-from = "mine.py"\nlimit = 12\nout = "out"\n'
            '[names]\npixels = "raw pixels"\n'
        )
        done = CliRunner().invoke(main, ["evaluate", "--config", "eval.toml", "--limit", "14"])
        assert done.exit_code == 0, done.output
        return folder, done.output


def test_a_file_holds_the_settings_of_an_evaluation_and_the_command_line_wins(measured):
    folder, _ = measured
    rows = {stored.row.encoder: stored.row for stored in load_rows(folder / "out").rows}
    assert set(rows) == {"pixels", "constant"}
    assert rows["pixels"].protocol == "frozen, limit 14"


def test_rows_repeat_the_settings_as_a_file_holds_them(measured, tmp_path, monkeypatch):
    folder, _ = measured
    row = next(s.row for s in load_rows(folder / "out").rows if s.row.encoder == "pixels")
    assert row.settings == {
        "encoders": ["pixels", "constant"], "tasks": "pose/blobs", "limit": 14, "tasks_from": "mine.py",
    }  # fmt: skip
    assert (row.alias, row.definition.kind) == ("raw pixels", "pose")
    text = "\n".join(f"{name} = {json.dumps(value)}" for name, value in row.settings.items())
    assert tomllib.loads(text) == row.settings
    monkeypatch.chdir(folder)
    (folder / "again.toml").write_text(text)
    again = CliRunner().invoke(main, ["evaluate", "--config", "again.toml", "--out", "out"])
    assert again.exit_code == 0 and again.output.count("already measured") == 2


def test_an_evaluation_ends_with_the_table(measured):
    _, output = measured
    assert "best mean rank first" in output and "raw pixels" in output and "angle error," in output
    assert output.index("best mean rank first") > output.index("pose/blobs  pixels: mae")
    assert "pose: raw pixels" in output
    assert "<" not in output.partition("best mean rank first")[2].partition("Rows:")[0]


@pytest.mark.parametrize(
    ("text", "said"), [("enocders = []", "Did you mean encoders"), ("[tasks]\na = 1", "give a value")]
)
def test_a_wrong_file_is_told(text, said, tmp_path):
    (tmp_path / "eval.toml").write_text(text)
    done = CliRunner().invoke(main, ["evaluate", "--config", str(tmp_path / "eval.toml")])
    assert done.exit_code == 2 and said in done.output and "Traceback" not in done.output


def test_results_are_a_table_a_comparison_a_frame_and_a_page_in_a_notebook(measured):
    folder, _ = measured
    results = paco_eval.evaluate(
        ["pixels", "constant"],
        [blob_task("pose")],
        limit=14,
        out=folder / "out",
        name=None,
        names={"pixels": "mine"},
    )
    assert set(results.frame["encoder"]) == {"pixels", "constant"}
    assert "mine" in results.table() and "| mine |" in results.table("md", cost=False)
    assert json.loads(results.table("json"))[0]["encoders"][0]["name"] == "mine"
    assert r"\toprule" in results.table("latex")
    html = results._repr_html_()
    assert html.count("<tr>") == 3 and "mine" in html and "angle error" in html
    (difference,) = results.compare("constant").differences
    assert difference.encoder == "pixels" and difference.interval.value < 0
    hostile = paco_eval.Results(folder / "nowhere")
    assert hostile._repr_html_() == ""


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_compare_is_the_command(measured, tmp_path):
    run = str(measured[0] / "out")
    words = ["compare", run, "--baseline", "raw pixels"]
    found = paco_eval.compare(run, baseline="raw pixels", out=tmp_path / "function")
    done = CliRunner().invoke(main, [*words, "--format", "json", "--out", str(tmp_path / "command")])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["baseline"] == found.baseline == "pixels"
    differences = [(one["encoder"], one["difference"], one["verdict"]) for one in told["differences"]]
    assert differences == [(one.encoder, one.interval.value, one.verdict) for one in found.differences]
    assert files_of(tmp_path / "function") == files_of(tmp_path / "command") != {}
    shown = tables.compared(run, baseline="raw pixels")
    for style in ("text", "md", "json"):
        assert CliRunner().invoke(main, [*words, "--format", style]).stdout == shown.text(style) + "\n"


def test_where_nothing_is_compared_the_tables_come_all_the_same(measured, tmp_path):
    run = measured[0] / "out"
    one = next(stored.path for stored in load_rows(run).rows if stored.row.encoder == "constant")
    for runs, baseline, said in (
        (run, "nobody", "Unknown baseline 'nobody'"),
        (one, "constant", "Nothing could be compared"),
    ):
        function, command = tmp_path / baseline / "function", tmp_path / baseline / "command"
        with pytest.raises(PacoError, match=said):
            paco_eval.compare(runs, baseline=baseline, out=function)
        words = ["compare", str(runs), "--baseline", baseline, "--out", str(command)]
        done = CliRunner().invoke(main, words)
        assert done.exit_code == 2 and said in done.stderr
        assert "table.md" in files_of(command) and files_of(function) == files_of(command)


def test_report_is_the_command(measured, tmp_path):
    run = str(measured[0] / "out")
    formats = ["md", "json", "svg"]
    words = [
        "report",
        run,
        *(word for one in formats for word in ("--format", one)),
        "--baseline",
        "constant",
        "--no-cost",
    ]
    asked = {"format": formats, "baseline": "constant", "cost": False}
    assert CliRunner().invoke(main, words).stdout == "".join(tables.printed(run, **asked))
    written = paco_eval.report(run, **asked, style="paper", out=tmp_path / "function")
    done = CliRunner().invoke(main, [*words, "--style", "paper", "--out", str(tmp_path / "command")])
    assert [Path(line).name for line in done.stdout.splitlines()] == [path.name for path in written]
    assert files_of(tmp_path / "function") == files_of(tmp_path / "command") != {}


def test_what_is_left_out_of_a_report_is_told_and_what_cannot_be_printed_refused(measured, tmp_path):
    run, told = measured[0] / "out", []
    paco_eval.report([run, tmp_path / "nowhere"], format="md", out=tmp_path / "report", say=told.append)
    tables.printed([run, tmp_path / "nowhere"], say=told.append)
    assert len(told) == 2 and told[0] == told[1] and "nowhere: no rows" in told[0]
    with pytest.raises(PacoError, match="Not printed: html"):
        tables.printed(run, ["html"])
    with pytest.raises(PacoError, match="No table: no row"):
        tables.printed(tmp_path / "nowhere")


def test_names_of_people_cannot_break_a_notebook():
    from paco_eval.api.results import _html
    from paco_eval.report.leaderboard.layout import leaderboards

    (board,) = leaderboards([scored("<script>x</script>", 5), scored("b", 6)])
    assert "<script>" not in _html(board)
