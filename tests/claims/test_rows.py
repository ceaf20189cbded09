"""The rows that all claims rest on: whole, what their items say, and each of one experiment."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections import Counter
from fnmatch import fnmatchcase

import pytest
from click import Context

from paco_eval.cli import main
from tasks.registry import all_tasks, derived
from tests.claims.reference import FOLDER, main_metric, reference

EXPERIMENTS = tomllib.loads((FOLDER / "experiments.toml").read_text(encoding="utf-8"))


def test_every_row_is_whole_of_the_present_task_version_and_what_its_items_say():
    rows, problems = reference()
    known = all_tasks() | derived()
    metrics = {name: main_metric(name) for name in {found.row.task for found in rows}}
    assert rows and not problems
    for found in rows:
        assert found.row.task_version == known[found.row.task].version
        assert found.row.data_kind == "synthetic" and found.row.command
        value = metrics[found.row.task].value(found.items())
        assert value == pytest.approx(found.row.main.value, rel=1e-7), "eight digits"


def test_every_row_is_of_one_experiment_and_every_experiment_has_rows():
    made = Counter()
    for row in (found.row for found in reference()[0]):
        of = [
            name
            for name, experiment in EXPERIMENTS.items()
            for part in experiment["rows"]
            if any(fnmatchcase(row.method, method) for method in part["methods"])
            and any(_fits(row.task, task) for task in part["tasks"])
        ]
        assert len(of) == 1, (row.method, row.task, of)
        made[of[0]] += 1
    assert set(made) == set(EXPERIMENTS) and made.total() == 6815


def _fits(task: str, pattern: str) -> bool:
    """Say whether a task is meant, where no asterisk stands for a slash."""
    parts = task.split("/"), pattern.split("/")
    return len(parts[0]) == len(parts[1]) and all(map(fnmatchcase, *parts))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_commands_of_an_experiment_are_understood(name):
    experiment = EXPERIMENTS[name]
    assert experiment["title"] and experiment["commands"]
    for line in experiment["commands"]:
        for word, values in experiment["loops"].items():
            line = re.sub(rf"\b{word}\b", values[0], line)
        program, *words = shlex.split(line)
        assert program == "paco-eval" and not re.search(r"\b[A-Z]{4,}\b", line), line
        command = main.get_command(Context(main), words[0])
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, line
    for word in experiment["loops"]:
        assert any(re.search(rf"\b{word}\b", line) for line in experiment["commands"])
