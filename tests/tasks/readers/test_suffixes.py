"""The case of a suffix does not matter, in no layout."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from paco_fr.faces.decode import read_bytes, read_image
from tasks.mimics import mimic
from tasks.registry import all_tasks
from tests.tasks.readers.damage import read

PICTURES = (".jpg", ".png", ".pgm")
LAYOUTS = (
    "attributes/celeba", "landmarks/300w", "parsing/celebamask", "recognition/multipie1", "recognition/orl",
    "recognition/yale",
)  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
def test_pictures_in_capitals_are_the_same_pictures(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copies made on other systems say .JPG and .PGM: such pictures vanished, or every one of them failed."""
    monkeypatch.setenv("PACO_CACHE", str(tmp_path / "cache"))
    mimic(all_tasks()[name], tmp_path / "a", 12)
    before = read(name, tmp_path / "a")
    shown = [read_image(cell) for cell in before["image"][:2]]
    masks = [read_bytes(cell) for cell in before["mask"][:2]] if "mask" in before.column_names else []
    for path in sorted((tmp_path / "a").rglob("*")):
        if path.suffix in PICTURES:
            path.rename(path.with_suffix(path.suffix.upper()))
    shutil.rmtree(tmp_path / "cache")
    after = read(name, tmp_path / "a")
    assert after["image_id"][:] == before["image_id"][:]
    assert all(
        np.array_equal(one, read_image(cell)) for one, cell in zip(shown, after["image"], strict=False)
    )
    assert masks == [read_bytes(cell) for cell in after["mask"][:2]] if masks else True
