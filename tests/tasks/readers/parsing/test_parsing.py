"""LaPa and CelebAMask-HQ: masks beside pictures, part masks painted in a fixed order."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from paco_fr.faces.decode import encode_png, read_image
from paco_fr.utils.errors import MissingDataError, PacoError
from tasks.readers.parsing.celebamask import CLASSES, SIDE, read_celebamask
from tasks.readers.parsing.lapa import read_lapa


@pytest.fixture
def lapa(tmp_path: Path) -> Path:
    for part in ("train", "val", "test"):
        for name in ("images", "labels", "landmarks"):
            (tmp_path / "LaPa" / part / name).mkdir(parents=True)
        folder = tmp_path / "LaPa" / part
        (folder / "images/a.jpg").write_bytes(encode_png(np.zeros((8, 8, 3), np.uint8)))
        (folder / "labels/a.png").write_bytes(encode_png(np.full((8, 8), 3, np.uint8)))
        (folder / "landmarks/a.txt").write_text("106\n" + "".join(f"{n} {n + 1}\n" for n in range(106)))
    return tmp_path


def test_lapa(lapa: Path) -> None:
    found = read_lapa(lapa)
    assert found["split"][:] == ["train", "validation", "test"]
    assert found[0]["box"] == [0, 1, 105, 106]
    assert len(found[0]["mask_classes"]) == 11
    assert read_image(found[0]["mask"])[0, 0, 0] == 3
    path = lapa / "LaPa/val/landmarks/a.txt"
    path.write_text(path.read_text().replace("7 8\n", "7 8 9\n", 1))
    with pytest.raises(PacoError, match=r"a\.txt, line 9: expected 2 numbers"):
        read_lapa(lapa)
    path.write_text("68\n")
    with pytest.raises(PacoError, match="line 1: expected the count 106"):
        read_lapa(lapa)
    path.unlink()
    with pytest.raises(MissingDataError, match=r"a\.txt is missing"):
        read_lapa(lapa)


@pytest.fixture
def celebamask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PACO_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "CelebAMask-HQ"
    for folder in ("CelebA-HQ-img", "CelebAMask-HQ-mask-anno/0", "CelebAMask-HQ-mask-anno/1"):
        (root / folder).mkdir(parents=True)
    for number in (5, 2001):
        (root / f"CelebA-HQ-img/{number}.jpg").write_bytes(encode_png(np.zeros((4, 4, 3), np.uint8)))
        for name, rows in (("skin", slice(0, 300)), ("hair", slice(200, 400)), ("neck", slice(100, 512))):
            mask = np.zeros((SIDE, SIDE), np.uint8)
            mask[rows] = 255
            path = root / f"CelebAMask-HQ-mask-anno/{number // 2000}/{number:05d}_{name}.png"
            path.write_bytes(encode_png(mask))
    (root / "CelebA-HQ-to-CelebA-mapping.txt").write_text(
        "idx   orig_idx   orig_file\n5  119613 119614.jpg\n2001 7 000008.jpg\n"
    )
    (root / "list_eval_partition.txt").write_text("119614.jpg 0\n000008.jpg 2\n")
    return tmp_path


def test_celebamask_is_painted_in_order(celebamask: Path) -> None:
    found = read_celebamask(celebamask)
    assert found["image_id"][:] == ["5", "2001"]
    assert found["split"][:] == ["train", "test"]
    mask = read_image(found[0]["mask"])[:, 0, 0]
    names = [CLASSES[value] for value in mask]
    assert (names[0], names[150], names[250], names[450]) == ("skin", "skin", "hair", "neck")


def test_celebamask_paints_what_the_masks_hold(celebamask: Path) -> None:
    """A mask replaced by another of its size and time was painted as before; a copied folder was painted again."""
    first = read_celebamask(celebamask)[0]["mask"]
    copy = celebamask.parent / "copy"
    shutil.copytree(celebamask / "CelebAMask-HQ", copy / "CelebAMask-HQ")
    assert read_celebamask(copy)[0]["mask"] == first
    path = celebamask / "CelebAMask-HQ/CelebAMask-HQ-mask-anno/0/00005_hair.png"
    status, mask = path.stat(), np.zeros((SIDE, SIDE), np.uint8)
    mask[100:300] = 255  # as many bytes
    path.write_bytes(encode_png(mask)[: status.st_size].ljust(status.st_size, b"\0"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    again = read_celebamask(celebamask)[0]["mask"]
    assert again != first and CLASSES[read_image(again)[150, 0, 0]] == "hair"


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("CelebA-HQ-to-CelebA-mapping.txt", "a b\n", "line 1: the header"),
        ("CelebA-HQ-to-CelebA-mapping.txt", "idx orig_idx orig_file\n5 1\n", "line 2: '5 1' is not"),
        ("CelebA-HQ-to-CelebA-mapping.txt", "idx orig_idx orig_file\n5 1 119614.jpg\n5 1 119614.jpg\n",
         "line 3: 5 stands already in line 2"),
        ("CelebA-HQ-to-CelebA-mapping.txt", "idx orig_idx orig_file\n5 1 000009.jpg\n", "line 2: '000009.jpg' has no part"),
        ("list_eval_partition.txt", "119614.jpg 4\n", "line 1: .* is not a name with 0, 1 or 2"),
    ],
)  # fmt: skip
def test_celebamask_errors(file: str, text: str, message: str, celebamask: Path) -> None:
    (celebamask / "CelebAMask-HQ" / file).write_text(text)
    with pytest.raises(PacoError, match=message):
        read_celebamask(celebamask)
