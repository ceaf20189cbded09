"""Data are their contents, and a row whose data changed is measured again with a line that says why."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from paco_eval.encoders import load_encoder
from paco_eval.evaluation.runner import evaluate_all
from paco_eval.rows.store import load_rows
from paco_fr.config import load_recipe
from paco_fr.data.crops import crop_pool
from paco_fr.utils.random import generator
from tasks.user_tasks import own_task


def write(folder: Path, *, noise: bool = False, only: range = range(60)) -> None:
    """Write BMP pictures of one size into two class folders: dark and bright ones, or noise."""
    for number in only:
        rng = generator("bmp", number)
        kind = ("dark", "bright")[number % 2]
        picture = np.full((24, 24, 3), 60 if kind == "dark" else 190) + rng.integers(-20, 20, (24, 24, 3))
        if noise:
            picture = rng.integers(0, 256, (24, 24, 3))
        (folder / kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture.astype(np.uint8)).save(folder / kind / f"{number}.bmp")
    time.sleep(0.08)


def measured(folder: Path | str, out: Path, **options) -> list[str]:
    said: list[str] = []
    task = own_task(f"classes={folder}")
    assert evaluate_all([load_encoder("pixels")], [task], out=out, say=said.append, **options) == []
    return said


def keys(out: Path) -> dict[str, float | None]:
    return {stored.row.key: stored.row.main.value for stored in load_rows(out).rows}


def test_replaced_pictures_are_measured_again_with_a_line_why(tmp_path):
    """Pictures overwritten by others of the same name and size were "already measured"."""
    folder, out = tmp_path / "faces", tmp_path / "out"
    write(folder)
    measured(folder, out)
    (first,) = keys(out).items()
    assert first[1] == 100
    assert measured(folder, out) == ["classes/faces  pixels: already measured"]
    write(folder, noise=True, only=range(12))
    said = measured(folder, out)
    assert said[0] == "classes/faces  pixels: measured again: pictures changed: 12 of 60"
    write(folder, noise=True)
    measured(folder, out)
    assert len(keys(out)) == 3
    fresh = tmp_path / "fresh"
    measured(folder, fresh)
    (alone,) = keys(fresh).items()
    assert alone in keys(out).items() and alone[1] < 100
    next((folder / "dark").glob("*.bmp")).unlink()
    assert measured(folder, out)[0].endswith("measured again: pictures gone: 1")


def test_the_same_pictures_by_any_path_are_the_same_data(tmp_path, monkeypatch):
    """A relative and an absolute path to a folder were two data sets, and so was its copy."""
    folder, out = tmp_path / "faces", tmp_path / "out"
    write(folder)
    measured(folder, out)
    shutil.copytree(folder, tmp_path / "elsewhere" / "faces")
    monkeypatch.chdir(tmp_path)
    for same in ("faces", "./faces", tmp_path / "elsewhere" / "faces"):
        assert measured(same, out) == ["classes/faces  pixels: already measured"]


def test_crops_for_pretraining_are_known_by_what_the_pictures_hold(tmp_path, monkeypatch):
    """Crops of replaced pictures were served from the cache; a path written otherwise had its own crops."""
    folder = tmp_path / "faces"
    write(folder, only=range(10))

    def pool(source: str):
        changes = {"source": source, "crops": {"whole": 1.0}}
        config = load_recipe("tiny")
        return crop_pool(
            config.model_copy(update={"data": config.data.model_copy(update=changes)}), workers=1
        )

    first = pool(str(folder))
    monkeypatch.chdir(tmp_path)
    assert pool("faces").fingerprint == pool(str(folder) + "/").fingerprint == first.fingerprint
    before = np.array(first.images[0])
    write(folder, noise=True, only=range(10))
    again = pool(str(folder))
    assert again.fingerprint != first.fingerprint and not np.array_equal(again.images[0], before)


@pytest.mark.parametrize("part", ["image", "mask"])
def test_masks_count_with_their_contents(tmp_path, part):
    """A mask painted anew at the same size was the mask of before."""
    root = tmp_path / "faces"
    root.mkdir()
    lines = ["image,mask"]
    for number in range(20):
        rng = generator("parsing", number)
        for name in ("image", "mask"):
            values = rng.integers(
                0, 2 if name == "mask" else 256, (24, 24) if name == "mask" else (24, 24, 3)
            )
            Image.fromarray(values.astype(np.uint8)).save(root / f"{number}-{name}.bmp")
        lines.append(f"{number}-image.bmp,{number}-mask.bmp")
    (root / "table.csv").write_text("\n".join(lines) + "\n")
    time.sleep(0.08)
    out, said = tmp_path / "out", []
    task = own_task(f"parsing={root / 'table.csv'},classes=background+face")
    evaluate_all([load_encoder("pixels")], [task], out=out, say=said.append)
    changed = root / f"3-{part}.bmp"
    changed.write_bytes(changed.read_bytes()[:-8] + (b"\x01\x00" * 4 if part == "mask" else b"\x07" * 8))
    said.clear()
    evaluate_all([load_encoder("pixels")], [task], out=out, say=said.append)
    assert said[0].endswith("measured again: pictures changed: 1 of 20")
