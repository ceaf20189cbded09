"""The conformance suite on every task whose data is here, and on tasks that break its rules."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from datasets import Dataset

from paco_eval.testing import check_task as check_with_row
from paco_fr.contracts import CROPS
from paco_fr.faces.decode import encode_png
from paco_fr.faces.records import features
from paco_fr.utils.errors import MissingDataError
from tasks.kinds import verification
from tasks.metrics.metric import Metric
from tasks.registry import all_tasks
from tasks.task import Task
from tasks.testing import ConformanceError, check_task

SMALL = {"train": 12, "validation": 6, "test": 8, "images_per_identity": 3}
"""Identities and pictures of the synthetic tasks, as few as every rule needs."""
FOUND = [task for task in all_tasks().values() if "synthetic" not in task.tags]
MADE = [task for task in all_tasks().values() if "synthetic" in task.tags]


@pytest.mark.parametrize("task", FOUND, ids=lambda task: task.name)
def test_tasks_on_the_data_that_is_here(task: Task, data_root: Path) -> None:
    if task.missing(data_root):
        pytest.skip(f"no data for {task.name}")
    try:
        check_task(task, data_root)
    except MissingDataError as error:
        pytest.skip(str(error))


@pytest.mark.slow
@pytest.mark.parametrize("task", MADE, ids=lambda task: task.name)
def test_synthetic_tasks(task: Task) -> None:
    check_task(replace(task, reader_options={**task.reader_options, **SMALL}))


def test_orl_with_its_row(data_root: Path) -> None:
    checked = check_with_row(all_tasks()["recognition/orl"], data_root)
    perfect, dealt, failed = checked.scores["all"]["rank1"]
    assert (perfect, failed) == (100.0, 0.0)
    assert 2 < dealt < 15
    assert len(checked.items["all"]) == 180


# --- miniatures of sets that are not here ------------------------------------------------------------


def test_bin_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.readers.recognition.bins.COUNTS", {})
    cells = [encode_png(np.full((8, 8, 3), n, np.uint8)) for n in range(80)]
    (tmp_path / "verification").mkdir()
    (tmp_path / "verification/cfp_fp.bin").write_bytes(
        pickle.dumps((cells, [n % 2 == 0 for n in range(40)]), 2)
    )
    checked = check_task(all_tasks()["recognition/cfp_fp"], tmp_path)
    assert checked.scores["all"]["accuracy_10fold"][0] == 100.0
    assert checked.items["all"]["fold"].nunique() == 10


@pytest.mark.parametrize("name", ["ijbb", "ijbc"])
def test_ijb_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr("tasks.readers.recognition.ijb.COUNTS", {})
    meta = tmp_path / name.upper() / "meta"
    meta.mkdir(parents=True)
    (tmp_path / name.upper() / "loose_crop").mkdir()
    template = np.arange(90) // 3  # 30 templates of 15 people
    points = "30 30 60 30 45 45 32 60 58 60"
    rows = [f"{n}.jpg {t} {n % 2}" for n, t in enumerate(template)]
    (meta / f"{name}_face_tid_mid.txt").write_text("\n".join(rows))
    (meta / f"{name}_name_5pts_score.txt").write_text("\n".join(f"{n}.jpg {points} 0.9" for n in range(90)))
    pairs = [f"{a} {b} {int(a % 15 == b % 15)}" for a in range(15) for b in range(15, 30)]
    (meta / f"{name}_template_pair_label.txt").write_text("\n".join(pairs))
    letter = "S" if name == "ijbb" else "G"
    for number, members in ((1, range(8)), (2, range(8, 15))):
        text = "TEMPLATE_ID,SUBJECT_ID\n" + "\n".join(f"{t},{t % 15}" for t in members)
        (meta / f"{name}_1N_gallery_{letter}{number}.csv").write_text(text)
    text = "TEMPLATE_ID,SUBJECT_ID\n" + "\n".join(f"{t},{t % 15}" for t in range(15, 30))
    (meta / f"{name}_1N_probe_mixed.csv").write_text(text)
    checked = check_task(all_tasks()[f"recognition/{name}"], tmp_path)
    assert checked.scores["all"]["tar@far=1e-4"][0] == 100.0
    searched = check_task(all_tasks()[f"recognition/{name}_search"], tmp_path)
    assert searched.scores["all"]["rank1"][0] == 100.0
    assert searched.items["all"]["nonmated_score"].notna().all()  # each subject is in one gallery of two


def test_lfw_folder(tmp_path: Path) -> None:
    (tmp_path / "lfw").mkdir()
    lines = ["2\t3"]
    for fold in range(2):
        lines += [f"P{fold}{n}\t1\t2" for n in range(3)]
        lines += [f"P{fold}{n}\t1\tQ{fold}{n}\t1" for n in range(3)]
    (tmp_path / "lfw/pairs.txt").write_text("\n".join(lines) + "\n")
    checked = check_task(all_tasks()["recognition/lfw"], tmp_path)
    assert checked.items["all"]["fold"].tolist() == [0] * 6 + [1] * 6


# --- rules, broken one by one ------------------------------------------------------------------------


def made_faces(data_root: Path | None, shared: bool = False, twice: bool = False) -> Dataset:
    split = np.repeat(["train", "validation", "test"], 8)
    who = [f"{part}{n // 2}" for n, part in enumerate(split)]
    if shared:
        who[0] = who[-1]
    columns = {
        "image": [f"{n}.png" for n in range(24)],
        "image_id": ["0" if twice and n == 1 else str(n) for n in range(24)],
        "group": who,
        "identity": who,
        "box": [[0, 0, 9, 9]] * 24,
        "split": split.tolist(),
    }
    return Dataset.from_dict(columns, features=features(columns))


GOOD = Task(
    "recognition/made", 1, "verification", f"{__name__}:made_faces", CROPS["box"], "auc", "own", "here"
)


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the reader's reference mean this very module, whatever name it was imported under."""
    monkeypatch.setattr(
        "tasks.readers.records.resolve",
        lambda reference: made_faces if reference == GOOD.reader else _resolve(reference),
    )


