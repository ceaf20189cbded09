"""Files from outside, read within bounds: JSON, TOML, CSV, ``.npy`` and ``.npz``.

Whatever such a file holds, reading it ends in plain values or in one line (:class:`FormatError`, a PacoError) that
names the file and what to do. Sizes are checked before anything is taken in, nothing is unpickled, and no number or
text is handed on that would fail later without naming its file: none beyond 64 bits, no NUL, no half of a character.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
import stat
import struct
import tomllib
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from paco_fr.utils.errors import FormatError, one_line

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    from pydantic import ValidationError

Shape = TypeVar("Shape")

TEXT = 64_000_000
"""Bytes of a JSON file at most; of other texts where nothing else is stated."""
LINE = 1_000_000
"""Characters of one line at most."""
DEPTH = 40
"""Values within values at most."""
RECIPE = 64_000
"""Bytes of a TOML file at most: its parser is quadratic in the length of a dotted name."""
ARRAYS = 1_000_000_000
"""Bytes of the arrays of one file at most, unpacked, where nothing else is stated."""
CELLS = 50_000_000
"""Cells of a table at most."""
MEMBERS = 1_000
"""Arrays of one file at most."""
NPY_HEADER = 10_000
"""Bytes of the header of an array at most."""
PLAIN = "biuf"
"""Kinds of numbers that arrays hold: truth values, whole numbers, floating point."""

RESTORE = "Restore the original file."

_NUMBER = re.compile(r"[0-9]{19}")
_NO_CHARACTER = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")


def read_bounded(path: Path | str, limit: int = TEXT, remedy: str = RESTORE) -> bytes:
    """Return the bytes of a regular file of at most ``limit`` bytes.

    Raises:
        FormatError: it is not there, is no regular file (a pipe, a device, a folder), or is larger.

    """
    try:
        number = os.open(
            path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
        )  # a pipe without a writer does not wait
        about = os.fstat(number)
        regular = stat.S_ISREG(about.st_mode)
        if regular:
            with os.fdopen(number, "rb") as file:
                content = file.read(min(about.st_size, limit) + 1)  # so much is set aside before it is read
        else:
            os.close(number)
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL in it
        raise FormatError(
            path, None, f"cannot be read ({getattr(error, 'strerror', None) or error})", remedy
        ) from error
    if not regular:
        raise FormatError(path, None, "is no regular file", remedy)
    if len(content) > limit:
        raise FormatError(path, None, f"is larger than the {limit} bytes that such a file may have", remedy)
    return content


def as_text(content: bytes, where: Path | str, remedy: str = RESTORE, encoding: str = "utf-8") -> str:
    """Return the text of a file without a byte order mark; one that is no such text or holds a NUL is refused."""
    try:
        text = content.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError as error:
        raise FormatError(where, None, f"cannot be read as text ({error})", remedy) from error
    if "\0" in text:
        raise FormatError(where, text[: text.index("\0")].count("\n") + 1, "holds a NUL character", remedy)
    return text


def read_text(path: Path | str, limit: int = TEXT, remedy: str = RESTORE, encoding: str = "utf-8") -> str:
    """Return the text of a file of at most ``limit`` bytes, see :func:`as_text`."""
    return as_text(read_bounded(path, limit, remedy), path, remedy, encoding)


def parse_json(
    text: str | bytes,
    where: Path | str,
    remedy: str = RESTORE,
    *,
    expect: type | None = dict,
    before: int = 0,
) -> Any:
    """Return the value that a JSON text spells.

    Args:
        text: of any length; files are bounded by :func:`read_json`.
        where: the file, or words that name what was read.
        remedy: what to do about a bad one.
        expect: type of the outermost value; None where any will do.
        before: lines of the file that stand before the text, for messages.

    Raises:
        FormatError: no JSON, nested deeper than :data:`DEPTH`, a whole number beyond 64 bits, text that is none, or
            another type.

    """
    if isinstance(text, bytes):
        text = as_text(text, where, remedy)
    try:
        value = json.loads(text, parse_int=_whole) if _NUMBER.search(text) else json.loads(text)
    except json.JSONDecodeError as error:
        raise FormatError(where, before + error.lineno, f"is not JSON ({error.msg})", remedy) from error
    except RecursionError as error:
        raise FormatError(where, None, "is nested too deep", remedy) from error
    except ValueError as error:
        raise FormatError(where, None, f"is not JSON as it is written here ({error})", remedy) from error
    strings = _NO_CHARACTER.search(text) is not None
    if (
        strings or text.count("[") + text.count("{") > DEPTH
    ):  # else it is too small to be deep: rows by the thousand
        _check_tree(value, where, remedy, strings=strings)
    if expect is not None and not isinstance(value, expect):
        wanted = "an object" if expect is dict else f"a {expect.__name__}"
        raise FormatError(where, None, f"holds a {type(value).__name__}, expected {wanted}", remedy)
    return value


def read_json(
    path: Path | str, remedy: str = RESTORE, *, limit: int = TEXT, expect: type | None = dict
) -> Any:
    """Return the value of a JSON file, by default an object, see :func:`parse_json`."""
    return parse_json(read_bounded(path, limit, remedy), path, remedy, expect=expect)


def read_json_lines(path: Path | str, remedy: str = RESTORE) -> list[dict[str, Any]]:
    """Return the objects of a file that holds one in each line; a torn last line, without its end, is left out."""
    *lines, last = read_text(path, remedy=remedy).split("\n")
    found = [parse_json(line, path, remedy, before=at) for at, line in enumerate(lines) if line.strip()]
    with suppress(FormatError):
        found += [parse_json(last, path, remedy)]
    return found


def parse_toml(text: str, where: Path | str, remedy: str = "Correct it.") -> dict[str, Any]:
    """Return the tables of a TOML text, bounded like JSON, see :func:`parse_json`."""
    if len(text) > RECIPE:
        raise FormatError(
            where, None, f"is larger than the {RECIPE} characters that such a file may have", remedy
        )
    try:
        value = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FormatError(where, None, f"is not valid TOML: {error}", remedy) from error
    except (RecursionError, ValueError, OverflowError) as error:
        problem = (
            "is nested too deep" if isinstance(error, RecursionError) else f"is not valid TOML ({error})"
        )
        raise FormatError(where, None, problem, remedy) from error
    _check_tree(value, where, remedy, strings=True)
    return value


def shaped(kind: type[Shape], value: object, where: Path | str, remedy: str = RESTORE) -> Shape:
    """Return a value read from a file as an object of a (data) class, its fields checked.

    Raises:
        FormatError: a field missing or of another type; names the first.

    """
    from pydantic import TypeAdapter, ValidationError  # imported late: texts and arrays need none of it

    try:
        return TypeAdapter(kind).validate_python(value)
    except (ValidationError, TypeError, ValueError) as error:
        problem = first_problem(error) if isinstance(error, ValidationError) else str(error)
        raise FormatError(where, None, problem, remedy) from error


def first_problem(error: ValidationError) -> str:
    """Return in a line which field pydantic refuses first and why, without the value itself."""
    first = error.errors(include_input=False, include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    return one_line(f"{field}: {first['msg']}" if field else first["msg"])


def read_csv(
    lines: Iterable[str], where: Path | str, remedy: str = RESTORE, *, strict: bool = False
) -> Iterator[list[str]]:
    """Give the fields of every line of comma-separated text, those of the header first.

    Args:
        lines: of text that was read by :func:`read_text`.
        where: the file.
        remedy: what to do about a bad one.
        strict: refuse quotation marks at odd places.

    Raises:
        FormatError: quotation marks that do not close, or a field of over 131,072 characters; names the line.

    """
    table = csv.reader(lines, strict=strict)
    try:
        yield from table
    except csv.Error as error:
        raise FormatError(
            where, table.line_num, f"is not a comma-separated table ({error})", remedy
        ) from error


def _npy_header(
    content: bytes, where: Path | str, remedy: str, kinds: str
) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Return shape, whether Fortran's order, kind and place of the values of an ``.npy`` file."""
    import numpy as np  # imported late: commands that read JSON alone start without it

    file = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(file)
        at, width = file.tell(), 2 if version[0] == 1 else 4
        if int.from_bytes(content[at : at + width], "little") > min(NPY_HEADER, len(content)):
            raise ValueError("its header is longer than the file or than headers are")
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in read:
            raise ValueError(f"version {version[0]}.{version[1]}")
        shape, fortran, kind = read[version](file, max_header_size=NPY_HEADER)
    except Exception as error:  # a header is Python, whose parser fails in a dozen ways
        raise FormatError(where, None, f"is not an .npy file ({error})", remedy) from error
    if kind.kind not in kinds or kind.hasobject or kind.itemsize == 0:
        raise FormatError(where, None, f"holds {kind}, not plain values (kinds {kinds})", remedy)
    if any(isinstance(side, bool) or side < 0 for side in shape) or len(shape) > 8:
        raise FormatError(where, None, f"has the shape {shape}", remedy)
    left = len(content) - file.tell()
    if math.prod(shape) * kind.itemsize != left:
        raise FormatError(
            where, None, f"holds {left} bytes of values, its header announces {kind} of shape {shape}", remedy
        )
    return shape, fortran, kind, file.tell()


