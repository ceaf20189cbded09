"""Verification sets as pickles: read as they were written, and never run."""

from __future__ import annotations

import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from paco_fr.contracts import CROPS
from paco_fr.faces.decode import ImageError, encode_png, read_image
from paco_fr.utils.errors import MissingDataError, PacoError
from tasks.readers.recognition.bins import ADMITTED, COUNTS, read_bin, read_pairs, read_pictures
from tasks.units import units_of

PNG = encode_png(np.full((112, 112, 3), 7, np.uint8))


def short(text: bytes) -> bytes:
    """Return the opcode with which Python 2 wrote a str of up to 255 bytes."""
    return b"U" + bytes([len(text)]) + text


def python2(pictures: list[bytes], same: list[bool]) -> bytes:
    """Write the pickle that Python 2's protocol 2 makes of (list of str, list of bool)."""
    strings = b"".join(b"T" + struct.pack("<i", len(cell)) + cell for cell in pictures)
    truths = b"".join(b"\x88" if value else b"\x89" for value in same)
    return b"\x80\x02](" + strings + b"e](" + truths + b"e\x86."


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_python_2_bytes(tmp_path: Path) -> None:
    path = write(
        tmp_path / "verification/mine.bin", python2([PNG, b"no picture \xff\x00", PNG, PNG], [True, False])
    )
    pictures, same = read_bin(path)
    assert pictures == [PNG, b"no picture \xff\x00", PNG, PNG]
    assert same == [True, False]
    records = read_pictures(tmp_path, "mine")
    assert records["group"][:] == ["person 0000000"] * 4  # picture 0 stands in both pairs
    units = units_of(records, CROPS["arcface"])
    np.testing.assert_array_equal(units.transforms, np.broadcast_to([[1.0, 0, 0], [0, 1, 0]], (4, 2, 3)))
    with pytest.raises(ImageError):  # a picture that does not decode stays a record and fails when read
        read_image(records[1]["image"])
    pairs = read_pairs(tmp_path, "mine")
    assert (pairs.first.tolist(), pairs.second.tolist()) == (["0000000", "0000002"], ["0000001", "0000003"])


def test_points_are_those_of_the_picture_s_own_size(tmp_path: Path) -> None:
    """Of pictures of 224 x 224 every encoder saw the upper left quarter, without a word."""
    large = np.zeros((224, 224, 3), np.uint8)
    large[:112, :112] = 255
    write(tmp_path / "verification/mine.bin", python2([encode_png(large)] * 2, [True]))
    units = units_of(read_pictures(tmp_path, "mine"), CROPS["arcface"])
    assert (units.cut(large, 0) == 255).mean() == pytest.approx(0.25, abs=0.01)
    write(tmp_path / "verification/mine.bin", python2([encode_png(large[:112])] * 2, [True]))
    with pytest.raises(PacoError, match="picture 0 is 224 x 112 pixels, expected a square"):
        read_pictures(tmp_path, "mine")


def test_equal_pictures_and_genuine_pairs_link_people(tmp_path: Path) -> None:
    """Every pair was a group of its own, so that intervals were 0.7 to 0.8 of what they should be."""
    faces = [encode_png(np.full((112, 112, 3), grey, np.uint8)) for grey in range(8)]
    a, b, c, d, e, f, g, h = faces
    pairs = [(a, b, True), (a, c, False), (c, d, True), (e, f, False), (g, h, False), (b, b, True)]
    write(
        tmp_path / "verification/mine.bin", python2([x for p in pairs for x in p[:2]], [p[2] for p in pairs])
    )
    groups = read_pictures(tmp_path, "mine")["group"][:]
    person = {
        face: {groups[i] for i, x in enumerate(x for p in pairs for x in p[:2]) if x == face}
        for face in faces
    }
    assert all(len(names) == 1 for names in person.values())
    assert person[a] == person[b]
    assert person[c] == person[d]
    assert len(set().union(*person.values())) == 6


