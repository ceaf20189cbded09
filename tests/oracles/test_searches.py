"""Rank 1 by sorting, ties drawn: on genuine pictures whose vectors are so coarse that many scores are one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from paco_fr.faces.decode import read_image
from tests.oracles.chain import scored


def test_ties_are_drawn_as_by_sorting_at_random(data_root: Path) -> None:
    folder = data_root / "orl_faces"

    def vector(name: str) -> np.ndarray:
        grey = read_image(folder / f"{name}.pgm")[..., 0].astype(float)
        return np.asarray(grey[8:104, 6:86].reshape(3, 32, 2, 40).mean(axis=(1, 3)).ravel() // 64 - 1.5)

    def answers(labels: pd.DataFrame) -> np.ndarray:
        return np.stack([vector(name) for name in labels["image_id"]])

    _, items, found = scored("recognition/orl", data_root, answers)
    gallery = sorted(set(items.loc[items["mated"], "truth"]))
    enrolled = np.stack([vector(f"{person}/1") for person in gallery])
    enrolled /= np.linalg.norm(enrolled, axis=1, keepdims=True)
    rng, ranks, tied = np.random.default_rng(0), [], 0
    for name, person in zip(items["id"], items["truth"], strict=True):
        if person not in gallery:
            continue
        probe = vector(name)
        score = (enrolled @ probe / np.linalg.norm(probe)).round(9)
        tied += int((score == score.max()).sum() > 1)
        order = np.argsort(-(score[None] + 1e-7 * rng.random((4000, len(gallery)))), axis=1)
        ranks.append((order == gallery.index(person)).argmax(axis=1))
    assert tied > 5
    first, five = (100 * np.mean(np.array(ranks) < k) for k in (1, 5))
    assert abs(found["rank1"] - first) < 0.2
    assert abs(found["rank5"] - five) < 0.2
