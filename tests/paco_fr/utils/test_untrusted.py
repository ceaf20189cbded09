"""Files from outside end in plain values or in one line that names them."""

from __future__ import annotations

import json
import math
import os
import re
import struct
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from paco_fr.utils import untrusted
from paco_fr.utils.errors import FormatError, PacoError, one_line, quoted

JSON = {
    "deep list": b"[" * 2_000 + b"]" * 2_000,
    "deep object": b'{"a":' * 2_000 + b"1" + b"}" * 2_000,
    "deeper than any file": b"[" * 41 + b"]" * 41,
    "digits": b'{"a": ' + b"1" * 5_000 + b"}",
    "beyond 64 bits": b'{"a": 1' + b"0" * 30 + b"}",
    "Latin-1": '{"a": "\xe9"}'.encode("latin-1"),
    "NUL": b'{"a": "\0"}',
    "NUL in an escape": rb'{"a": "x\u0000y"}',
    "NUL in a name": rb'{"x\u0000y": 1}',
    "half of a character": rb'{"a": ["\ud83d"]}',
    "torn": b'{"a": [1,',
    "empty": b"",
    "another type": b"[1]",
    "a number": b"5",
}


@pytest.mark.parametrize("content", JSON.values(), ids=JSON)
def test_bad_json_is_told_in_a_line(tmp_path: Path, content: bytes) -> None:
    """These ended in RecursionError, UnicodeDecodeError, JSONDecodeError or ValueError, or were handed on."""
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"x\.json.*Mend it\.$") as caught:
        untrusted.read_json(path, "Mend it.")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < len(str(path)) + 450


def test_json_comes_out_as_python_reads_it(tmp_path: Path) -> None:
    value = {
        "a": [1, -(2**63), 2**63 - 1, 0.1 + 0.2, 1.2345678901234567e-05, None, True, "\U0001f600é\n"] * 50
    }
    path = tmp_path / "x.json"
    for ascii_only in (True, False):
        path.write_text(json.dumps(value, ensure_ascii=ascii_only), encoding="utf-8")
        assert untrusted.read_json(path) == value
    path.write_bytes(b"\xef\xbb\xbf{}")  # a byte order mark, as Windows writes it
    assert untrusted.read_json(path) == {}
    assert untrusted.parse_json("[" * 40 + "]" * 40, "here", expect=list)


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "loop.json").symlink_to("loop.json")
    (tmp_path / "device.json").symlink_to("/dev/zero")
    for name in ("pipe", "folder", "loop", "device", "absent", "nul\0"):
        with pytest.raises(FormatError, match=name.replace("\0", ".")):
            untrusted.read_json(tmp_path / f"{name}.json")
    (tmp_path / "large.json").write_bytes(bytes(101))
    with pytest.raises(FormatError, match="larger than the 100 bytes"):
        untrusted.read_json(tmp_path / "large.json", limit=100)


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 3_000,
        "a = " + "1" * 5_000,
        "a = 1" + "0" * 30,
        'a = "\\u0000"',
        "a = ",
        "a" * 70_000,
        "a.b." * 50 + "c = 1",
    ],
)
def test_bad_toml_is_told_in_a_line(text: str) -> None:
    with pytest.raises(FormatError, match=r"recipe r.*Correct it\.$"):
        untrusted.parse_toml(text, "recipe r")


def test_bad_csv_names_its_line() -> None:
    with pytest.raises(FormatError, match=r"t\.csv, line 2: is not a comma-separated table \(field larger"):
        list(untrusted.read_csv(["a,b", "x" * 140_000], "t.csv"))
    with pytest.raises(FormatError, match=r"t\.csv, line 1"):
        list(untrusted.read_csv(['"a'], "t.csv", strict=True))
    assert list(untrusted.read_csv(["a,b", '"1,2",3'], "t.csv")) == [["a", "b"], ["1,2", "3"]]


def header(text: str, version: bytes = b"\x01\x00") -> bytes:
    packed = text.encode("latin-1") + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H" if version[0] == 1 else "<I", len(packed)) + packed


def described(shape: str, kind: str = "'<f8'") -> bytes:
    return header(f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}}}")


