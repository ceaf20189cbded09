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
    assert records["group"][:] == ["pair 000000"] * 2 + ["pair 000001"] * 2
    units = units_of(records, CROPS["arcface"])
    np.testing.assert_array_equal(units.transforms, np.broadcast_to([[1.0, 0, 0], [0, 1, 0]], (4, 2, 3)))
    with pytest.raises(ImageError):  # a picture that does not decode stays a record and fails when read
        read_image(records[1]["image"])
    pairs = read_pairs(tmp_path, "mine")
    assert (pairs.first.tolist(), pairs.second.tolist()) == (["0000000", "0000002"], ["0000001", "0000003"])


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_what_python_3_and_numpy_write(tmp_path: Path, protocol: int) -> None:
    arrays = [np.frombuffer(PNG, np.uint8)] * 2
    for pictures, same in ((arrays, np.array([True])), ([PNG, PNG], [np.bool_(True)]), ([PNG, PNG], [1])):
        path = write(tmp_path / "a.bin", pickle.dumps((pictures, same), protocol=protocol))
        assert read_bin(path) == ([PNG, PNG], [True])


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


def test_admitted_globals_are_few_and_only_make_plain_data() -> None:
    assert {module.partition(".")[0] for module, _ in ADMITTED} == {"numpy", "_codecs"}
    assert len(ADMITTED) == 7
    with pytest.raises(Exception, match="text encoded as zip"):
        ADMITTED["_codecs", "encode"]("text", "zip")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no whole pickle"),
        (b"PK\x03\x05", "no whole pickle .* persistent"),
        (python2([PNG] * 2, [True])[:-40], "no whole pickle"),
        (pickle.dumps({"a": 1}), "does not hold pictures and truth values"),
        (pickle.dumps((5, [True])), "a list of pictures"),
        (pickle.dumps(([PNG] * 3, [True])), "3 pictures do not make 1 pairs"),
        (pickle.dumps(([], [])), "0 pictures do not make 0 pairs"),
        (pickle.dumps(([PNG, 5], [True])), "picture 1 is a int"),
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
