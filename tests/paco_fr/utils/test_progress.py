"""What long work tells: lines anywhere, bars on terminals alone, everything into the log file."""

from __future__ import annotations

import io
import sys

import click
import pytest
from click.testing import CliRunner

from paco_eval.cli import COMMANDS, LazyGroup, main
from paco_fr.utils import progress
from paco_fr.utils.errors import PacoError


class Terminal(io.StringIO):
    """A stream that somebody looks at."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _as_before():
    yield
    progress.configure()


def _worked(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sys, "stderr", stream)
    with progress.stage("encoding", 4, "img", delay=0) as bar:
        bar.update(2)
        progress.say("a line")
        bar.update(2)
    return stream.getvalue()


def test_a_pipe_gets_lines_and_no_bar(monkeypatch):
    assert _worked(io.StringIO(), monkeypatch) == "a line\n"


def test_a_terminal_gets_a_bar_that_goes_when_the_stage_ends(monkeypatch):
    told = _worked(Terminal(), monkeypatch)
    assert "encoding" in told and "img" in told and "a line" in told
    assert told.rstrip(" \r").endswith("a line\n") or told.endswith("\r"), "the bar is wiped out"


def test_quiet_keeps_lines_and_bars_back_but_no_error(monkeypatch):
    progress.configure(quiet=True)
    assert _worked(Terminal(), monkeypatch) == ""
    progress.error("it failed")
    assert sys.stderr.getvalue() == "it failed\n"


def test_verbose_says_how_long_a_stage_took_and_a_log_file_has_it_under_quiet_too(monkeypatch, tmp_path):
    log = tmp_path / "run" / "log.txt"
    progress.configure(verbose=True)
    assert "encoding: 0.0 s, 4 img" in _worked(io.StringIO(), monkeypatch)
    progress.configure(quiet=True, log=log)
    assert _worked(io.StringIO(), monkeypatch) == ""
    lines = log.read_text().splitlines()
    assert [line.split("  ", 1)[1] for line in lines] == ["a line", "encoding: 0.0 s, 4 img"]


def test_a_log_file_that_cannot_be_written_stops_the_call(tmp_path):
    with pytest.raises(PacoError, match="--log-file"):
        progress.configure(log=tmp_path)


def test_every_command_says_a_line_before_libraries_load_and_takes_the_options(monkeypatch):
    """Importing torch alone takes seconds, in which commands said nothing."""
    context = click.Context(main)
    assert isinstance(main, LazyGroup)
    for name in COMMANDS:
        found = main.get_command(context, name)
        below = found.commands.values() if isinstance(found, click.Group) else [found]
        for command in below:
            assert {"quiet", "verbose", "log_file"} <= {option.name for option in command.params}, name
    monkeypatch.setattr("paco_eval.cli._loaded", lambda: False)
    result = CliRunner().invoke(main, ["pretrain", "--set", "nonsense"])
    assert "paco-eval pretrain: loading" in result.output
    quiet = CliRunner().invoke(main, ["pretrain", "--set", "nonsense", "-q"])
    assert quiet.exit_code == 2 and "loading" not in quiet.output and "nonsense" in quiet.output