NPY = {
    "a header of 32 GiB": described("(4294967296,)") + bytes(8),
    "a header longer than the file": b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1) + b"{}",
    "less than announced": described("(3,)") + bytes(16),
    "more than announced": described("(1,)") + bytes(16),
    "objects": described("(1,)", "'|O'") + b"cos\nsystem\n",
    "records": described("(1,)", "[('a', '<f8')]") + bytes(8),
    "no size": described("(9,)", "'|S0'"),
    "a negative side": described("(-1, -1)") + bytes(8),
    "a shape that is none": described("'ab'") + bytes(8),
    "many axes": described(str((1,) * 40)) + bytes(8),
    "nested": header("(" * 5_000),
    "no header": b"\x93NUMPY",
    "version 9": header("{}", b"\x09\x00"),
    "empty": b"",
    "text": b"nothing of the kind",
}


@pytest.mark.parametrize("content", NPY.values(), ids=NPY)
def test_bad_npy_takes_neither_memory_nor_time(content: bytes) -> None:
    """A header of 80 bytes made numpy ask for 32 GiB."""
    begun = time.perf_counter()
    with pytest.raises(FormatError, match=r"^a\.npy: "):
        untrusted.parse_npy(content, "a.npy", kinds="biufUS")
    assert time.perf_counter() - begun < 2


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", ["u1", "<i2", ">f4", "f8", "?", "<U3"])
def test_arrays_come_out_as_numpy_reads_them(tmp_path: Path, order: str, kind: str) -> None:
    array = np.arange(24).reshape(2, 3, 4).astype(kind, order=order)
    np.save(tmp_path / "a.npy", array)
    np.savez_compressed(tmp_path / "a.npz", first=array, second=array[0, 0, 0])
    kinds = untrusted.PLAIN + "U"
    found = untrusted.read_npy(tmp_path / "a.npy", kinds=kinds)
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype
    both = untrusted.read_npz(tmp_path / "a.npz", kinds=kinds)
    np.testing.assert_array_equal(both["first"], np.load(tmp_path / "a.npz")["first"])
    assert both["second"].shape == ()


def test_archives_are_not_inflated_beyond_their_limit(tmp_path: Path) -> None:
    """A file of 3.4 MB inflated to 3.4 GB."""
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", described("(25000000,)") + bytes(200_000_000))
    assert path.stat().st_size < 400_000
    with pytest.raises(FormatError, match="unpacks to more than"):
        untrusted.read_npz(path, limit=100_000_000)
    content = bytearray(path.read_bytes())
    for signature, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):  # a size that is a lie
        place = content.index(signature) + at
        content[place : place + 4] = struct.pack("<I", 1_000)
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"bomb\.npz"):
        untrusted.read_npz(path, limit=100_000_000)
    for bad in (b"", b"PK\x05\x06" + bytes(18), b"text", bytes(content[:2_000])):
        path.write_bytes(bad)
        if bad[:2] == b"PK" and len(bad) == 22:
            assert untrusted.read_npz(path) == {}
            continue
        with pytest.raises(FormatError, match=r"bomb\.npz"):
            untrusted.read_npz(path)


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = (value, value)
    return value


VALUES = {
    "text": "x" * 10**6,
    "bytes": b"x" * 10**6,
    "digits": 10**20_000,
    "nested": nested(60),
    "list": list(range(10**5)),
    "object": {"a" * 1000: 1},
    "control": "a\nb\x1b[31m\0",
    "nan": math.nan,
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_whatever_a_file_says_is_shown_in_a_few_words(value: object) -> None:
    """A value of 98 bytes whose text has 2^40 characters was printed whole."""
    assert len(quoted(value)) <= 200
    assert quoted(value).isprintable()
    assert len(str(FormatError("f", 1, f"found {value}" if isinstance(value, str) else "x", "Mend."))) < 450


def test_short_values_are_shown_as_they_are() -> None:
    assert quoted("a b") == "'a b'"
    assert quoted([1, 2.5, "x"]) == "[1, 2.5, 'x']"
    assert one_line("a\n  b\tc") == "a b c"
    assert one_line("x" * 200) == "x" * 200
    assert re.fullmatch(r"x{196} \.\.\.", one_line("x" * 201))
    assert issubclass(FormatError, PacoError)
