"""Miniatures of the sets for hard conditions: MFR2, Extended Yale B, Multi-PIE, and RAN's lists."""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from paco_fr.contracts import EXPRESSIONS
from paco_fr.faces.crop import apply
from paco_fr.faces.decode import encode_png
from tasks.mimics.expression import write_ferplus, write_rafdb
from tasks.mimics.faces import Cast, Face, face_crop, face_transform, save, write_lines
from tasks.mimics.recognition import FOLDS, PER_KIND, pairs_of, write_points
from tasks.readers.dataset_info import CHALLENGE_FILES, CHALLENGE_FOLDER
from tasks.readers.expression.affectnet import COLUMNS
from tasks.readers.expression.challenge import SUBSETS
from tasks.readers.recognition.multipie import FRONTAL_FLASH, NEUTRAL, VIEWS
from tasks.readers.recognition.yale import subset_of_light


def write_mfr2(root: Path, cast: Cast) -> dict[str, int]:
    """Write ``mfr2``: a folder a person, faces of 160 x 160, and ``pairs.txt``."""
    place = {
        id(face): (f"Person{at}", number)
        for at, faces in enumerate(cast.people().values())
        for number, face in enumerate(faces, 1)
    }
    genuine, impostor = pairs_of(cast, FOLDS * PER_KIND)
    lines, named = [], dict[tuple[str, int], Face]()
    for a, b in genuine + impostor:
        (one, i), (other, j) = place[id(a)], place[id(b)]
        named |= {(one, i): a, (other, j): b}
        lines.append(f"{one} {i} {j}" if one == other else f"{one} {i} {other} {j}")
    for (name, number), face in named.items():
        save(root / "mfr2" / name / f"{name}_{number:04d}.png", face_crop(face, 160))
    write_lines(root / "mfr2/pairs.txt", lines)
    points = {
        f"{name}/{name}_{number:04d}": apply(face_transform(face, 160), face.points)
        for (name, number), face in named.items()
    }
    write_points(root / "mfr2", points)
    return {"total": len(named)}


LIGHTS = ((0, 0), (20, 10), (35, 15), (70, 0), (110, 15))
"""Azimuth and elevation of one light of each of Yale's subsets."""


def write_yale(root: Path, cast: Cast) -> dict[str, int]:
    """Write ``CroppedYale``: grey faces of 168 x 192, the first of each person under a light of subset 1."""
    counts: Counter[str] = Counter()
    for at, faces in enumerate(cast.people().values(), 11):
        for number, face in enumerate(faces):
            azimuth, elevation = LIGHTS[0 if number == 0 else 1 + (number + at) % 4]
            sign = -1 if number % 2 else 1  # both sides, so that no name occurs twice
            name = f"yaleB{at:02d}_P00A{sign * azimuth:+04d}E{elevation:+03d}.pgm"
            grey = np.asarray(Image.fromarray(face_crop(face, 192)).convert("L"))[:, 12:180]
            save(root / "CroppedYale" / f"yaleB{at:02d}" / name, grey)
            counts["total"] += 1
            counts[f"subset{subset_of_light(azimuth, elevation)}"] += 1
        save(root / "CroppedYale" / f"yaleB{at:02d}" / f"yaleB{at:02d}_P00_Ambient.pgm", grey)
    return dict(counts)


