"""Verification sets as one ``.bin`` file: LFW, CFP-FP, CFP-FF, AgeDB-30, CALFW, CPLFW, masked MLFW and LFW-M.

The file is a pickle, written by Python 2, of ``(pictures, same)``: 2n encoded pictures and n truth values;
pair i shows pictures 2i and 2i + 1. All pictures are square faces, officially of 112 x 112, already aligned to the
``arcface`` template, so the records carry the template's own points, as large as the picture, and its crop changes nothing.

A pickle can name functions and call them when it is read. This one is never unpickled: its instructions are read as
plain values (:mod:`paco_fr.utils.plain_pickle`), and what it names of :data:`ADMITTED` is made of its arguments here.
So pictures may be bytes, bytearrays or arrays as ``cv2.imencode`` gives them, truth values bools, 0 and 1 or 0.0 and
1.0, in a list or an array, written by any Python and numpy in protocols 0 to 5.
Who is shown is not in the file. Equal bytes are one picture, and the two pictures of a genuine pair show one person, so
a group is whom such links tie together: pairs that share a picture or a person are resampled together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from datasets import Dataset

from paco_fr.faces.crop import template_points
from paco_fr.faces.records import picture_sizes
from paco_fr.utils.errors import quoted
from paco_fr.utils.plain_pickle import Call, PickleError, RefusedError, read_plain
from paco_fr.utils.untrusted import read_bounded
from tasks.lists import PairList, linked
from tasks.metrics.folds import consecutive_folds
from tasks.readers.dataset_info import VERIFICATION_PAIRS
from tasks.readers.files import FormatError, require, require_folder, to_records
from tasks.task import MANIFEST

OBTAIN = "Put the file there; most come with the training packs of insightface (recognition/_datasets_)."
REMEDY = "Download the .bin file again from its official source."

ADMITTED = (
    "numpy.dtype", "numpy.ndarray",
    *(f"numpy.{core}.{name}" for core in ("core", "_core")
      for name in ("multiarray._reconstruct", "multiarray.scalar", "numeric._frombuffer")),
    "_codecs.encode", *(f"{module}.{name}" for module in ("builtins", "__builtin__") for name in ("bytes", "bytearray")),
)  # fmt: skip
"""What a pickle may name: numpy arrays and scalars of plain numbers, and bytes as protocols below 3 write them."""

COUNTS = VERIFICATION_PAIRS
CANVAS = 112
LIMIT = 4_000_000_000
"""Bytes of a file at most; the official ones are below 200 MB."""
MOST_OFTEN = 16
"""A picture may stand in several pairs and in the file once: all pictures are at most so many times the file."""
_BYTES = (
    "_codecs.encode",
    "builtins.bytes",
    "__builtin__.bytes",
    "builtins.bytearray",
    "__builtin__.bytearray",
)
_KINDS = (
    "b1",
    "bool",
    "uint8",
    *(f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)),
    "f4",
    "f8",
    "|u1",
    "|b1",
)
_ARCHIVES = (b"PK\x03\x04", b"\x1f\x8b", b"Rar!", b"7z\xbc\xaf")  # how zip, gzip, rar and 7z files begin


def read_bin(path: str | Path) -> tuple[list[bytes], list[bool]]:
    """Return the 2n encoded pictures and n truth values of a ``.bin`` file.

    Raises:
        MissingDataError: there is no such file.
        FormatError: not a pickle, one that names what is not admitted, or not such a pair.

    """
    path = Path(path)
    if require(path, OBTAIN).is_dir():
        raise FormatError(path, None, "is a folder, one .bin file is expected", REMEDY)
    content = read_bounded(path, LIMIT, REMEDY)
    if content.startswith(_ARCHIVES):
        raise FormatError(path, None, "is an archive, one .bin file is expected", "Unpack it.")
    try:
        found = read_plain(content, ADMITTED)
    except RefusedError as error:
        admitted = ", ".join(ADMITTED)
        raise FormatError(
            path,
            None,
            f"was not read, it names {error}",
            f"Only {admitted} are admitted in a pickle. {REMEDY}",
        ) from error
    except PickleError as error:
        raise FormatError(path, None, f"is no whole pickle ({error})", REMEDY) from error
    if not isinstance(found, (tuple, list)) or len(found) != 2:
        raise FormatError(path, None, "does not hold pictures and truth values", REMEDY)
    pictures, same = (_list(each) for each in found)
    if pictures is None or same is None:
        raise FormatError(path, None, "does not hold a list of pictures and one of truth values", REMEDY)
    if len(pictures) != 2 * len(same) or not len(same):
        raise FormatError(path, None, f"{len(pictures)} pictures do not make {len(same)} pairs", REMEDY)
    encoded, left = [], MOST_OFTEN * len(content)
    for number, cell in enumerate(pictures):
        encoded.append(_picture(path, number, cell))
        left -= len(encoded[-1])
        if left < 0:
            problem = f"its pictures are more than {MOST_OFTEN} times the file: few are repeated often"
            raise FormatError(path, None, problem, REMEDY)
    return encoded, [_truth(path, number, value) for number, value in enumerate(same)]


def _list(value: Any) -> list[Any] | tuple[Any, ...] | None:
    """Return a list, a tuple, or the values of an array as a list; None of anything else."""
    if isinstance(value, (list, tuple)):
        return value
    array = _array(value)
    return None if array is None or array.ndim != 1 else array.tolist()


def _picture(path: Path, number: int, cell: Any) -> bytes:
    data = _data(cell)
    if data is None:
        array = _array(cell)
        if array is None or array.dtype != np.uint8 or array.ndim > 2 or min(array.shape[1:], default=1) != 1:
            what = quoted(cell) if array is None else f"an array of {array.dtype} of shape {array.shape}"
            raise FormatError(path, None, f"picture {number} is {what}, not encoded bytes", REMEDY)
        data = array.tobytes()
    return data


def _data(value: Any) -> bytes | None:
    """Return the bytes that a value is or that Python would make of it; None of anything else."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, Call) and value.name in _BYTES and value.state is None:
        match value.arguments:
            case () if value.name != "_codecs.encode":
                return b""
            case (inner,) if value.name.endswith("array") and not getattr(inner, "name", "").endswith(
                "array"
            ):
                return _data(inner)  # of a bytearray its bytes; one of another bytearray is never written
            case (str(text), "latin1" | "latin-1"):
                with suppress(UnicodeEncodeError):
                    return text.encode("latin-1")
    return None


