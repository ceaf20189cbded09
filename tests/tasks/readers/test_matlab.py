"""Matlab files: read as SciPy and h5py read them, and bad ones told in a line."""

from __future__ import annotations

import io
import struct
import time
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import loadmat, savemat

from paco_fr.faces.decode import read_image
from paco_fr.utils.errors import FormatError
from paco_fr.utils.random import generator
from tasks.readers import matlab73
from tasks.readers.apart import read_apart
from tasks.readers.matlab import read_matlab

WANTED = {
    "pose": np.array([[0.1, -0.2, 1e-9]]),
    "points": np.arange(12.0).reshape(3, 4),
    "whole": np.array([[1, 2], [3, 255]], np.uint8),
    "small": np.array([[5]], np.int16),
    "single": np.array([[0.1, 3.0]], np.float32),
    "names": np.array([["3/image1.jpg"], ["é.jpg"], [""]], dtype=object),
}


def level5(compressed: bool = False, **more: object) -> bytes:
    file = io.BytesIO()
    savemat(
        file, {**WANTED, "other": {"a": 1}, "long": np.zeros((200, 300)), **more}, do_compression=compressed
    )
    return file.getvalue()


def read(content: bytes, folder: Path, names: tuple[str, ...] = tuple(WANTED)) -> dict:
    (folder / "a.mat").write_bytes(content)
    return read_matlab(folder / "a.mat", names, "a Matlab 5 file", "Restore it.")


@pytest.mark.parametrize("compressed", [False, True])
def test_level_5_is_read_as_scipy_reads_it(tmp_path: Path, compressed: bool) -> None:
    found = read(level5(compressed), tmp_path)
    expected = loadmat(tmp_path / "a.mat")
    assert list(found) == list(WANTED)
    for name in list(WANTED)[:-1]:
        np.testing.assert_array_equal(found[name], expected[name])
        assert found[name].dtype == expected[name].dtype
    assert found["names"] == [str(cell[0]) if cell.size else "" for cell in expected["names"].ravel()]
    assert "other" not in found
    assert read(level5(compressed), tmp_path, ("long",))["long"].shape == (200, 300)


def test_genuine_files_are_read_as_scipy_reads_them(data_root: Path) -> None:
    files = sorted((data_root / "annotation_formats/aflw2000_3d").glob("*.mat"))
    for path in files:
        expected = loadmat(path)
        names = [name for name in expected if not name.startswith("__")]
        found = read_matlab(path, ["Pose_Para", "pt3d_68", "pt2d"], "a Matlab 5 file", "Restore it.")
        assert set(found) == set(names) & {"Pose_Para", "pt3d_68", "pt2d"}
        for name, value in found.items():
            np.testing.assert_array_equal(value, expected[name])
    assert files


def packed(content: bytes) -> bytes:
    data = zlib.compress(content)
    return bytes(124) + b"\x00\x01IM" + struct.pack("<II", 15, len(data)) + data


def test_a_packed_bomb_is_not_unpacked(tmp_path: Path) -> None:
    """A file of 3 MB that unpacks to gigabytes took over a minute."""
    head = (
        struct.pack("<IIIIII", 6, 8, 6, 0, 5, 8)
        + struct.pack("<ii", 1, 250_000_000)
        + b"\x01\x00\x04\x00pose"
    )
    for length in (2_000_000_048, 150_000_000):
        bomb = packed(struct.pack("<II", 14, length) + head + bytes(10_000_000))
        begun = time.perf_counter()
        with pytest.raises(FormatError, match=r"a\.mat: is not a Matlab 5 file"):
            read(bomb, tmp_path)
        assert time.perf_counter() - begun < 3


@pytest.mark.parametrize("compressed", [False, True])
def test_damaged_files_end_in_a_line(tmp_path: Path, compressed: bool) -> None:
    """SciPy's reader died of about one in four hundred of such files (signals 7 and 11)."""
    content, random = level5(compressed), generator("test.matlab", compressed)
    read_whole = 0
    for _ in range(600):
        damaged = bytearray(content)
        for place in random.integers(0, len(content), 1 + int(random.integers(4))):
            damaged[place] = int(random.integers(256))
        if random.random() < 0.2:
            del damaged[int(random.integers(len(content))) :]
        try:
            read(bytes(damaged), tmp_path)
            read_whole += 1
        except FormatError as error:
            assert len(str(error)) < 600
    assert 0 < read_whole < 600


