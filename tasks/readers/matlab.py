"""Matlab files, level 5 (``save -v7`` and older): the few kinds of variables that data sets come in.

Every size is held against the file before anything is taken in, so a damaged or hostile file ends in a line. The
layout is that of MathWorks' "MAT-File Format" (level 5): a header of 128 bytes, then elements, each with a type and a
length, packed by zlib or not. Structures, objects and sparse matrices are passed over.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection, Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from paco_fr.utils.errors import FormatError, quoted
from paco_fr.utils.untrusted import read_bounded

LIMIT = 200_000_000
"""Bytes of a file at most, and of any one of its variables unpacked."""

_MATRIX, _PACKED = 14, 15
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
"""Types of data elements -> how their numbers are stored."""
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
"""Classes of numeric matrices -> the numbers that they hold."""
_CELL, _CHARACTERS = 1, 4
_TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
"""Types of data elements -> encoding of the characters in them."""

Variable = npt.NDArray[Any] | str | list[Any]
"""A numeric matrix, a text, or a cell as the list of its variables, column by column."""


def read_matlab(path: Path, names: Collection[str], what: str, remedy: str) -> dict[str, Variable]:
    """Return those of the named variables that a Matlab file of level 5 holds.

    Args:
        path: of the file.
        names: of the variables; others are passed over.
        what: the file should be, for errors, e.g. "a Matlab 5 file".
        remedy: what to do about a bad one.

    Raises:
        FormatError: another format, torn, a length that does not fit the file, or another kind of variable.

    """
    content = read_bounded(path, LIMIT, remedy)
    try:
        return dict(_variables(content, names))
    except (ValueError, struct.error, zlib.error, UnicodeDecodeError) as error:
        raise FormatError(path, None, f"is not {what} ({error})", remedy) from error


def _variables(content: bytes, names: Collection[str]) -> Iterator[tuple[str, Variable]]:
    orders = {b"IM": "<", b"MI": ">"}
    if len(content) < 128 or content[126:128] not in orders:
        raise ValueError("no header of level 5")
    order = orders[content[126:128]]
    at = 128
    while at + 8 <= len(content):
        kind, data, at = _element(content, at, order)
        if kind == _PACKED:
            kind, data = _unpacked(data, order, names)
        if kind != _MATRIX:
            continue
        name, rest, flags, shape = _head(data, order)
        if name in names:
            yield name, _value(rest, order, flags, shape)
    if content[at:].strip(b"\0"):
        raise ValueError("it ends in the middle of a variable")


def _element(content: bytes, at: int, order: str) -> tuple[int, bytes, int]:
    """Return type and data of the element at a place, and where the next one begins."""
    kind, length = struct.unpack_from(f"{order}II", content, at)
    if kind >> 16:  # a small one: type and length in four bytes, data in the other four
        kind, length = kind & 0xFFFF, kind >> 16
        if length > 4:
            raise ValueError(f"a small element of {length} bytes")
        return kind, content[at + 4 : at + 4 + length], at + 8
    if length > len(content) - at - 8:
        raise ValueError("an element is longer than the file")
    end = at + 8 + length
    return kind, content[at + 8 : end], end if kind == _PACKED else end + -length % 8


def _unpacked(data: bytes, order: str, names: Collection[str]) -> tuple[int, bytes]:
    """Return type and data of a packed element; of one that is not asked for its beginning is enough."""
    stream = zlib.decompressobj()
    start = stream.decompress(data, 512)
    if len(start) < 8:
        raise ValueError("a packed element without content")
    kind, length = struct.unpack_from(f"{order}II", start)
    if kind != _MATRIX:
        return kind, b""
    if length > min(LIMIT, 1100 * len(data) + 512):  # zlib packs a thousand bytes into one at most
        raise ValueError(f"a packed variable of {length} bytes")
    if _head(start[8:] + bytes(64), order)[0] not in names:
        return 0, b""
    found = start[8:] + stream.decompress(stream.unconsumed_tail, length + 8)
    if len(found) < length:
        raise ValueError("a packed variable ends too early")
    return kind, found[:length]


def _head(data: bytes, order: str) -> tuple[str, bytes, int, tuple[int, ...]]:
    """Return name, what follows, flags and shape of a matrix."""
    _, flags, at = _element(data, 0, order)
    _, sides, at = _element(data, at, order)
    _, name, at = _element(data, at, order)
    if len(flags) < 4 or not 4 <= len(sides) <= 32 or len(sides) % 4:
        raise ValueError("a variable without class or shape")
    shape = struct.unpack(f"{order}{len(sides) // 4}i", sides)
    if min(shape) < 0:
        raise ValueError(f"a variable of shape {shape}")
    return name.decode("latin-1"), data[at:], struct.unpack_from(f"{order}I", flags)[0], shape


def _value(data: bytes, order: str, flags: int, shape: tuple[int, ...], depth: int = 0) -> Variable:
    """Return the variable that a matrix holds."""
    kind, count = flags & 0xFF, prod(shape)
    if count > len(data):
        raise ValueError(f"a variable of shape {shape} in {len(data)} bytes")
    if kind == _CELL and depth == 0:
        found: list[Any] = []
        at = 0
        for _ in range(count):
            inner, content, at = _element(data, at, order)
            if inner != _MATRIX:
                raise ValueError("a cell that is no variable")
            _, rest, inside, sides = _head(content, order)
            found.append(_value(rest, order, inside, sides, depth + 1))
        return found
    stored, values, _ = _element(data, 0, order) if data else (1, b"", 0)
    if kind == _CHARACTERS and stored in _TEXTS:
        coding = _TEXTS[stored]
        return values.decode(coding if coding in ("utf-8", "latin-1") else f"{coding}-{'lb'[order == '>']}e")
    if kind not in _CLASSES or stored not in _STORED or flags & 0x0800:
        raise ValueError(f"a variable of class {quoted(kind)} that is not plain numbers or text")
    numbers = np.frombuffer(values, f"{order}{_STORED[stored]}")
    if len(numbers) != count:
        raise ValueError(f"{len(numbers)} numbers do not make a matrix of shape {shape}")
    return numbers.astype(_CLASSES[kind]).reshape(shape, order="F")