def _resolve(reference: str) -> object:
    from tasks.task import resolve

    return resolve(reference)


def test_a_good_task_passes() -> None:
    assert check_task(GOOD).scores["all"]["auc"][0] == 1.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "recognition"}, "not family/dataset"),
        ({"name": "Recognition/Made"}, "small letters"),
        ({"version": 0}, "version is 0"),
        ({"kind": "verfication"}, "kind 'verfication' is none of"),
        ({"main_metric": "mae"}, "main metric 'mae' is none of auc"),
        ({"licence": ""}, "under which licence"),
        ({"files": ("../elsewhere",)}, "is not a path below the data root"),
        ({"reader_options": {"twice": True}}, "unit '0' occurs twice"),
    ],
)
def test_broken_declarations(changes: dict, message: str) -> None:
    with pytest.raises(ConformanceError, match=message):
        check_task(replace(GOOD, **changes))


def test_shared_groups_never_get_as_far_as_a_score() -> None:
    from paco_fr.utils.errors import PacoError

    with pytest.raises(PacoError, match="in both the fitted and the held part"):
        check_task(replace(GOOD, reader_options={"shared": True}))


def broken(monkeypatch: pytest.MonkeyPatch, name: str, function: object) -> str:
    monkeypatch.setattr(verification, name, function)
    with pytest.raises(ConformanceError) as caught:
        check_task(GOOD)
    return str(caught.value)


def test_broken_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    items = verification.items

    def dropping(outputs: np.ndarray, labels: pd.DataFrame, task: Task) -> pd.DataFrame:
        found = items(outputs, labels, task)
        return found[found["failure"] == ""] if (found["failure"] == "").any() else found.iloc[:3]

    def silent(outputs: np.ndarray, labels: pd.DataFrame, task: Task) -> pd.DataFrame:
        return items(outputs, labels, task).assign(failure="")

    def by_place(outputs: np.ndarray, labels: pd.DataFrame, task: Task) -> pd.DataFrame:
        found = items(outputs, labels, task)
        return found.assign(score=found["score"] * np.linspace(1, 2, len(found)))

    assert "failures are dropped" in broken(monkeypatch, "items", dropping)
    assert "say nothing of a failure" in broken(monkeypatch, "items", silent)
    monkeypatch.setattr(verification, "items", items)
    perfect = verification.perfect
    text = broken(monkeypatch, "perfect", lambda labels, task: np.ones((len(labels), 2)))
    assert "a perfect prediction scores auc 0.5, best is 1" in text
    monkeypatch.setattr(verification, "perfect", perfect)
    assert "chance is 0.9" in broken(monkeypatch, "chance", lambda items, task: 0.9)
    monkeypatch.setattr(verification, "chance", lambda items, task: None)
    lucky = Metric("auc", "", True, 1.0, 0.0, lambda items, weights: np.ones(1))
    text = broken(monkeypatch, "metrics", lambda task: (lucky,))
    assert "wrong units score auc 1, no worse than perfect" in text
    assert "without outputs auc is 1, no worse than perfect" in text


def test_numbers_that_their_name_does_not_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    (auc,) = (metric for metric in verification.metrics(GOOD) if metric.name == "auc")
    squared = replace(auc, compute=lambda items, weights: auc.compute(items, weights) ** 2)
    text = broken(monkeypatch, "metrics", lambda task: (squared,))
    assert "half-right predictions score auc" in text and "by scikit-learn" in text
