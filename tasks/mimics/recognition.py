"""Miniatures of LFW, the verification ``.bin`` sets, IJB-B and IJB-C, and ORL."""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from paco_fr.contracts import CROPS
from paco_fr.faces.crop import crop_image, crop_transform
from paco_fr.faces.landmarks import five_points
from paco_fr.faces.records import BESIDE
from paco_fr.utils.types import Array
from tasks.mimics.faces import SIDE, Cast, Face, save, write_lines

FOLDS, PER_KIND = 10, 2
"""Folds of a pair list, and genuine (and impostor) pairs in each."""

Pair = tuple[Face, Face]


def write_lfw(root: Path, cast: Cast) -> dict[str, int]:
    """Write ``lfw``: a folder a person and ``pairs.txt``."""
    people = {f"Person_{at:02d}": faces for at, faces in enumerate(cast.people().values())}
    place = {id(face): (name, n) for name, faces in people.items() for n, face in enumerate(faces, 1)}
    for name, faces in people.items():
        for number, face in enumerate(faces, 1):
            save(root / "lfw" / name / f"{name}_{number:04d}.jpg", face.image, (250, 250))
    genuine, impostor = pairs_of(cast, FOLDS * PER_KIND)
    lines, named = [f"{FOLDS}\t{PER_KIND}"], set()
    for fold in range(FOLDS):
        for pairs in (genuine, impostor):
            for a, b in pairs[fold * PER_KIND : (fold + 1) * PER_KIND]:
                (one, i), (other, j) = place[id(a)], place[id(b)]
                named |= {(one, i), (other, j)}
                lines.append(f"{one}\t{i}\t{j}" if one == other else f"{one}\t{i}\t{other}\t{j}")
    write_lines(root / "lfw/pairs.txt", lines)
    scale = 250 / SIDE
    points = {
        f"{name}/{name}_{number:04d}": (face.points + 0.5) * scale - 0.5
        for name, faces in people.items()
        for number, face in enumerate(faces, 1)
    }
    write_points(root / "lfw", points)
    return {"total": len(named)}


def write_points(folder: Path, points: Mapping[str, Array]) -> None:
    """Write the points (68, 2) of pictures by their ids, as a detector's lie beside a set that has none."""
    table = {
        "image_id": list(points),
        "landmarks": [face.tolist() for face in points.values()],
        "scheme": "ibug68",
    }
    pd.DataFrame(table).to_parquet(folder / BESIDE)


def pairs_of(cast: Cast, count: int) -> tuple[list[Pair], list[Pair]]:
    """Return so many genuine and impostor pairs, spread over the people, none twice."""
    people = list(cast.people().values())
    every = [list(combinations(faces, 2)) for faces in people]
    genuine = [pairs[turn] for turn in range(max(map(len, every))) for pairs in every if turn < len(pairs)][
        :count
    ]
    impostor = [(people[at % len(people)][turn % 2], people[(at + 1 + turn) % len(people)][1 + turn % 2])
                for turn in range(3) for at in range(len(people))][:count]  # fmt: skip
    if len(genuine) < count or len(impostor) < count:
        raise ValueError(f"{sum(map(len, people))} faces make fewer than {count} pairs of either kind")
    return genuine, impostor


def write_bin(root: Path, cast: Cast, name: str) -> dict[str, int]:
    """Write ``verification/NAME.bin`` as Python 2 did: folds of genuine, then impostor pairs."""
    genuine, impostor = pairs_of(cast, FOLDS * PER_KIND)
    pictures, same = [], []
    for fold in range(FOLDS):
        for truth, pairs in ((True, genuine), (False, impostor)):
            for pair in pairs[fold * PER_KIND : (fold + 1) * PER_KIND]:
                pictures += [_aligned(face) for face in pair]
                same.append(truth)
    path = root / "verification" / f"{name}.bin"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps((pictures, same), protocol=2))
    return {"total": len(pictures)}


def _aligned(face: Face) -> bytes:
    transform = crop_transform(CROPS["arcface"], landmarks=face.points, scheme="ibug68")
    buffer = io.BytesIO()
    Image.fromarray(crop_image(face.image, transform, 112)).save(buffer, format="JPEG", quality=95)
    return buffer.getvalue()


write_agedb_30 = partial(write_bin, name="agedb_30")
write_calfw = partial(write_bin, name="calfw")
write_cfp_ff = partial(write_bin, name="cfp_ff")
write_cfp_fp = partial(write_bin, name="cfp_fp")
write_cplfw = partial(write_bin, name="cplfw")
write_lfw_bin = partial(write_bin, name="lfw")
write_lfw_m = partial(write_bin, name="lfw_m")
write_mlfw = partial(write_bin, name="mlfw")


def write_ijbb(root: Path, cast: Cast) -> dict[str, int]:
    """Write ``IJBB``, both protocols."""
    return _write_ijb(root, cast, "ijbb", "S")


def write_ijbc(root: Path, cast: Cast) -> dict[str, int]:
    """Write ``IJBC``, both protocols."""
    return _write_ijb(root, cast, "ijbc", "G")


def _write_ijb(root: Path, cast: Cast, name: str, letter: str) -> dict[str, int]:
    """Two templates a person, the second of one medium; galleries hold the first ones of half the people each."""
    meta = root / name.upper() / "meta"
    faces: list[Any] = []
    points: list[Any] = []
    template_person: dict[int, int] = {}
    galleries: list[list[str]] = [["TEMPLATE_ID,SUBJECT_ID,FILENAME"], ["TEMPLATE_ID,SUBJECT_ID,FILENAME"]]
    probes = ["TEMPLATE_ID,SUBJECT_ID,FILENAME"]
    people = list(cast.people().values())
    for person, pictures in enumerate(people):
        for at, face in enumerate(pictures):
            file = f"{len(faces) + 1}.jpg"
            second = at >= 2
            template = 2 * person + 1 + second
            media = 1000 + (10 * person if second else 10 * person + 1 + at)
            save(root / name.upper() / "loose_crop" / file, face.image)
            faces.append(f"{file} {template} {media}")
            five = " ".join(f"{value:.2f}" for value in five_points(face.points, "ibug68").ravel())
            points.append(f"{file} {five} {0.9 + 0.01 * (at % 9):.4f}")
            template_person[template] = person
            entry = f"{template},{person},{file}"
            if second:
                probes.append(entry)
            elif person < len(people) - 1:  # the last person is in no gallery: a search without a mate
                galleries[person % 2].append(entry)
    pairs = [
        f"{a} {b} {int(template_person[a] == template_person[b])}"
        for a, b in combinations(template_person, 2)
    ]
    write_lines(meta / f"{name}_face_tid_mid.txt", faces)
    write_lines(meta / f"{name}_name_5pts_score.txt", points)
    write_lines(meta / f"{name}_template_pair_label.txt", pairs)
    for number, gallery in enumerate(galleries, 1):
        write_lines(meta / f"{name}_1N_gallery_{letter}{number}.csv", gallery)
    write_lines(meta / f"{name}_1N_probe_mixed.csv", probes)
    return {"total": len(faces)}


def write_orl(root: Path, cast: Cast) -> dict[str, int]:
    """Write ``orl_faces``: grey pictures of 92 x 112."""
    count = 0
    for at, faces in enumerate(cast.people().values(), 1):
        for number, face in enumerate(faces, 1):
            grey = np.asarray(Image.fromarray(face.image).convert("L").resize((92, 112)))
            save(root / "orl_faces" / f"s{at}" / f"{number}.pgm", grey)
            count += 1
    return {"total": count}
