"""Parsing as FaRL scores it: pixels of all pictures in one table, F1 of each class, mean over the foreground."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from paco_fr.faces.decode import encode_png
from tests.oracles.chain import scored

LAPA, CELEBAMASK = 11, 19


def field(truth: list[np.ndarray], said: list[np.ndarray], classes: int) -> np.ndarray:
    """Return the F1 of every class, pixel by pixel in a table of truth by prediction, in percent; NaN of neither."""
    table = np.zeros((classes, classes))
    for one, other in zip(truth, said, strict=True):
        np.add.at(table, (one.ravel(), other.ravel()), 1)
    with np.errstate(invalid="ignore"):
        return np.asarray(100 * 2 * np.diag(table) / (table.sum(axis=0) + table.sum(axis=1)))


def answers(said: dict[str, np.ndarray], labels: pd.DataFrame) -> np.ndarray:
    found = np.empty(len(labels), dtype=object)
    found[:] = [said[name] for name in labels["image_id"]]
    return found


def noisy(mask: np.ndarray, classes: int, rng: np.random.Generator) -> np.ndarray:
    return np.where(rng.random(mask.shape) < 0.7, mask, rng.integers(0, classes, mask.shape))


def test_lapa(tmp_path: Path) -> None:
    """Masks of five formats, pictures of unequal sizes: large ones weigh more; a class that nobody shows is only said."""
    rng, truth, said = np.random.default_rng(0), [], {}
    for part in ("train", "val", "test"):
        for folder in ("images", "labels", "landmarks"):
            (tmp_path / "LaPa" / part / folder).mkdir(parents=True)
        root = tmp_path / "LaPa" / part
        for number in range(5):
            high, wide = 12 + 5 * number, 16 + number
            mask = rng.integers(0, LAPA - 1, (high, wide))  # hair is in no picture
            (root / f"images/{number}.jpg").write_bytes(encode_png(np.zeros((high, wide, 3), np.uint8)))
            (root / f"landmarks/{number}.txt").write_text("106\n" + "".join(f"{n} {n}\n" for n in range(106)))
            target = root / f"labels/{number}.png"
            if number == 0:
                cv2.imwrite(str(target), mask.astype(np.uint8))
            elif number == 1:
                cv2.imwrite(str(target), mask.astype(np.uint16))
            elif number == 2:
                cv2.imwrite(str(target), np.repeat(mask[..., None], 3, axis=2).astype(np.uint8))
            elif number == 3:
                picture = Image.fromarray(mask.astype(np.uint8), "P")
                picture.putpalette(rng.permutation(768).astype(np.uint8).tolist())
                picture.save(target)
            else:
                Image.fromarray(mask.astype(np.int32)).save(target, format="TIFF")
            if part == "test":
                truth.append(mask)
                said[f"test/{number}"] = noisy(mask, LAPA, rng)
    _, items, found = scored("parsing/lapa", tmp_path, lambda labels: answers(said, labels))
    expected = field(truth, [said[name] for name in items["id"]], LAPA)
    names = [name for name in found if name.startswith("f1_")]
    assert [found[name] for name in names] == pytest.approx(expected[1:], abs=1e-9)
    assert found["f1_hair"] == 0.0
    assert found["mean_f1"] == pytest.approx(expected[1:].mean())
    both = [
        np.concatenate([m.ravel() for m in side]) for side in (truth, [said[name] for name in items["id"]])
    ]
    assert found["pixel_accuracy"] == pytest.approx(100 * np.mean(both[0] == both[1]))


PAINTED = ("neck", "skin", "cloth", "l_ear", "r_ear", "l_brow", "r_brow", "l_eye", "r_eye", "nose", "mouth", "l_lip", "u_lip",
           "hair", "eye_g", "hat", "ear_r", "neck_l")  # fmt: skip
"""Order in which FaRL's loader paints the parts over each other, its classes 1 to 18."""


def test_celebamask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of any depth and any value that is not zero, painted in order at 512; absent files are absent parts."""
    monkeypatch.setenv("PACO_CACHE", str(tmp_path / "cache"))
    root, rng, truth, said = tmp_path / "CelebAMask-HQ", np.random.default_rng(0), [], {}
    for folder in ("CelebA-HQ-img", "CelebAMask-HQ-mask-anno/0"):
        (root / folder).mkdir(parents=True)
    mapping, parts = ["idx orig_idx orig_file"], []
    for number in range(3):
        (root / f"CelebA-HQ-img/{number}.jpg").write_bytes(encode_png(np.zeros((8, 8, 3), np.uint8)))
        mapping.append(f"{number} {number} {number + 1:06d}.jpg")
        parts.append(f"{number + 1:06d}.jpg 2")
        mask = np.zeros((512, 512), dtype=int)
        for code, name in enumerate(PAINTED, 1):
            if name == "eye_g" or (name == "hat" and number):
                continue
            x, y = rng.integers(0, 400, 2)
            held = np.zeros((512, 512), np.uint16 if code % 2 else np.uint8)
            held[y : y + 112, x : x + 112] = (1, 255, 65_535)[number] if code % 2 else (1, 7, 255)[number]
            cv2.imwrite(str(root / f"CelebAMask-HQ-mask-anno/0/{number:05d}_{name}.png"), held)
            mask[held > 0] = code
        truth.append(mask)
        said[str(number)] = noisy(mask, CELEBAMASK - 4, rng)
    (root / "CelebA-HQ-to-CelebA-mapping.txt").write_text("\n".join(mapping) + "\n")
    (root / "list_eval_partition.txt").write_text("\n".join(parts) + "\n")
    _, items, found = scored("parsing/celebamask", tmp_path, lambda labels: answers(said, labels))
    expected = field(truth, [said[name] for name in items["id"]], CELEBAMASK)
    assert [found[f"f1_{name}"] for name in PAINTED] == pytest.approx(expected[1:], abs=1e-9, nan_ok=True)
    shown = np.isfinite(expected[1:])
    assert not shown[PAINTED.index("eye_g")] and found["f1_hat"] > 0
    # The field's mean is not a number with one class that is neither shown nor said; ours is of the others.
    assert found["mean_f1"] == pytest.approx(expected[1:][shown].mean())
