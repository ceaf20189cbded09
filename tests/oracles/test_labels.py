"""Expressions and attributes as the field scores them, from label files; and the edges at which scores mean little."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sklearn

from paco_fr.contracts import CROPS, EXPRESSIONS
from paco_fr.faces.decode import encode_png
from tasks.kinds import load_kind
from tasks.readers.dataset_info import CHALLENGE_FILES
from tasks.readers.expression.ferplus import SPLITS, majority, read_labels
from tasks.task import Task
from tests.oracles.chain import scored

COLUMNS = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
    "unknown",
    "NF",
)
GREY = encode_png(np.full((2, 2, 3), 128, np.uint8))
CODES = {"neutral": 7, "happiness": 4, "sadness": 5, "surprise": 1, "fear": 2, "disgust": 3, "anger": 6}
"""Class by our order -> its number in RAF-DB's list."""


def test_rafdb_and_the_lists_of_ran(tmp_path: Path) -> None:
    """Accuracy over pictures, on the test part and on each list of hard faces; a name that stands twice counts once."""
    rng = np.random.default_rng(0)
    images, labels = tmp_path / "RAF-DB/basic/Image/aligned", tmp_path / "RAF-DB/basic/EmoLabel"
    images.mkdir(parents=True)
    labels.mkdir()
    names = [f"{part}_{n:04d}" for part in ("train", "test") for n in range(1, 41)]
    truth = {name: list(CODES.values())[rng.integers(7)] for name in names}
    (labels / "list_patition_label.txt").write_text("".join(f"{name}.jpg {truth[name]}\n" for name in names))
    for name in names:
        (images / f"{name}_aligned.jpg").write_bytes(GREY)
    folder = tmp_path / "Challenge-condition-FER-dataset"
    listed = {"occlusion": names[40:52], "pose30": names[50:70], "pose45": names[60:66]}
    for file, members in zip(CHALLENGE_FILES["rafdb"], listed.values(), strict=True):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text("".join(f"{name}_aligned 3 4\n" for name in (members[0], *members)))
    order = [code - 1 for code in CODES.values()]  # of the answers: RAF-DB's own numbers less 1
    said = {name: rng.random(7) for name in names}

    def answers(table: pd.DataFrame) -> np.ndarray:
        return np.stack([said[name][order] for name in table["image_id"]])

    task, items, found = scored("expression/rafdb_challenge", tmp_path, answers)
    test = names[40:]
    y, z = ([side[name] for name in test] for side in (truth, {n: int(said[n].argmax()) + 1 for n in names}))
    assert found["accuracy"] == pytest.approx(100 * sklearn.accuracy_score(y, z))
    assert found["class_mean_accuracy"] == pytest.approx(100 * sklearn.balanced_accuracy_score(y, z))
    assert found["macro_f1"] == pytest.approx(100 * sklearn.f1_score(y, z, average="macro"))
    accuracy = load_kind(task.kind).metrics(task)[0]
    for subset, members in listed.items():
        right = [said[name].argmax() + 1 == truth[name] for name in members]
        assert accuracy.value(items[items[f"subset:{subset}"]]) == pytest.approx(100 * np.mean(right))


def test_the_genuine_votes_of_ferplus(data_root: Path) -> None:
    """Microsoft's rule, "majority": single votes go, the winner needs more than half, "unknown" and "NF" are left out."""
    for folder, split in SPLITS.items():
        path = data_root / "annotation_formats/ferplus" / folder / "label.csv"
        kept = Counter[str]()
        for line in path.read_text().splitlines():
            votes = np.array([int(value) for value in line.split(",")[-10:]])
            votes[votes < 2] = 0
            best = int(np.argmax(votes))
            kept[COLUMNS[best] if votes[best] > votes.sum() / 2 and best < 8 else "nobody"] += 1
        chosen = (majority(row.votes) for row in read_labels(path, split))
        assert Counter("nobody" if code is None else EXPRESSIONS[code] for code in chosen) == kept
        assert sum(kept.values()) - kept["nobody"] > 2_000