def parse_npy(
    content: bytes, where: Path | str, remedy: str = RESTORE, kinds: str = PLAIN
) -> npt.NDArray[Any]:
    """Return the array of an ``.npy`` file that holds what its header says, no more and no less.

    Args:
        content: of the file.
        where: the file, or words that name what was read.
        remedy: what to do about a bad one.
        kinds: numpy's letters of the kinds of values that are admitted; never objects.

    Raises:
        FormatError: another format, kind or size.

    """
    import numpy as np

    shape, fortran, kind, at = _npy_header(content, where, remedy, kinds)
    flat = np.frombuffer(content, kind, offset=at)
    return flat.reshape(shape, order="F" if fortran else "C").copy()


def read_npy(
    path: Path | str, remedy: str = RESTORE, *, kinds: str = PLAIN, limit: int = ARRAYS
) -> npt.NDArray[Any]:
    """Return the array of an ``.npy`` file of at most ``limit`` bytes, see :func:`parse_npy`."""
    return parse_npy(read_bounded(path, limit, remedy), path, remedy, kinds)


def read_npz(
    path: Path | str, remedy: str = RESTORE, *, kinds: str = PLAIN, limit: int = ARRAYS
) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of an ``.npz`` file by name.

    Args:
        path: the file.
        remedy: what to do about a bad one.
        kinds: as for :func:`parse_npy`.
        limit: bytes of all arrays together at most, unpacked; the file itself is no larger either.

    Raises:
        FormatError: no such archive, more arrays or bytes than admitted, or an array that is none.

    """
    content = read_bounded(path, limit, remedy)
    found: dict[str, npt.NDArray[Any]] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            if len(members) > MEMBERS or sum(member.file_size for member in members) > limit:
                raise FormatError(
                    path, None, f"unpacks to more than {MEMBERS} arrays or {limit} bytes", remedy
                )
            for member in members:
                if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise FormatError(path, None, "is packed in a way that no array file is", remedy)
                name = member.filename.removesuffix(".npy")
                if name in found:
                    raise FormatError(path, None, f"holds {one_line(name)} twice", remedy)
                with archive.open(member) as file:
                    values = file.read(member.file_size + 1)
                found[name] = parse_npy(values, f"{path}, {one_line(name)}", remedy, kinds)
    except FormatError:
        raise
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, OSError, EOFError, ValueError,
            KeyError, IndexError, OverflowError, struct.error) as error:  # fmt: skip
        raise FormatError(path, None, f"is not an array file ({error})", remedy) from error
    return found


def parse_parquet(
    content: bytes, where: Path | str, remedy: str = RESTORE, cells: int = CELLS
) -> pd.DataFrame:
    """Return the table of a parquet file of at most ``cells`` cells.

    Raises:
        FormatError: no such table, or a larger one.

    """
    import pandas as pd  # imported late: it is heavy
    import pyarrow.parquet as pq

    try:
        about = pq.ParquetFile(io.BytesIO(content)).metadata
        if about.num_columns > 1_000 or about.num_rows * about.num_columns > cells:
            raise ValueError(f"{about.num_rows} lines of {about.num_columns} columns")
        return pd.read_parquet(io.BytesIO(content))
    except Exception as error:  # Arrow and pandas raise a dozen kinds on damaged files
        raise FormatError(where, None, f"is not a table that can be read ({error})", remedy) from error


def _whole(text: str) -> int:
    """Return a whole number of 64 bits."""
    value = int(text) if len(text) <= 20 else 2**64
    if not -(2**63) <= value < 2**63:
        raise ValueError(f"a number of {len(text)} digits")
    return value


def _check_tree(value: object, where: Path | str, remedy: str, *, strings: bool) -> None:
    """Refuse values nested too deep, and texts that no file name and no terminal can take."""
    level: list[object] = [value]
    for _ in range(DEPTH):
        following: list[object] = []
        for each in level:
            if isinstance(each, dict):
                following += each.values()
                if strings:
                    following += each.keys()
            elif isinstance(each, list):
                following += each
            elif strings and isinstance(each, str) and not _is_text(each):
                raise FormatError(where, None, "holds text with a NUL or half of a character in it", remedy)
            elif isinstance(each, int) and not -(2**63) <= each < 2**63:
                raise FormatError(where, None, "holds a whole number beyond 64 bits", remedy)
        level = following
        if not level:
            return
    raise FormatError(where, None, f"is nested deeper than {DEPTH} levels", remedy)


def _is_text(text: str) -> bool:
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False
