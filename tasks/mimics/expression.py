"""Miniatures of RAF-DB, AffectNet, FER+ and FER2013."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from paco_fr.contracts import EXPRESSIONS
from tasks.mimics.faces import Cast, Face, face_crop, save, write_lines
from tasks.readers.expression import fer2013, ferplus, rafdb


def write_rafdb(root: Path, cast: Cast) -> dict[str, int]:
    """Write ``RAF-DB/basic``: the list and aligned pictures of 100 x 100."""
    lines: list[str] = []
    counts: Counter[str] = Counter()
    for split, face in cast.two_parts():
        stem = f"{split}_{face.number + 1:05d}"
        save(root / "RAF-DB/basic/Image/aligned" / f"{stem}_aligned.jpg", face_crop(face, 100))
        lines.append(f"{stem}.jpg {rafdb.CODES.index(face.expression) + 1}")
        counts[split] += 1
    write_lines(root / "RAF-DB/basic/EmoLabel/list_patition_label.txt", lines)
    return dict(counts)


def write_affectnet8(root: Path, cast: Cast) -> dict[str, int]:
    """Write ``AffectNet`` with pictures of 224 x 224; every ninth face is said to show contempt."""
    return _write_affectnet(root, cast, 8)


def write_affectnet7(root: Path, cast: Cast) -> dict[str, int]:
    """Write the same files as for eight classes; the counts leave contempt out."""
    return _write_affectnet(root, cast, 7)


def _write_affectnet(root: Path, cast: Cast, classes: int) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for split, face in cast.two_parts():
        folder = root / "AffectNet" / {"train": "train_set", "test": "val_set"}[split]
        label = EXPRESSIONS.index(_with_contempt(face))
        save(folder / "images" / f"{face.number}.jpg", face_crop(face, 224))
        (folder / "annotations").mkdir(exist_ok=True)
        np.save(folder / "annotations" / f"{face.number}_exp.npy", np.array(str(label)))
        counts[split if label < classes else "excluded"] += 1
    return dict(counts)


def _with_contempt(face: Face) -> str:
    return "contempt" if face.number % 9 == 4 else face.expression


def write_ferplus(root: Path, cast: Cast) -> dict[str, int]:
    """Write the three folders with ``label.csv`` and pictures of 48 x 48; some faces have no majority."""
    counts: Counter[str] = Counter()
    for name, split in ferplus.SPLITS.items():
        lines = []
        for face in cast.part(split):
            image = f"fer{face.number:07d}.png"
            save(root / "ferplus" / name / image, _grey(face))
            votes = dict.fromkeys(ferplus.CLASSES, 0)
            undecided = face.number % 11 == 10
            votes[_with_contempt(face)] = 5 if undecided else 8
            votes["unknown"] += 5 if undecided else 2
            lines.append(f'{image},"(0, 0, 48, 48)",{",".join(map(str, votes.values()))}')
            counts["excluded" if undecided else split] += 1
        write_lines(root / "ferplus" / name / "label.csv", lines)
    return dict(counts)


def write_fer2013(root: Path, cast: Cast) -> dict[str, int]:
    """Write ``fer2013.csv``."""
    lines, counts = ["emotion,pixels,Usage"], {}
    for usage, split in fer2013.USAGES.items():
        for face in cast.part(split):
            pixels = " ".join(map(str, _grey(face).ravel()))
            lines.append(f"{fer2013.CODES.index(face.expression)},{pixels},{usage}")
        counts[split] = len(cast.part(split))
    write_lines(root / "FER2013/fer2013.csv", lines)
    return counts


def _grey(face: Face) -> np.ndarray:
    """Return the face as 48 x 48 grey."""
    return np.asarray(Image.fromarray(face_crop(face, fer2013.SIDE)).convert("L"))
