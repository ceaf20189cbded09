"""Valid files spoilt in the ways in which files are spoilt: torn, patched, spliced, and made to harm."""

from __future__ import annotations

import copy
import io
import json
import zipfile
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Random = np.random.Generator

WORDS = (
    b"\0", b"\xff\xfe", b"\xed\xa0\x80", b"../../x", b"/etc/hostname", b"nan", b"inf", b"-1", b"0", b"1e300", b"1e-300",
    b"9" * 25, b"1" * 5000, b"[" * 3000, b"{" * 40, b'"', b"'", b"$a_{$", b"=1+1", b"%s%n", b",", b",,,,", b"\n\n", b"\r", b"\t",
    b"\xe2\x80\xa8", b"true", b"null", b"None", b"2147483648", b"4294967295", b"18446744073709551616", b"\\u0000",
    b"\\ud800", b"NaN", b"Infinity", b"x" * 300,
)  # fmt: skip
NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 2**63, 2**64 - 1)
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 10**30, 1e300, -0.0, float("nan"), float("inf"), "", "x", "../../x", "/etc/hostname",
    "\0", "\ud800", "$a_{$", "=1+1", "x" * 5000, [], {}, [[]], [None], {"": 0}, [0] * 1000, "9" * 5000, [[[[[[[[]]]]]]]],
)  # fmt: skip


def spoilt(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    """Return the bytes of a file after one to four changes."""
    for _ in range(1 + int(random.geometric(0.6)) % 4):
        data = _CHANGES[int(random.integers(len(_CHANGES)))](data, others, random)
    return data


def _place(data: bytes, random: Random) -> int:
    """Return a place; headers are spoilt as often as all the rest."""
    limit = len(data) if random.random() < 0.5 else min(len(data), 256)
    return int(random.integers(limit + 1))


def _flip(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    if not data:
        return data
    found = bytearray(data)
    for _ in range(int(random.integers(1, 6))):
        found[min(_place(data, random), len(data) - 1)] ^= 1 << int(random.integers(8))
    return bytes(found)


def _number(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    width, order = int(random.choice([1, 2, 4, 8])), "little" if random.random() < 0.6 else "big"
    number = NUMBERS[int(random.integers(len(NUMBERS)))] % 2 ** (8 * width)
    at = _place(data, random)
    return data[:at] + number.to_bytes(width, order) + data[at + width :]


def _torn(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    return data[: _place(data, random)]


def _cut(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    at = _place(data, random)
    return data[:at] + data[at + int(random.geometric(0.05)) :]


def _again(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    at, length = _place(data, random), int(random.geometric(0.02))
    return data[:at] + data[at : at + length] * int(random.integers(2, 5)) + data[at + length :]


def _spliced(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    other = others[int(random.integers(len(others)))] if others else data
    return data[: _place(data, random)] + other[_place(other, random) :]


def _word(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    at, word = _place(data, random), WORDS[int(random.integers(len(WORDS)))]
    return data[:at] + word + data[at + (len(word) if random.random() < 0.5 else 0) :]


def _field(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    """Put a word in the place of a field between blanks, commas or ends of lines."""
    at = _place(data, random)
    ends = [found for mark in b" ,\t\n:" if (found := data.find(bytes([mark]), at)) >= 0]
    end = min(ends, default=len(data))
    start = max(data.rfind(bytes([mark]), 0, at) for mark in b" ,\t\n:") + 1
    return data[:start] + WORDS[int(random.integers(len(WORDS)))] + data[end:]


def _lines(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    lines = data.split(b"\n")
    one, other = (int(random.integers(len(lines))) for _ in range(2))
    lines[one] = b"" if random.random() < 0.3 else lines[other]
    return b"\n".join(lines)


_CHANGES: tuple[Callable[[bytes, Sequence[bytes], Random], bytes], ...] = (
    _flip, _flip, _number, _torn, _cut, _again, _spliced, _word, _field, _field, _lines,
)  # fmt: skip


def spoilt_json(data: bytes, random: Random) -> bytes:
    """Return a JSON text with one to three values replaced, left out or put in."""
    tree = json.loads(data)
    for _ in range(int(random.integers(1, 4))):
        tree = _changed(tree, random)
    return json.dumps(tree).encode("utf-8", "surrogatepass")


def _changed(tree: Any, random: Random) -> Any:
    places: list[tuple[Any, Any]] = []
    pending = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, dict | list):
            keys = list(node) if isinstance(node, dict) else range(len(node))
            places += [(node, key) for key in keys]
            pending += [node[key] for key in keys]
    if not places:
        return _any(random)
    node, key = places[int(random.integers(len(places)))]
    if random.random() < 0.15:
        del node[key]
    elif random.random() < 0.1 and isinstance(node, dict):
        node[str(_any(random))[:50]] = _any(random)
    else:
        node[key] = _any(random)
    return tree


def _any(random: Random) -> Any:
    return copy.deepcopy(VALUES[int(random.integers(len(VALUES)))])  # else a value could come to hold itself


def spoilt_archive(data: bytes, random: Random) -> bytes:
    """Return a zip archive with one member spoilt, packed anew so that its checksums fit."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    names = list(members)
    chosen = names[int(random.integers(len(names)))]
    if random.random() < 0.1:
        del members[chosen]
    else:
        members[chosen] = spoilt(members[chosen], list(members.values()), random)
    file = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if random.random() < 0.2 else zipfile.ZIP_STORED
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def spoilt_matlab(data: bytes, others: Sequence[bytes], random: Random) -> bytes:
    """Return a Matlab 5 file with one packed variable spoilt and packed anew."""
    at, elements = 128, []
    while at + 8 <= len(data):
        kind, length = (int.from_bytes(data[at + n : at + n + 4], "little") for n in (0, 4))
        elements.append((kind, data[at + 8 : at + 8 + length]))
        at += 8 + length
    packed = [place for place, (kind, _) in enumerate(elements) if kind == 15]
    if not packed:
        return spoilt(data, others, random)
    place = packed[int(random.integers(len(packed)))]
    content = spoilt(zlib.decompress(elements[place][1]), others, random)
    elements[place] = (15, zlib.compress(content, 1))
    parts = [kind.to_bytes(4, "little") + len(held).to_bytes(4, "little") + held for kind, held in elements]
    return data[:128] + b"".join(parts)