def cofw(path: Path, picture: object = None, **made: object) -> Path:
    """Write a file in the layout of COFW with one picture, made as ``create_dataset`` is told."""
    with h5py.File(path, "w") as file:
        if picture is None:
            picture = np.arange(3 * 5 * 4, dtype=np.uint8).reshape(3, 5, 4)
        shape, dtype = made.pop("shape", np.shape(picture)), made.pop("dtype", np.uint8)
        stored = file.create_dataset("#refs#/a", shape, dtype, **made)
        if "external" not in made and np.shape(picture) == shape:
            stored[...] = picture
        cells = file.create_dataset("IsT", (1, 1), h5py.ref_dtype)
        cells[0, 0] = stored.ref
        file["phisT"] = np.arange(87.0)[:, None]
        file["bboxesT"] = np.array([[1.0], [2], [3], [4]])
    return path


def pictures(path: Path) -> tuple[list[bytes], list[np.ndarray]]:
    return matlab73.read_pictures(path, "IsT", ("phisT", "bboxesT"), "Download it again.")


def test_pictures_of_version_7_3(tmp_path: Path) -> None:
    (picture,), (phis, boxes) = pictures(cofw(tmp_path / "a.mat", compression="gzip", shuffle=True))
    expected = np.arange(60, dtype=np.uint8).reshape(3, 5, 4).T
    np.testing.assert_array_equal(read_image(picture), expected)
    assert phis[:, 0].tolist() == list(range(87))
    assert boxes.ravel().tolist() == [1, 2, 3, 4]


def test_nothing_outside_of_the_file_is_read(tmp_path: Path) -> None:
    """External storage, links and virtual matrices made a picture of the bytes of any file of the machine."""
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(range(48)))
    outside = cofw(tmp_path / "external.mat", shape=(3, 4, 4), external=[(str(secret), 0, 48)])
    with pytest.raises(FormatError, match=r"external\.mat: .*outside of the file"):
        pictures(outside)
    other = cofw(tmp_path / "other.mat")
    for link in (h5py.ExternalLink("other.mat", "phisT"), h5py.SoftLink("/bboxesT")):
        path = cofw(tmp_path / "linked.mat")
        with h5py.File(path, "a") as file:
            del file["phisT"]
            file["phisT"] = link
        with pytest.raises(FormatError, match="phisT is a link to elsewhere"):
            pictures(path)
    path = cofw(tmp_path / "virtual.mat")
    with h5py.File(path, "a") as file:
        del file["phisT"]
        layout = h5py.VirtualLayout((87, 1), "f8")
        layout[:] = h5py.VirtualSource(str(other), "phisT", (87, 1))
        file.create_virtual_dataset("phisT", layout)
    with pytest.raises(FormatError, match="outside of the file"):
        pictures(path)


def test_pictures_of_absurd_size_are_refused(tmp_path: Path) -> None:
    """30,000 x 30,000 pixels in 4 kB took over 150 seconds."""
    begun = time.perf_counter()
    large = cofw(tmp_path / "a.mat", shape=(3, 30_000, 30_000), chunks=(3, 100, 100), compression="gzip")
    assert large.stat().st_size < 10_000
    with pytest.raises(FormatError, match="a picture of shape"):
        pictures(large)
    often = cofw(tmp_path / "b.mat", shape=(3, 3_000, 3_000), chunks=(3, 100, 100))
    with h5py.File(often, "a") as file:
        reference = file["IsT"][0, 0]
        del file["IsT"]
        file.create_dataset("IsT", (1, 50), h5py.ref_dtype)[...] = reference
    with pytest.raises(FormatError, match="far more bytes than it has"):
        pictures(often)
    assert time.perf_counter() - begun < 60


@pytest.mark.parametrize(
    "picture", [np.zeros((3, 4, 4)), np.zeros((4, 4, 4), np.uint8), np.zeros(4, np.uint8)]
)
def test_pictures_of_another_kind_are_refused(tmp_path: Path, picture: np.ndarray) -> None:
    with pytest.raises(FormatError, match=r"a\.mat: .*picture"):
        pictures(cofw(tmp_path / "a.mat", picture, dtype=picture.dtype))


def crash(path: str) -> None:
    import ctypes

    ctypes.string_at(0)


def hang(path: str) -> None:
    time.sleep(60)


def swell(path: str) -> dict[str, np.ndarray]:
    return {"a": np.ones(10**9)}


def leave(path: str) -> None:
    raise SystemExit(7)


@pytest.mark.parametrize(
    ("reader", "told"),
    [
        ("crash", "signal 11"),
        ("hang", "took over 3 seconds"),
        ("swell", "MemoryError"),
        ("leave", "could not be read"),
    ],
)
def test_a_crash_costs_one_file(tmp_path: Path, reader: str, told: str) -> None:
    """A library that dies of a file, hangs or swells takes its own process with it, and no other."""
    with pytest.raises(FormatError, match=rf"a\.mat: .*{told}.* Restore it\."):
        read_apart(
            f"{__name__}:{reader}",
            tmp_path / "a.mat",
            seconds=3 if reader == "hang" else 60,
            memory=4 * 10**9,
            remedy="Restore it.",
        )
