from __future__ import annotations

from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from paco_eval.cli import main


def offered(*words: str) -> list[str]:
    """Return what the shell offers for the last word of a command line."""
    complete = ShellComplete(main, {}, "paco-eval", "_PACO_EVAL_COMPLETE")
    return [item.value for item in complete.get_completions(list(words[:-1]), words[-1])]


def test_schemes_shipped_names_and_recipes_complete():
    assert {"paco:", "timm:", "pixels", "paco-tiny"} <= set(offered("evaluate", ""))
    assert offered("evaluate", "mae-") == ["mae-tiny"]
    assert "random:tiny" in offered("evaluate", "pixels", "random:")
    assert offered("embed", "const") == ["constant"]
    assert offered("evaluate", "farl:ep") == ["farl:ep16", "farl:ep64"] and offered("evaluate", "mcf:e") == [
        "mcf:ep16"
    ]
    assert offered("list", "encoders", "mae-") == ["mae-tiny"]


def test_checkpoints_and_files_on_disk_complete(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (Path("runs") / "a").mkdir(parents=True)
    (Path("runs") / "a" / "card.json").touch()
    (Path("runs") / "more").mkdir()
    Path("net.onnx").touch()
    Path("notes.txt").touch()
    assert offered("evaluate", "paco:") == ["paco:runs/"]
    assert offered("evaluate", "paco:runs/") == ["paco:runs/a", "paco:runs/more/"]
    assert offered("evaluate", "onnx:") == ["onnx:net.onnx", "onnx:runs/"]
    assert offered("evaluate", f"onnx:{tmp_path}/n") == [f"onnx:{tmp_path}/net.onnx"]


@pytest.mark.parametrize(
    "command",
    ["list tasks", "list datasets", "data check", "data mimic", "data align --for", "data describe"],
)
def test_tasks_complete_wherever_a_command_takes_one(command):
    """They did behind ``--tasks`` of evaluations alone."""
    assert offered(*command.split(), "landmarks/wf") == ["landmarks/wflw"]


@pytest.mark.parametrize(
    "command", [["evaluate", "pixels"], ["ablate"], ["report", "run"], ["leaderboard", "run"]]
)
def test_tasks_complete_also_behind_a_comma_and_behind_a_factor(command):
    assert offered(*command, "--tasks", "landmarks/wf") == ["landmarks/wflw"]
    assert offered(*command, "--tasks", "pose/biwi,landmarks/wf") == ["pose/biwi,landmarks/wflw"]
    assert "landmarks/*" in offered(*command, "--tasks", "landmarks/")
    assert "occlusion/" in offered(*command, "--tasks", "occl")
    assert "occlusion/landmarks/wflw" in offered(*command, "--tasks", "occlusion/land")