def test_celeba(tmp_path: Path) -> None:
    """Accuracy of each attribute, then the mean over 40: one that nobody has counts as right wherever it is denied."""
    rng, names = np.random.default_rng(0), [f"{n:06d}.jpg" for n in range(1, 31)]
    truth = rng.choice([-1, 1], (30, 40))
    truth[:, 3] = -1
    for part in ("Anno", "Eval", "Img/img_align_celeba"):
        (tmp_path / "CelebA" / part).mkdir(parents=True)
    titles = " ".join(f"A{n}" for n in range(40))
    rows = [f"{name}  {' '.join(map(str, values))}" for name, values in zip(names, truth, strict=True)]
    (tmp_path / "CelebA/Anno/list_attr_celeba.txt").write_text("\n".join(["30", titles, *rows]) + "\n")
    points = [f"{name} 69 109 106 113 77 142 73 152 108 154" for name in names]
    title = "lefteye_x lefteye_y righteye_x righteye_y nose_x nose_y leftmouth_x leftmouth_y rightmouth_x rightmouth_y"
    (tmp_path / "CelebA/Anno/list_landmarks_align_celeba.txt").write_text(
        "\n".join(["30", title, *points]) + "\n"
    )
    (tmp_path / "CelebA/Eval/list_eval_partition.txt").write_text(
        "".join(f"{name} {0 if n < 10 else 1 if n < 15 else 2}\n" for n, name in enumerate(names))
    )
    said = rng.random((30, 40))
    _, _, found = scored(
        "attributes/celeba", tmp_path, lambda table: said[[int(n[:6]) - 1 for n in table["image_id"]]]
    )
    right = [np.mean((said[15:, at] > 0.5) == (truth[15:, at] == 1)) for at in range(40)]
    assert found["mean_accuracy"] == pytest.approx(100 * np.mean(right))
    both = [
        sklearn.balanced_accuracy_score(truth[15:, at] == 1, said[15:, at] > 0.5)
        for at in range(40)
        if len(set(truth[15:, at])) == 2
    ]
    assert found["balanced_accuracy"] == pytest.approx(100 * np.mean(both))


def classified(truth: list[int], outputs: np.ndarray, classes: str = "abc") -> dict[str, float]:
    task = Task(
        "a/b",
        1,
        "classification",
        "",
        CROPS["whole"],
        "accuracy",
        "",
        "",
        options={"classes": tuple(classes)},
    )
    names = [f"u{n}" for n in range(len(truth))]
    labels = pd.DataFrame({"unit_id": names, "group": names, "expression": truth})
    kind = load_kind("classification")
    items = kind.items(outputs, labels, task)
    return {metric.name: metric.value(items) for metric in kind.metrics(task)}


@pytest.mark.parametrize(
    ("truth", "said"),
    [
        ([0, 0, 1], [0, 2, 1]),  # a class that is only predicted
        ([1, 1, 1], [1, 1, 1]),  # one class alone, never missed
        ([1, 1, 1], [1, 0, 1]),
        ([0, 1, 2], [0, 0, 0]),  # two classes that are never predicted
        ([0], [1]),
    ],
)
def test_few_classes_as_scikit_learn_has_them(truth: list[int], said: list[int]) -> None:
    found = classified(truth, np.eye(3)[said])
    recall = sklearn.recall_score(truth, said, average="macro", labels=sorted(set(truth)), zero_division=0)
    assert found["accuracy"] == pytest.approx(100 * sklearn.accuracy_score(truth, said))
    assert found["class_mean_accuracy"] == pytest.approx(100 * recall)
    assert found["macro_f1"] == pytest.approx(
        100 * sklearn.f1_score(truth, said, average="macro", zero_division=0)
    )


def test_a_class_that_a_fold_never_saw_is_wrong_in_it() -> None:
    """A head fitted without the last class has a column less; its units are scored all the same."""
    found = classified([0, 1, 2], np.eye(2)[[0, 1, 1]])
    assert found["accuracy"] == pytest.approx(200 / 3)
    assert found["macro_f1"] == pytest.approx(
        100 * sklearn.f1_score([0, 1, 2], [0, 1, 1], average="macro", zero_division=0)
    )


def test_nothing_to_score_is_undefined() -> None:
    assert all(np.isnan(value) for value in classified([], np.empty((0, 3))).values())
    for kind, main, options in (
        ("multilabel", "mean_accuracy", {"classes": ("a", "b")}),
        ("segmentation", "mean_f1", {"classes": ("a", "b")}),
        ("pose", "mae", {}),
        ("landmarks", "nme_box", {}),
        ("verification", "auc", {"pairs": "list"}),
        ("identification", "rank1", {"unenrolled": 0.5}),
    ):
        task = Task("a/b", 1, kind, "", CROPS["whole"], main, "", "", options=options)  # type: ignore[arg-type]
        assert all(np.isnan(metric.value(pd.DataFrame())) for metric in load_kind(kind).metrics(task))
