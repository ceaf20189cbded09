"""Miniatures of 300W, WFLW, COFW and AFLW-19."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import h5py
import numpy as np
from scipy.io import savemat

from tasks.mimics.faces import SIDE, Cast, Face, save, write_lines
from tasks.mimics.points import derived, derived_visible
from tasks.readers.landmarks.cofw import PARTS as COFW_PARTS
from tasks.readers.landmarks.wflw import FLAGS, LIST


def write_300w(root: Path, cast: Cast) -> dict[str, int]:
    """Write ``300W`` with its six folders; every third test face is challenging."""
    counts: Counter[str] = Counter()
    for split, face in cast.two_parts():
        if split == "train":
            folder = ("afw", "helen/trainset", "lfpw/trainset")[face.number % 3]
        else:
            folder = ("helen/testset", "lfpw/testset", "ibug")[face.number % 3]
            counts["challenge" if folder == "ibug" else "common"] += 1
        counts[split] += 1
        stem = root / "300W" / folder / f"image_{face.number:04d}"
        save(stem.with_suffix(".png" if folder.startswith("lfpw") else ".jpg"), face.image)
        body = [f"{x:.6f} {y:.6f}" for x, y in face.points + 1.0]
        write_lines(stem.with_suffix(".pts"), ["version: 1", "n_points:  68", "{", *body, "}"])
    return dict(counts)


def write_wflw(root: Path, cast: Cast) -> dict[str, int]:
    """Write ``WFLW``: two lists and the pictures."""
    counts: Counter[str] = Counter()
    lines: dict[str, list[str]] = {"train": [], "test": []}
    for split, face in cast.two_parts():
        name = f"{face.number % 3}--Scene/{split}_{face.number:04d}.jpg"
        save(root / "WFLW/WFLW_images" / name, face.image)
        flags = _wflw_flags(face)
        counts[split] += 1
        if split == "test":
            counts.update(name for name, flag in zip(FLAGS, flags, strict=True) if flag)
        points = " ".join(f"{value:.6f}" for value in derived(face.points, "wflw98").ravel())
        box = " ".join(str(round(value)) for value in face.box)
        lines[split].append(f"{points} {box} {' '.join(map(str, flags))} {name}")
    for split, body in lines.items():
        write_lines(root / "WFLW" / LIST.format(split), body)
    return dict(counts)


def _wflw_flags(face: Face) -> list[int]:
    yaw, pitch, _ = face.angles
    return [
        int(abs(yaw) > 25 or abs(pitch) > 15),
        int(face.expression in ("surprise", "happiness", "fear")),
        int(face.light in ("side", "dim")),
        int(face.drawn("make-up", 0.25)),
        int(face.occluder != "none"),
        int(face.drawn("blur", 0.2)),
    ]


def write_cofw(root: Path, cast: Cast) -> dict[str, int]:
    """Write the two Matlab 7.3 files; every fifth picture is grey, as some are."""
    counts = {}
    for split, (name, ending) in COFW_PARTS.items():
        faces = cast.part(split)
        path = root / "COFW" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        phis = np.stack(
            [np.concatenate([derived(face.points, "cofw29").T.ravel(), ~derived_visible(face.visible, "cofw29")])
             for face in faces], axis=1
        )  # fmt: skip
        boxes = np.stack(
            [[x0, y0, x1 - x0, y1 - y0] for x0, y0, x1, y1 in (face.box for face in faces)], axis=1
        )
        with h5py.File(path, "w") as file:
            cells = file.create_dataset(f"Is{ending}", (1, len(faces)), dtype=h5py.ref_dtype)
            for at, face in enumerate(faces):
                picture = face.image[..., 1] if at % 5 == 4 else face.image
                stored = file.create_dataset(f"#refs#/{at}", data=np.ascontiguousarray(picture.T))
                cells[0, at] = stored.ref
            file.create_dataset(f"phis{ending}", data=phis)
            file.create_dataset(f"bboxes{ending}", data=boxes)
        counts[split] = len(faces)
    return counts


def write_aflw19(root: Path, cast: Cast) -> dict[str, int]:
    """Write ``AFLW19``: the Matlab file and the pictures; five sixths of the faces are train."""
    faces = [face for _, face in cast.two_parts()]
    order = np.random.default_rng(0).permutation(len(faces))
    names = [f"{(0, 2, 3)[at % 3]}/image{at + 1:05d}.jpg" for at in range(len(faces))]
    for name, face in zip(names, faces, strict=True):
        save(root / "AFLW19/data/flickr" / name, face.image, (SIDE, SIDE))
    visible = np.stack([derived_visible(face.visible, "aflw19") for face in faces])
    cells = np.empty((len(faces), 1), dtype=object)
    cells[:, 0] = names
    savemat(
        root / "AFLW19/AFLWinfo_release.mat",
        {
            "nameList": cells,
            "bbox": np.stack([face.box[[0, 2, 1, 3]] for face in faces]),
            "data": np.stack([derived(face.points, "aflw19").T.ravel() for face in faces]),
            "mask_new": visible.astype(np.float64),
            "ra": (order + 1.0)[None, :],
        },
    )
    cut = len(faces) * 5 // 6
    counts = {"train": cut, "test": len(faces) - cut}
    frontal = int(visible[order[cut:]].all(axis=1).sum())
    return counts | ({"frontal": frontal} if frontal else {})