def as_numpy_1(data: bytes) -> bytes:
    """Return a pickle with the module names of numpy 1, whose ``core`` was not yet ``_core``."""
    for name in (b"multiarray", b"numeric"):
        new, old = b"numpy._core." + name, b"numpy.core." + name
        for length in (b"\x8c%c", b"X%c\0\0\0"):  # counted texts of protocols 4 and 5, and below
            data = data.replace(length % len(new) + new, length % len(old) + old)
        data = data.replace(b"c" + new, b"c" + old)
    return data


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("numpy_1", [False, True])
def test_what_python_3_and_numpy_write(tmp_path: Path, protocol: int, numpy_1: bool) -> None:
    """Sets made by the recipe that people pass on, ``cv2.imencode`` and the highest protocol, were refused."""
    flat = np.array(bytearray(PNG), np.uint8)
    truths = ([True, False], [1, 0], [1.0, 0.0], (True, False), [np.bool_(True), np.bool_(False)],
              [np.int64(1), np.float64(0)], np.array([True, False]), np.array([1, 0]), np.array([1.0, 0.0]))  # fmt: skip
    for cell in (PNG, bytearray(PNG), flat, flat[:, None], np.frombuffer(PNG, np.uint8)):
        for same in truths:
            data = pickle.dumps(([cell] * 4, same), protocol=protocol)
            data = as_numpy_1(data) if numpy_1 else data
            assert read_bin(write(tmp_path / "a.bin", data)) == ([PNG] * 4, [True, False])
    big_endian = pickle.dumps(([PNG, PNG], np.array([1], ">i4")), protocol=protocol)
    assert read_bin(write(tmp_path / "a.bin", big_endian))[1] == [True]


def test_text_of_python_2_in_protocol_0(tmp_path: Path) -> None:
    data = b"(lp0\nS'\\x89PN\\'G\\n'\naS\"b\"\na(lp1\nI01\na\x86."
    assert read_bin(write(tmp_path / "a.bin", data)) == ([b"\x89PN'G\n", b"b"], [True])


class Caller:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def hostile() -> dict[str, bytes]:
    import builtins
    import os
    import subprocess

    return {
        "posix.system|nt.system": pickle.dumps(Caller(os.system, "touch here"), protocol=2),
        "subprocess.Popen": pickle.dumps(([PNG], [Caller(subprocess.Popen, ["touch", "here"])]), protocol=4),
        "__builtin__.eval|builtins.eval": pickle.dumps(
            Caller(builtins.eval, "open('here', 'w')"), protocol=2
        ),
        r"os\.system": b"cos\nsystem\n(S'touch here'\ntR.",
        r"numpy\.load": b"cnumpy\nload\n(S'here'\ntR.",
        r"_codecs\.lookup": b"c_codecs\nlookup\n(S'zip'\ntR.",
        r"numpy\.core\.multiarray\.fromfile": b"cnumpy.core.multiarray\nfromfile\n(S'here'\ntR.",
        r"builtins\.getattr": b"\x80\x04\x8c\x08builtins\x8c\x07getattr\x93.",
    }


@pytest.mark.parametrize(("named", "data"), hostile().items())
def test_pickles_that_call_functions_are_refused(
    tmp_path: Path, monkeypatch, named: str, data: bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "evil.bin", data)
    with pytest.raises(PacoError, match=rf"evil\.bin: was not read, it names ({named})") as caught:
        read_bin(path)
    assert "numpy.ndarray" in str(caught.value)  # the admitted ones are listed
    assert not (tmp_path / "here").exists()


def test_no_function_of_a_stream_is_ever_called(tmp_path: Path) -> None:
    """numpy's own constructors, in a stream, made eight bytes of the file a pointer to an object: signal 11."""
    import base64

    data = base64.b64decode(
        "gAJdKFUBYVUBYmVjbnVtcHkKbmRhcnJheQooKEsBdGNudW1weQpkdHlwZQooWAEAAABPdFJjX2NvZGVjcwplbmNvZGUKKFgIAAAA"
        "QUFBQUFBQUFYBgAAAGxhdGluMXRSdFKGLg=="
    )
    with pytest.raises(PacoError, match=r"a\.bin: does not hold a list of pictures"):
        read_bin(write(tmp_path / "a.bin", data))
    assert {name.partition(".")[0] for name in ADMITTED} == {"numpy", "_codecs", "builtins", "__builtin__"}