def write_multipie(root: Path, cast: Cast, setting: int) -> dict[str, int]:
    """Write ``Multi-PIE``: session 1 and, for setting 2, a second session that shows the same people again."""
    people = list(cast.people().values())
    train = -(-3 * len(people) // 5)
    counts: Counter[str] = Counter()
    views = ("05_1", "14_0", "04_1", "08_0", "20_0", "12_0", "24_0")
    for at, faces in enumerate(people):
        for session in range(1, 5):
            for number, face in enumerate(faces if session <= setting else ()):
                camera = views[0] if number == 0 else views[1 + (number + at + 3 * session) % 6]
                flash = FRONTAL_FLASH if session == 1 else f"{number:02d}"
                name = f"{at + 1:03d}_{session:02d}_{NEUTRAL}_{camera.replace('_', '')}_{flash}.png"
                folder = (
                    root / f"Multi-PIE/data/session{session:02d}/multiview/{at + 1:03d}/{NEUTRAL}/{camera}"
                )
                folder.mkdir(parents=True, exist_ok=True)
                wide = np.pad(_resized(face, 480), ((0, 0), (80, 80), (0, 0)))
                (folder / name).write_bytes(encode_png(wide))
                if at < train:
                    counts["train"] += 1
                elif number == 0 and session > 1:
                    counts["excluded"] += 1
                else:
                    counts["test"] += 1
                    counts[f"view{abs(VIEWS[camera])}"] += 1
            (root / f"Multi-PIE/data/session{session:02d}/multiview").mkdir(parents=True, exist_ok=True)
    return dict(counts)


def _resized(face: Face, side: int) -> np.ndarray:
    return np.asarray(Image.fromarray(face.image).resize((side, side), Image.Resampling.NEAREST))


write_multipie1 = partial(write_multipie, setting=1)
write_multipie2 = partial(write_multipie, setting=2)


def _challenging(face: Face) -> list[str]:
    """Return the subsets that a face belongs to; bounds are milder than RAN's, whose faces are turned further."""
    turn = max(abs(face.angles[0]), abs(face.angles[1]))
    flags = (face.occluder != "none", turn > 15, turn > 25)
    return [subset for subset, flag in zip(SUBSETS, flags, strict=True) if flag]


def _write_lists(
    root: Path, of: str, faces: Sequence[Face], lines: Mapping[str, Callable[[Face], str]]
) -> Counter[str]:
    """Write the lists of one set, the first line twice as in the original, and return how many faces each names."""
    counts: Counter[str] = Counter()
    for subset, file in zip(SUBSETS, CHALLENGE_FILES[of], strict=True):
        found = [lines[subset](face) for face in faces if subset in _challenging(face)]
        write_lines(root / CHALLENGE_FOLDER / file, [*found[:1], *found])
        counts[subset] = len(found)
    return counts


def write_rafdb_challenge(root: Path, cast: Cast) -> dict[str, int]:
    """Write ``RAF-DB`` and its lists."""
    turned = "0/test_{:05d}_aligned.jpg".format
    lines = {
        "occlusion": lambda face: f"test_{face.number + 1:05d}_aligned 3 4",
        "pose30": lambda face: turned(face.number + 1),
        "pose45": lambda face: turned(face.number + 1),
    }
    return write_rafdb(root, cast) | _write_lists(root, "rafdb", cast.part("test"), lines)


def write_ferplus_challenge(root: Path, cast: Cast) -> dict[str, int]:
    """Write ``ferplus`` and its lists; faces without a majority are listed, too, as in the original."""
    turned = "0/fer{:07d}.jpg".format
    lines = {
        "occlusion": lambda face: f"1_fer{face.number:07d}.png 8 0",
        "pose30": lambda face: turned(face.number),
        "pose45": lambda face: turned(face.number),
    }
    found = write_ferplus(root, cast) | _write_lists(root, "ferplus", cast.part("test"), lines)
    for face in cast.part("test"):
        if face.number % 11 == 10:
            found |= {subset: found[subset] - 1 for subset in _challenging(face)}
    return found


def write_affectnet_challenge(root: Path, cast: Cast) -> dict[str, int]:
    """Write the first release of ``AffectNet`` and its lists; every twelfth face is said to be uncertain."""
    counts: Counter[str] = Counter()
    for part, split in (("training", "train"), ("validation", "test")):
        table = io.StringIO()
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(COLUMNS)
        for face in cast.part(split):
            uncertain = face.number % 12 == 11
            label = 9 if uncertain else EXPRESSIONS.index(face.expression)
            x0, y0, x1, y1 = face.box.round().astype(int).tolist()
            name = f"{face.number % 3}/{_hash(face, split)}.jpg"
            save(root / "AffectNet/Manually_Annotated_Images" / name, face.image)
            writer.writerow([name, x0, y0, x1 - x0 + 1, y1 - y0 + 1, label])
            counts["excluded" if uncertain else split] += 1
        write_lines(
            root / f"AffectNet/Manually_Annotated_file_lists/{part}.csv", table.getvalue().splitlines()
        )
    lines = {
        "occlusion": lambda face: f"val/0/{_hash(face, 'test')}/",
        "pose30": lambda face: f"0/{_hash(face, 'test')}.jpg",
        "pose45": lambda face: f"0/{_hash(face, 'test')}/8.jpg",
    }
    certain = [face for face in cast.part("test") if face.number % 12 != 11]
    return counts | _write_lists(root, "affectnet", certain, lines)


def _hash(face: Face, split: str) -> str:
    return hashlib.sha224(f"{split} {face.number}".encode()).hexdigest()