def _array(value: Any) -> npt.NDArray[Any] | None:
    """Return the array of plain numbers that numpy would make of a call, None of anything else."""
    if not isinstance(value, Call):
        return None
    match value.name.rpartition(".")[2], value.arguments, value.state:
        case "_reconstruct", _, (_, tuple(shape), kind, fortran, data):
            order = "F" if fortran else "C"
        case "_frombuffer", (data, kind, tuple(shape), "C" | "F" as order), None:
            pass
        case "scalar", (kind, data), None:
            shape, order = (), "C"
        case _:
            return None
    dtype, held = _dtype(kind), _data(data)
    sides = [
        side for side in shape if isinstance(side, int) and not isinstance(side, bool) and 0 <= side < 2**40
    ]
    if dtype is None or held is None or len(sides) != len(shape) or prod(sides) * dtype.itemsize != len(held):
        return None
    found: npt.NDArray[Any] = np.frombuffer(held, dtype).reshape(sides, order="F" if order == "F" else "C")
    return found


def _dtype(value: Any) -> np.dtype[Any] | None:
    """Return the kind of numbers that a call names, if it is a plain one."""
    match value:
        case Call("numpy.dtype", (str() | bytes() as name, *_), None | (_, str() | bytes(), *_) as state):
            text = name if isinstance(name, str) else name.decode("latin-1")
            order = state[1] if state else "="
            order = order if isinstance(order, str) else order.decode("latin-1")
            if text in _KINDS and order in ("<", ">", "|", "="):
                return np.dtype(text).newbyteorder(order)  # type: ignore[arg-type]
    return None


