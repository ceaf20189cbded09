"""Lists fit the terminal, tell all of one thing when it is named, and know what was meant."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from paco_eval.cli import main
from paco_eval.cli.listing import _columns
from paco_fr.config import PretrainConfig, fields, load_recipe
from paco_fr.utils.errors import PacoError
from tasks.registry import all_tasks, derived


def call(*words: str):
    return CliRunner().invoke(main, list(words))


@pytest.mark.parametrize("what", ["tasks", "datasets", "encoders", "recipes", "fields"])
def test_no_line_of_a_list_is_wider_than_the_terminal(what):
    """The list of tasks was 466 columns wide, that of data sets 765."""
    lines = call("list", what).output.splitlines()
    assert len(lines) > 3 and max(map(len, lines)) <= 100


def test_columns_are_cut_to_the_width_and_names_are_not():
    lines = _columns(
        [{"name": "n" * 20, "a": "x" * 50, "b": "y" * 200}, {"name": "m", "a": "", "b": "z"}], 60
    )
    assert max(map(len, lines)) <= 60 and lines[0].startswith("n" * 20) and lines[0].endswith("…")


def test_tasks_stand_by_family_a_line_each_and_derived_ones_are_folded():
    output = call("list", "tasks").output
    lines = [line.split()[0] for line in output.splitlines() if line.startswith("  ")]
    assert [name for name in lines if "TASK" not in name] == [name for name in all_tasks() if "@" not in name]
    assert not set(derived()) & set(lines) and "occlusion/TASK" in lines
    assert "missing" in output and "made here" in output


def test_one_task_data_set_or_setting_is_told_whole():
    told = " ".join(call("list", "tasks", "pose/biwi").output.split())
    task = all_tasks()["pose/biwi"]
    for text in (task.obtain, task.licence, task.citation, "angle error, degrees"):
        assert " ".join(text.split()) in told
    assert "occlusion/pose/biwi" in call("list", "tasks", "occlusion/pose/*").output
    assert "recognition/lfw" in call("list", "datasets", "LFW").output, "whatever the case"
    one = call("list", "fields", "masking.ratio").output
    assert "masking.ratio" in one and "masking.strategy" not in one
    assert "masking.strategy" in call("list", "fields", "masking").output


def test_every_setting_of_a_recipe_is_listed_with_its_reason():
    """Nothing listed them: what ``--set`` knows stood in the source alone."""
    output = " ".join(call("list", "fields").output.split())
    known = fields()
    assert len(known) > 40 and {"masking.ratio", "seed", "optimiser.learning_rate"} <= set(known)
    for key in known:
        section, _, name = key.rpartition(".")
        model = PretrainConfig.model_fields[section].annotation if section else PretrainConfig
        assert f"{key} = " in output and " ".join(model.model_fields[name].description.split()) in output


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (["list", "taks"], "tasks"),
        (["list", "tasks", "pose/biwy"], "pose/biwi"),
        (["list", "fields", "masking.ratoi"], "masking.ratio"),
        (["evalaute"], "evaluate"),
        (["report", "--formt", "md"], "--format"),
    ],
)
def test_a_typo_is_told_what_is_near(words, near):
    result = call(*words)
    assert result.exit_code == 2 and near in result.output, result.output


def test_a_setting_that_is_none_is_told_what_is_near():
    """It said "Extra inputs are not permitted"."""
    with pytest.raises(PacoError, match=r"Unknown setting 'masking.ratoi'. Did you mean masking.ratio"):
        load_recipe("tiny", {"masking.ratoi": 0.5})
