"""Rows that do not hold are refused, each for its own reason, and those that do are not."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from paco_eval.analysis.significance import metrics_of_tasks
from paco_eval.cli import main
from paco_eval.experiments.check import check_rows
from paco_eval.rows.archive import write_archive
from paco_eval.rows.schema import row_key
from paco_eval.rows.store import items_path, write_row
from tasks.registry import all_tasks
from tests.claims.reference import reference

POSE = all_tasks()["pose/synthetic"]
METRIC_OF = metrics_of_tasks([POSE])


@pytest.fixture(scope="module")
def measured():
    """Return a row that was measured, with its items."""
    (found,) = [s for s in reference()[0] if (s.row.task, s.row.encoder) == (POSE.name, "pixels")]
    return found.row, found.items()


def write(folder: Path, measured, **changed) -> Path:
    """Write the row with changed fields, signed as a liar would sign it."""
    row, items = measured
    fields = {**row.model_dump(by_alias=True), **changed}
    fields["key"] = row_key(fields)
    fields["family"] = fields["task"].rpartition("/")[0]
    return write_row(folder, type(row).model_validate(fields), items)


def problems(folder: Path, **options) -> list[str]:
    return check_rows([folder], metric_of=METRIC_OF, **options).problems


def test_a_row_as_it_was_measured_holds(tmp_path, measured):
    write(tmp_path, measured)
    assert problems(tmp_path) == []


def test_a_main_metric_that_its_items_do_not_give_is_refused(tmp_path, measured):
    row, _ = measured
    better = row.main.value * 0.999
    metrics = {**row.model_dump()["metrics"], row.main_metric: {**row.main.model_dump(), "value": better}}
    path = write(tmp_path, measured, metrics=metrics)
    (said,) = problems(tmp_path)
    assert said.startswith(str(path)) and f"{better}" in said and f"{row.main.value:.6g}"[:5] in said


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"task_version": POSE.version + 1}, "which is at"),
        ({"task": "pose/nowhere"}, "is not known here"),
        ({"data_kind": "mimic"}, "on mimic data"),
        ({"data_kind": "user"}, "on user data"),
        ({"protocol": "frozen, limit 60"}, "a part of the pictures"),
        ({"protocol": "by hand"}, "protocol 'by hand' is not known"),
        ({"versions": {"torch": "2"}}, "version of paco-fr, python"),
        ({"command": ""}, "the command that made it"),
        ({"n_items": 3}, "says 3 items"),
        ({"n_expected": 5, "n_scored": 5}, "says 5 pictures and has items of 960"),
        ({"split": "train"}, "scores the split 'train'"),
        ({"subset": "easy"}, "has no part 'easy', only all"),
        ({"data_kind": "official"}, "says official data, those of pose/synthetic are synthetic"),
        ({"definition": {"kind": "landmarks", "options": {}}}, "computed as landmarks"),
        ({"definition": {"kind": "pose", "options": {"filter": 5}}}, "computed with filter 5"),
        ({"versions": {"paco-fr": "banana", "torch": "2", "python": "3"}}, "version of paco-fr."),
        (
            {"versions": {"paco-fr": "99.0", "torch": "2", "python": "3"}},
            "made by version 99.0, newer than this",
        ),
        ({"commit": "zzz"}, "'zzz' is no commit"),
        (
            {"interval": {"method": "m", "unit": "person", "n_units": 99, "replicates": 1}},
            "says 99 resampled groups",
        ),
    ],
)
def test_what_a_row_says_of_itself_has_to_be_known_and_whole(tmp_path, measured, changed, said):
    write(tmp_path, measured, **changed)
    assert any(said in problem for problem in problems(tmp_path)), problems(tmp_path)


@pytest.mark.parametrize("best", [480, 5])
def test_scoring_the_best_items_alone_or_over_and_over_is_refused(tmp_path, measured, best):
    row, items = measured
    kept = items.sort_values("error").head(best)
    chosen = pd.concat([kept] * (len(items) // best if best < 100 else 1), ignore_index=True)
    value = METRIC_OF(row, row.main_metric).value(chosen)
    metrics = {**row.model_dump()["metrics"], row.main_metric: {**row.main.model_dump(), "value": value}}
    interval = {**row.model_dump()["interval"], "n_units": chosen["group"].nunique()}
    metrics[row.main_metric] |= {"low": None, "high": None}
    liar = {"metrics": metrics, "interval": interval, "n_items": len(chosen), "n_items_failed": 0}
    liar |= {"n_expected": len(chosen), "n_scored": len(chosen)}
    write(tmp_path / "new", (row, chosen), **liar)
    write(tmp_path / "trusted", measured)
    said = problems(tmp_path / "new", against=[tmp_path / "trusted"])
    assert any("items of pose/synthetic" in one for one in said), said
    alone = problems(tmp_path / "new")
    assert alone == [] if best == 480 else any("more than once" in one for one in alone), alone


def test_an_edited_row_and_edited_items_are_refused(tmp_path, measured):
    path = write(tmp_path, measured)
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "method": "another"}))
    assert "digest" in problems(tmp_path)[0]
    path.write_text(json.dumps(content))
    items_path(path).write_bytes(items_path(path).read_bytes()[:-1] + b"x")
    assert "not the items" in problems(tmp_path)[0]


def test_one_name_is_one_encoder_and_one_task_one_set_of_pictures(tmp_path, measured):
    write(tmp_path / "trusted", measured)
    other = {"weight_hash": "0" * 16, "network": {"stated": "0" * 16}}
    write(tmp_path / "new", measured, **other, data_fingerprint="1" * 16)
    said = problems(tmp_path / "new", against=[tmp_path / "trusted"])
    assert len(said) == 2 and all(str(tmp_path / "trusted") in one for one in said)
    assert "encoder pixels is 0000" in said[0] and "data of pose/synthetic" in said[1]
    assert problems(tmp_path / "new") == []
    write(tmp_path / "later", measured, weight_hash="2" * 16, network={"stated": measured[0].stated_hash})
    assert problems(tmp_path / "later", against=[tmp_path / "trusted"]) == [], (
        "the same tensors, named by later rules"
    )


def test_the_command_says_what_holds_by_its_status(tmp_path, measured, monkeypatch):
    monkeypatch.setattr("paco_eval.experiments.check.registered_metrics", lambda: METRIC_OF)
    path = write(tmp_path, measured)
    done = CliRunner().invoke(main, ["rows", "check", str(tmp_path)])
    assert done.exit_code == 0 and "1 rows hold" in done.stdout
    path.rename(path.with_name("0" * 16 + ".json"))
    for beside in tmp_path.glob("*.parquet"):
        beside.rename(beside.with_name(beside.name.replace(path.stem, "0" * 16)))
    done = CliRunner().invoke(main, ["rows", "check", str(tmp_path)])
    assert done.exit_code == 1 and "Refused" in done.stdout and "not that of its name" in done.stderr


def test_a_damaged_file_of_an_archive_is_said_once(tmp_path):
    rows = [s for s in reference()[0] if s.row.task == POSE.name and s.row.encoder in ("pixels", "constant")]
    write_archive(tmp_path, rows)
    (tmp_path / "items" / "pose.parquet").write_bytes(b"PAR1")
    (said,) = problems(tmp_path)
    assert "items/pose.parquet" in said
