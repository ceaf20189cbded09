"""Data are their contents: files are told apart by what they hold, read once, and read again when they change."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import time
from pathlib import Path

import pytest
from datasets import Dataset
from PIL import Image

from paco_fr.faces import contents, records


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PACO_CACHE", str(tmp_path / "cache"))


def sha(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()


def settled(path: Path, text: bytes) -> Path:
    """Write a file and let the clock go on, as between two commands."""
    path.write_bytes(text)
    time.sleep(contents.TICK / 1e9 * 1.2)
    return path


def test_files_are_read_once_and_again_when_they_change(tmp_path, monkeypatch):
    """A picture replaced by one of its size, time stamp set back, was taken for the old one."""
    path = settled(tmp_path / os.fsdecode(b"a\xff.bmp"), b"first")
    assert contents.contents_of([path, tmp_path / "none"]) == [sha(b"first"), None]
    read: list[str] = []
    truly = contents._digest
    monkeypatch.setattr(contents, "_digest", lambda place: read.append(place) or truly(place))
    assert contents.contents_of([path])[0] == sha(b"first") and read == []
    before = path.stat()
    settled(path, b"other")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size and path.stat().st_mtime_ns == before.st_mtime_ns
    assert contents.contents_of([path])[0] == sha(b"other") and len(read) == 1


def test_a_file_written_just_now_is_not_remembered(tmp_path):
    path = tmp_path / "a"
    for text in (b"one", b"two", b"six"):  # of one size, perhaps within one tick of the clock
        path.write_bytes(text)
        assert contents.contents_of([path])[0] == sha(text)


@pytest.mark.parametrize("harm", ["bit", "cut", "noise"])
def test_a_damaged_memory_is_not_believed(tmp_path, harm):
    path = settled(tmp_path / "a", b"true")
    assert contents.contents_of([path])[0] == sha(b"true")
    memory = contents._file()
    if harm == "bit":
        with sqlite3.connect(memory) as connection:
            connection.execute("UPDATE files SET seen = ?", (sha(b"false") + bytes(8),))
        connection.close()
    else:
        memory.write_bytes(memory.read_bytes()[:100] if harm == "cut" else b"noise" * 1000)
    assert contents.contents_of([path])[0] == sha(b"true")
    assert contents.contents_of([path])[0] == sha(b"true")


def test_headers_are_read_once_and_again_when_they_change(tmp_path, monkeypatch):
    """Every start opened every picture again for its size and for which way up it is."""
    paths = [tmp_path / f"{number}.png" for number in range(contents.MANY)]
    for number, path in enumerate(paths):
        Image.new("L", (number + 1, 7)).save(path)
    paths[-1].write_bytes(b"no picture")
    time.sleep(contents.TICK / 1e9 * 1.2)
    expected = [*((7, number + 1) for number in range(len(paths) - 1)), None]
    assert contents.contents_of(paths) == [sha(path.read_bytes()) for path in paths]
    assert contents.sizes_of(paths) == expected
    read: list[str] = []
    truly = contents._read
    monkeypatch.setattr(contents, "_read", lambda place, *more: read.append(place) or truly(place, *more))
    assert contents.sizes_of(paths) == expected and read == [str(paths[-1])]
    assert contents.sizes_of(paths[:3]) == expected[:3] and len(read) == 1
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("L", (5, 9)).save(paths[0], exif=turned)
    time.sleep(contents.TICK / 1e9 * 1.2)
    assert contents.sizes_of(paths)[:2] == [(5, 9), expected[1]] and {*read[1:]} == {
        str(paths[0]),
        str(paths[-1]),
    }


def test_within_one_look_a_file_is_what_it_was_at_first(tmp_path):
    path = settled(tmp_path / "a", b"first")
    with contents.one_look():
        assert contents.contents_of([path]) == [sha(b"first")]
        settled(path, b"second")
        with contents.one_look():
            assert contents.contents_of([path]) == [sha(b"first")]
    assert contents.contents_of([path]) == [sha(b"second")]


def of(folder: Path) -> str:
    paths = sorted(folder.rglob("*.png"))
    names = [path.relative_to(folder).as_posix() for path in paths]
    columns = {"image": [str(path) for path in paths], "mask": [str(path) for path in paths],
               "image_id": names, "group": names}  # fmt: skip
    return records.fingerprint(Dataset.from_dict(columns, features=records.features(columns)))


def test_records_are_named_by_what_their_files_hold(tmp_path, monkeypatch):
    """Pictures replaced by others of the same name and size were the same data; a path written otherwise was not."""
    folder = tmp_path / "faces"
    folder.mkdir()
    for number in range(3):
        settled(folder / f"{number}.png", bytes([number]) * 50)
    first = of(folder)
    shutil.copytree(folder, tmp_path / "copied")
    monkeypatch.chdir(tmp_path)
    assert of(Path("faces")) == of(tmp_path / "copied") == of(tmp_path / "copied" / ".." / "faces") == first
    settled(folder / "1.png", b"x" * 50)
    assert of(folder) != first == of(tmp_path / "copied")


def test_what_changed_is_found_by_record(tmp_path):
    def told(*texts: bytes) -> dict[str, str]:
        columns = {"image": [{"bytes": text, "path": None} for text in texts],
                   "image_id": list("abc"), "group": list("abc")}  # fmt: skip
        return records.record_digests(Dataset.from_dict(columns, features=records.features(columns)))

    before, after = told(b"1", b"2", b"3"), told(b"1", b"x", b"3")
    assert {name for name in before if before[name] != after[name]} == {"b"}