def test_what_a_pickle_says_is_cut(tmp_path: Path) -> None:
    """A value of 98 bytes, doubled forty times, was printed whole: the command hung."""
    doubled = b"\x80\x02](U\x01aU\x01be](K\x01" + b"2\x86" * 40 + b"e\x86."
    shared = b"\x80\x02](U\x01aU\x01be](K\x01q\0" + b"h\0h\0\x86q\0" * 60 + b"e\x86."
    many = pickle.dumps(([PNG, PNG], [list(range(100_000))]))
    text = pickle.dumps(([PNG, PNG], ["x" * 100_000]))
    for data in (doubled, shared, many, text):
        with pytest.raises(PacoError) as caught:
            read_bin(write(tmp_path / "a.bin", data))
        assert len(str(caught.value)) < 600


def test_sizes_are_bounded_by_the_file(tmp_path: Path) -> None:
    """One picture of a megabyte, named a million times, would take a terabyte."""
    named = b"\x80\x02](" + b"T" + struct.pack("<i", 10**6) + bytes(10**6) + b"q\0" + b"h\0" * 99_999 + b"e]("
    with pytest.raises(PacoError, match="more than 16 times the file"):
        read_bin(write(tmp_path / "a.bin", named + b"\x88" * 50_000 + b"e\x86."))
    announced = b"\x80\x05]\x8e" + struct.pack("<Q", 2**62) + b"a\x86."
    with pytest.raises(PacoError, match="ends too early"):
        read_bin(write(tmp_path / "a.bin", announced))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no whole pickle"),
        (b"PK\x03\x05", "no whole pickle .*instruction b'P' at byte 0"),
        (python2([PNG] * 2, [True])[:-40], "no whole pickle"),
        (pickle.dumps({"a": 1}), "instruction b'}'"),
        (pickle.dumps([1, 2, 3]), "does not hold pictures and truth values"),
        (pickle.dumps((5, [True])), "a list of pictures"),
        (pickle.dumps(([PNG] * 3, [True])), "3 pictures do not make 1 pairs"),
        (pickle.dumps(([], [])), "0 pictures do not make 0 pairs"),
        (pickle.dumps(([PNG, 5], [True])), "picture 1 is 5, not encoded bytes"),
        (pickle.dumps(([PNG, PNG], [2])), "truth value 0 is 2"),
        (pickle.dumps(([PNG, PNG], ["yes"])), "truth value 0 is 'yes'"),
        (b"\x80\x02" + short(b"x") + short(b"y") + b"\x86.", "a list of pictures"),
    ],
)
def test_bad_bins(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(PacoError, match=rf"a\.bin: .*(?s:{message}.*) Download the \.bin file again"):
        read_bin(write(tmp_path / "a.bin", data))


def test_missing_folder_or_short(tmp_path: Path) -> None:
    (tmp_path / "verification").mkdir()
    with pytest.raises(MissingDataError, match="insightface"):
        read_pictures(tmp_path, "lfw")
    (tmp_path / "verification/lfw.bin").mkdir()
    with pytest.raises(PacoError, match="is a folder"):
        read_pairs(tmp_path, "lfw")
    for start in (b"PK\x03\x04 zip", b"\x1f\x8b gzip"):
        with pytest.raises(PacoError, match=r"is an archive.*Unpack it"):
            read_bin(write(tmp_path / "packed.bin", start))
    write(tmp_path / "verification/calfw.bin", python2([PNG, PNG], [True]))
    with pytest.raises(PacoError, match="1 pairs, the official set has 6000"):
        read_pairs(tmp_path, "calfw")
    assert set(COUNTS) == {"lfw", "cfp_fp", "cfp_ff", "agedb_30", "calfw", "cplfw", "mlfw", "lfw_m"}
