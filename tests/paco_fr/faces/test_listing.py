"""One rule for what is a picture file, whoever reads a folder."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import pytest

from paco_fr.config import PretrainConfig
from paco_fr.data.crops import crop_pool
from paco_fr.data.pack import pack
from paco_fr.data.sources import load_source
from paco_fr.faces.decode import ImageError, encode_png, image_size, read_bytes, read_image
from paco_fr.faces.listing import as_path, as_text, files_in, list_files
from paco_fr.utils.errors import PacoError, PacoWarning

PNG = encode_png(np.zeros((4, 4, 3), np.uint8))


def put(*paths: Path | bytes) -> None:
    for path in paths:
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120 - names of bytes
        with open(path, "wb") as file:  # noqa: PTH123
            file.write(PNG)


def test_rubbish_is_no_picture_and_every_loss_is_said(tmp_path: Path) -> None:
    """Hidden and system files counted as pictures, and pictures with other suffixes vanished without a word."""
    put(*(tmp_path / name for name in ("a/1.jfif", "a/2.JPE", "b/3.Png", "b/4.bmp")))
    put(*(tmp_path / name for name in (
        "a/._1.jpg", ".ipynb_checkpoints/1.png", "__MACOSX/a/1.png", "@eaDir/1.png", "lost+found/1.png",
        "b/5.heic", "b/notes.txt",
    )))  # fmt: skip
    os.mkfifo(tmp_path / "b/pipe.jpg")
    (tmp_path / "b/zero.jpg").symlink_to("/dev/zero")
    (tmp_path / "b/circle").symlink_to(tmp_path / "b")
    (tmp_path / "b/gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    with pytest.warns(PacoWarning, match="passed over") as said:
        found = load_source(str(tmp_path))
    assert found["image_id"][:] == ["a/1.jfif", "a/2.JPE", "b/3.Png", "b/4.bmp"]
    [text] = [str(warning.message) for warning in said]
    for part in ("2 pipes, sockets or devices", "1 .heic", "1 links that lead nowhere", "'.txt'", "circle"):
        assert part in text
    assert "\n" not in text


def test_the_folders_that_systems_leave_are_counted(tmp_path: Path) -> None:
    put(tmp_path / "1.png", tmp_path / "._1.png", tmp_path / ".cache/2.png")
    assert list_files(tmp_path).passed == {"hidden or left behind by a system": 2}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert files_in(tmp_path / ".cache") == [tmp_path / ".cache/2.png"]  # named outright


def test_links_lead_anywhere_only_where_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Links were followed by some readers and refused by others."""
    put(tmp_path / "out/1.png", tmp_path / "in/2.png")
    (tmp_path / "in/people").symlink_to(tmp_path / "out")
    with pytest.raises(PacoError, match=r"people links out of .*set PACO_LINKS=follow"):
        load_source(str(tmp_path / "in"))
    monkeypatch.setenv("PACO_LINKS", "follow")
    assert load_source(str(tmp_path / "in"))["image_id"][:] == ["2.png", "people/1.png"]


def test_pipes_and_devices_are_never_opened(tmp_path: Path) -> None:
    """A pipe that was named as a picture was waited for without end."""
    os.mkfifo(tmp_path / "x.jpg")
    for read in (read_image, read_bytes, image_size):
        with pytest.raises(ImageError, match="is a pipe or device, no picture file"):
            read(tmp_path / "x.jpg")
        with pytest.raises(ImageError, match="is a pipe or device, no picture file"):
            read("/dev/zero")


@pytest.fixture
def latin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("PACO_CACHE", str(tmp_path / "cache"))
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    try:
        put(folder + b"/\xfc1.png", folder + b"/2.png")
    except OSError:
        pytest.skip("this file system keeps to UTF-8")
    return os.fsdecode(folder)


def test_names_need_not_be_utf8(latin: str, tmp_path: Path) -> None:
    """A name in Latin-1 ended pretraining, packing, aligning and embedding with a traceback."""
    records = load_source(latin)
    assert records["image_id"][:] == ["2.png", "\\xfc1.png"]
    assert [read_image(cell).shape for cell in records["image"]] == [(4, 4, 3)] * 2
    config = PretrainConfig.model_validate({"data": {"source": latin, "crops": {"whole": 1.0}}})
    assert pack(latin, tmp_path / "packed", config).count == 2
    assert len(crop_pool(config, workers=1).images) == 2


def test_a_name_that_looks_escaped_is_meant_letter_by_letter(tmp_path: Path) -> None:
    put(tmp_path / "a\\xe9.png")
    assert as_path(str(tmp_path / "a\\xe9.png")) == str(tmp_path / "a\\xe9.png")
    strange = os.fsdecode(b"/nowhere/\xe9\\xzz")
    assert as_path(as_text(strange)) == strange


def test_brackets_in_names_are_no_patterns(tmp_path: Path) -> None:
    """Paths with brackets were taken for patterns, even those that the program itself had printed."""
    folder = tmp_path / "out [v2]*"
    put(folder / "a [1].png")
    records = load_source(str(folder))
    assert records["image_id"][:] == ["a [1].png"]
    (folder / "faces").mkdir()
    for name in ("faces/part [0].parquet", "one [1].parquet"):
        records.to_parquet(folder / name)
    assert len(load_source(str(folder / "faces"))) == 1
    assert len(load_source(str(folder / "one [1].parquet"))) == 1
    assert len(load_source(str(folder / "faces/*.parquet"))) == 1


def test_a_table_among_photographs_does_not_take_their_place(tmp_path: Path) -> None:
    """Features written beside photographs turned their folder into a table."""
    put(tmp_path / "1.png", tmp_path / "2.png")
    load_source(str(tmp_path)).select([0]).to_parquet(tmp_path / "features.parquet")
    with pytest.warns(PacoWarning, match=r"1 files with '.parquet'"):
        assert len(load_source(str(tmp_path))) == 2