def _truth(path: Path, number: int, value: Any) -> bool:
    array = _array(value)
    plain = array.item() if array is not None and array.ndim == 0 else value
    if isinstance(plain, (bool, int, float)) and plain in (0, 1):
        return bool(plain)
    raise FormatError(path, None, f"truth value {number} is {quoted(plain)}, expected true or false", REMEDY)


def _path(data_root: str | Path | None, name: str, folder: str) -> Path:
    return require_folder(Path(data_root or ".") / folder, OBTAIN) / f"{name}.bin"


def read_pictures(data_root: str | Path | None, name: str, folder: str = "verification") -> Dataset:
    """Return the pictures of a set in their order, ``image_id`` "0000000" on, grouped by :func:`people_of`.

    A picture that does not decode stays a record; reading it fails and is counted.
    """
    path = _path(data_root, name, folder)
    pictures, same = read_bin(path)
    _count(path, name, len(same))
    return as_records(pictures, same, path)


def as_records(pictures: Sequence[bytes], same: Sequence[bool], path: Path) -> Dataset:
    """Return the pictures of a file as records, see :func:`read_pictures`.

    Raises:
        FormatError: a picture that is no square, on which faces could not be aligned as they are here.

    """
    sizes = picture_sizes([{"bytes": picture, "path": None} for picture in pictures])
    for number, size in enumerate(sizes):
        if size is not None and size[0] != size[1]:
            told = f"picture {number} is {size[1]} x {size[0]} pixels, expected a square"
            raise FormatError(path, None, told, REMEDY)
    points = {size: template_points("arcface", size[0] if size else CANVAS).tolist() for size in set(sizes)}
    people = people_of(pictures, same)
    rows = [
        {
            "image": {"bytes": picture, "path": None},
            "image_id": f"{number:07d}",
            "group": f"person {people[number]:07d}",
            "landmarks": points[size],
            "scheme": "five",
        }
        for number, (picture, size) in enumerate(zip(pictures, sizes, strict=True))
    ]
    return to_records(rows, str(path))


def people_of(pictures: Sequence[bytes], same: Sequence[bool]) -> npt.NDArray[np.intp]:
    """Return a number (2n,) of each person, that of the first picture: people are linked by equal bytes and genuine pairs."""
    hashes = [hashlib.sha256(picture).digest() for picture in pictures]
    first = {digest: number for number, digest in reversed(list(enumerate(hashes)))}
    known = np.array([first[digest] for digest in hashes], dtype=np.intp)
    genuine = 2 * np.flatnonzero(same)
    sides = np.concatenate([[np.arange(len(known)), known], [genuine, genuine + 1]], axis=1)
    return linked(sides[0], sides[1], len(known))


def read_pairs(data_root: str | Path | None, name: str, folder: str = "verification") -> PairList:
    """Return the pairs of a set, in ten consecutive folds."""
    path = _path(data_root, name, folder)
    truth = read_bin(path)[1]
    _count(path, name, len(truth))
    return as_pairs(truth, path)


def as_pairs(truth: Sequence[bool], path: Path) -> PairList:
    """Return the pairs of a file, in ten consecutive folds."""
    same = np.array(truth, dtype=bool)
    ids = np.array([f"{number:07d}" for number in range(2 * len(same))])
    return PairList(ids[::2], ids[1::2], same, consecutive_folds(len(same)), str(path))


def _count(path: Path, name: str, pairs: int) -> None:
    """Refuse a copy of another size than the official one; sets that are not listed, and miniatures, are not counted."""
    if (path.parent / MANIFEST).is_file():
        return
    if COUNTS.get(name, pairs) != pairs:
        raise FormatError(path, None, f"{pairs} pairs, the official set has {COUNTS[name]}", REMEDY)
