"""Verification sets as one ``.bin`` file: LFW, CFP-FP, CFP-FF, AgeDB-30, CALFW, CPLFW, masked MLFW and LFW-M.

The file is a pickle, written by Python 2, of ``(pictures, same)``: 2n encoded pictures and n truth values;
pair i shows pictures 2i and 2i + 1. All pictures are faces of 112 x 112 already aligned to the ``arcface``
template, so the records carry the template's own points and its crop changes nothing.

A pickle can name functions and call them when it is read. This one is read by an unpickler that admits
:data:`ADMITTED` alone, which is what these files were ever seen to hold beside plain lists and strings.
Who is shown is not in the file: every pair is a group of its own.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from paco_fr.faces.crop import template_points
from tasks.lists import PairList
from tasks.metrics.folds import consecutive_folds
from tasks.readers.dataset_info import VERIFICATION_PAIRS
from tasks.readers.files import FormatError, require, require_folder, to_records
from tasks.task import MANIFEST

OBTAIN = "Put the file there; most come with the training packs of insightface (recognition/_datasets_)."
REMEDY = "Download the .bin file again from its official source."

ADMITTED: dict[tuple[str, str], Any] = {
    ("numpy", "dtype"): np.dtype,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy.core.multiarray", "scalar"): np.int64(0).__reduce__()[0],
    ("numpy._core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy._core.multiarray", "scalar"): np.int64(0).__reduce__()[0],
    ("_codecs", "encode"): None,  # replaced below: Python 3 writes bytes for old protocols through it
}
"""Globals that a pickle may name: numpy arrays and scalars of plain numbers, and bytes written as text."""

COUNTS = VERIFICATION_PAIRS
CANVAS = 112
_ARCHIVES = (b"PK\x03\x04", b"\x1f\x8b", b"Rar!", b"7z\xbc\xaf")  # how zip, gzip, rar and 7z files begin


class _RefusedError(Exception):
    """What a pickle asks for that is not admitted."""


def _latin1(text: str, encoding: str = "latin1") -> bytes:
    if encoding != "latin1":
        raise _RefusedError(f"text encoded as {encoding}")
    return text.encode("latin1")


ADMITTED["_codecs", "encode"] = _latin1


class _Restricted(pickle.Unpickler):
    """Admits :data:`ADMITTED` and nothing else, whatever the pickle asks for."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ADMITTED:
            raise _RefusedError(f"{module}.{name}")
        return ADMITTED[module, name]


def read_bin(path: str | Path) -> tuple[list[bytes], list[bool]]:
    """Return the 2n encoded pictures and n truth values of a ``.bin`` file.

    Raises:
        MissingDataError: there is no such file.
        FormatError: not a pickle, one that names a global that is not admitted, or not such a pair.

    """
    path = Path(path)
    data = require(path, OBTAIN)
    if data.is_dir():
        raise FormatError(path, None, "is a folder, one .bin file is expected", REMEDY)
    content = data.read_bytes()
    if content.startswith(_ARCHIVES):
        raise FormatError(path, None, "is an archive, one .bin file is expected", "Unpack it.")
    try:
        found = _Restricted(io.BytesIO(content), encoding="bytes").load()
    except _RefusedError as error:
        names = ", ".join(sorted({".".join(name) for name in ADMITTED}))
        raise FormatError(
            path, None, f"was not read, it names {error}", f"Only {names} are admitted in a pickle. {REMEDY}"
        ) from error
    except Exception as error:  # a damaged pickle raises whatever its bytes spell
        raise FormatError(
            path, None, f"is no whole pickle ({type(error).__name__}: {error})", REMEDY
        ) from error
    if not isinstance(found, (tuple, list)) or len(found) != 2:
        raise FormatError(path, None, "does not hold pictures and truth values", REMEDY)
    pictures, same = found
    if not isinstance(pictures, (list, tuple)) or not isinstance(same, (list, tuple, np.ndarray)):
        raise FormatError(path, None, "does not hold a list of pictures and one of truth values", REMEDY)
    if len(pictures) != 2 * len(same) or not len(same):
        raise FormatError(path, None, f"{len(pictures)} pictures do not make {len(same)} pairs", REMEDY)
    return [_bytes(path, n, cell) for n, cell in enumerate(pictures)], [
        _truth(path, n, v) for n, v in enumerate(same)
    ]


def _bytes(path: Path, number: int, cell: Any) -> bytes:
    if isinstance(cell, np.ndarray) and cell.dtype == np.uint8:
        return cell.tobytes()
    if isinstance(cell, (bytes, bytearray)):
        return bytes(cell)
    raise FormatError(path, None, f"picture {number} is a {type(cell).__name__}, not encoded bytes", REMEDY)


def _truth(path: Path, number: int, value: Any) -> bool:
    if isinstance(value, (bool, np.bool_, int, np.integer)) and int(value) in (0, 1):
        return bool(value)
    raise FormatError(path, None, f"truth value {number} is {value!r}, expected true or false", REMEDY)


def _path(data_root: str | Path | None, name: str, folder: str) -> Path:
    return require_folder(Path(data_root or ".") / folder, OBTAIN) / f"{name}.bin"


def read_pictures(data_root: str | Path | None, name: str, folder: str = "verification") -> Dataset:
    """Return the pictures of a set in their order, ``image_id`` "0000000" on; pair i is the group "pair i".

    A picture that does not decode stays a record; reading it fails and is counted.
    """
    path = _path(data_root, name, folder)
    pictures, same = read_bin(path)
    _count(path, name, len(same))
    points = template_points("arcface", CANVAS).tolist()
    rows = [
        {
            "image": {"bytes": picture, "path": None},
            "image_id": f"{number:07d}",
            "group": f"pair {number // 2:06d}",
            "landmarks": points,
            "scheme": "five",
        }
        for number, picture in enumerate(pictures)
    ]
    return to_records(rows, str(path))


def read_pairs(data_root: str | Path | None, name: str, folder: str = "verification") -> PairList:
    """Return the pairs of a set, in ten consecutive folds."""
    path = _path(data_root, name, folder)
    same = np.array(read_bin(path)[1], dtype=bool)
    _count(path, name, len(same))
    ids = np.array([f"{number:07d}" for number in range(2 * len(same))])
    return PairList(ids[::2], ids[1::2], same, consecutive_folds(len(same)), str(path))


def _count(path: Path, name: str, pairs: int) -> None:
    """Refuse a copy of another size than the official one; sets that are not listed, and miniatures, are not counted."""
    if (path.parent / MANIFEST).is_file():
        return
    if COUNTS.get(name, pairs) != pairs:
        raise FormatError(path, None, f"{pairs} pairs, the official set has {COUNTS[name]}", REMEDY)
