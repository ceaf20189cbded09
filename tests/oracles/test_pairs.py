"""Lists of pairs as insightface scores LFW and its like: 400 thresholds, ten folds, validation rate."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from paco_fr.contracts import CROPS
from paco_fr.faces.decode import encode_png
from tasks.kinds import load_kind
from tasks.lists import PairList
from tasks.readers.recognition.lfw import read_pairs
from tasks.task import Task
from tests.oracles.chain import scored, vectors


def field(first: np.ndarray, second: np.ndarray, same: np.ndarray, fold: np.ndarray) -> dict[str, float]:
    """Return mean and deviation over folds of accuracy, and the mean rate at FAR 0.001, with plain loops.

    Embeddings of length 1, squared distances; accuracy at the first of the thresholds 0, 0.01 .. that is best on the
    other folds; the rate at the threshold where the FAR of the other folds reaches 0.001, linear between thresholds
    0, 0.001 .., or at 0 where it never does.
    """
    unit = [side / np.linalg.norm(side, axis=1, keepdims=True) for side in (first, second)]
    distance = ((unit[0] - unit[1]) ** 2).sum(axis=1)
    accuracy, rate = [], []
    for held in np.unique(fold):
        train, test = fold != held, fold == held
        shares = [np.mean((distance[train] < t) == same[train]) for t in np.arange(0, 4, 0.01)]
        threshold = np.arange(0, 4, 0.01)[int(np.argmax(shares))]
        accuracy.append(np.mean((distance[test] < threshold) == same[test]))
        steps = np.arange(0, 4, 0.001)
        alarms = np.array([np.mean(distance[train & ~same] < t) for t in steps])
        reached = np.flatnonzero(alarms >= 1e-3)
        threshold = 0.0
        if reached.size:
            at = max(reached[0], 1)
            threshold = np.interp(1e-3, alarms[at - 1 : at + 1], steps[at - 1 : at + 1])
        rate.append(np.mean(distance[test & same] < threshold))
    found = {"accuracy_10fold_grid": np.mean(accuracy), "accuracy_10fold_grid_std": np.std(accuracy)}
    return {
        name: 100 * float(value) for name, value in {**found, "val_10fold@far=1e-3": np.mean(rate)}.items()
    }


def test_a_bin_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.readers.recognition.bins.COUNTS", {})
    rng = np.random.default_rng(0)
    pictures = [encode_png(rng.integers(0, 255, (4, 4, 3)).astype(np.uint8)) for _ in range(406)]
    same = [bool(value) for value in rng.integers(0, 2, 203)]
    (tmp_path / "verification").mkdir()
    (tmp_path / "verification/cfp_fp.bin").write_bytes(pickle.dumps((pictures, same), 2))
    embedding = rng.normal(size=(406, 8))
    embedding[1::2][same] += 1.2 * embedding[::2][same]
    _, _, found = scored("recognition/cfp_fp", tmp_path, lambda labels: embedding)
    fold = np.repeat(np.arange(10), [21] * 3 + [20] * 7)  # 203 pairs, unshuffled
    expected = field(embedding[::2], embedding[1::2], np.array(same), fold)
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-9)


def test_the_genuine_list_of_lfw(data_root: Path) -> None:
    """Folds and truth of the official list of 6,000 pairs, parsed here by counting lines alone."""
    path = data_root / "annotation_formats/lfw/pairs.txt"
    lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    first = [f"{fields[0]}/{fields[0]}_{int(fields[1]):04d}" for fields in lines]
    second = [f"{fields[-2] if len(fields) == 4 else fields[0]}/" for fields in lines]
    second = [
        f"{folder}{folder[:-1]}_{int(fields[-1]):04d}" for folder, fields in zip(second, lines, strict=True)
    ]
    same, fold = np.arange(6000) // 300 % 2 == 0, np.arange(6000) // 600
    names = sorted({*first, *second})
    embedding = vectors(names, people=40)
    for a, b in zip(np.array(first)[same], np.array(second)[same], strict=True):
        embedding[b] = embedding[b] + 2 * embedding[a]
    pairs = read_pairs(path)
    listed = PairList(
        np.array([pair.first for pair in pairs]), np.array([pair.second for pair in pairs]),
        np.array([pair.same for pair in pairs]), np.array([pair.fold for pair in pairs]), str(path),
    )  # fmt: skip
    labels = pd.DataFrame({"unit_id": names, "group": [name.split("/")[0] for name in names]})
    task = Task("a/lfw", 1, "verification", "", CROPS["box"], "accuracy_10fold", "", "",
                options={"pairs": "list", "pair_list": listed})  # fmt: skip
    kind = load_kind("verification")
    items = kind.items(np.stack([embedding[name] for name in names]), labels, task)
    found = {metric.name: metric.value(items) for metric in kind.metrics(task)}
    sides = (np.stack([embedding[name] for name in side]) for side in (first, second))
    expected = field(*sides, same, fold)
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-9)
    assert 55 < expected["accuracy_10fold_grid"] < 95  # neither chance nor perfect: a wrong fold would show
