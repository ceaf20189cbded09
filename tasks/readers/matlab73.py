"""Cells of pictures and matrices in Matlab files of version 7.3, which are HDF5.

HDF5 can name other files as the place of its data, links into other files, filters that are loaded from disk, and
pictures of any size in a few bytes. Here only what lies in the file itself is read, of bounded size, and by a process
that may crash (:mod:`tasks.readers.apart`), for the library does so on damaged files.
"""

from __future__ import annotations

from itertools import accumulate
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from paco_fr.faces.decode import encode_png
from paco_fr.utils.errors import FormatError
from tasks.readers.apart import read_apart

SIGNATURE = b"\x89HDF\r\n\x1a\n"
PLACES = (0, 512, 1024, 2048)
"""Where the content of an HDF5 file may begin; Matlab writes 512 bytes of its own before."""
PICTURE = 16_000_000
"""Pixels of one picture at most."""
RATIO = 60
"""Bytes that are unpacked at most for each byte of a file, beside the first :data:`FREE`."""
FREE = 64_000_000
FILTERS = (1, 2, 3)
"""Filters of HDF5 that unpack here: deflate, shuffle, fletcher32."""


def read_pictures(
    path: Path, cell: str, tables: tuple[str, ...], remedy: str
) -> tuple[list[bytes], list[npt.NDArray[np.float64]]]:
    """Return the pictures of a cell as PNG and matrices of numbers, axes as HDF5 has them.

    Args:
        path: of the file.
        cell: name of the variable with pictures (H, W, 3) or (H, W) of uint8.
        tables: names of the matrices.
        remedy: what to do about a bad file, a sentence.

    Raises:
        FormatError: no such file, torn, with data outside of it, of another type, or larger than admitted.

    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(PLACES[-1] + len(SIGNATURE))
    except OSError as error:
        raise FormatError(path, None, f"cannot be read ({error.strerror})", remedy) from error
    if not any(start[at:].startswith(SIGNATURE) for at in PLACES):
        raise FormatError(path, None, "is not a Matlab 7.3 file", remedy)
    budget = FREE + RATIO * size
    found = read_apart(
        f"{__name__}:_read", path, str(budget), cell, *tables,
        seconds=30 + 3e-6 * size, memory=4_000_000_000 + 3 * budget, limit=2 * budget, remedy=remedy,
    )  # fmt: skip
    ends = list(accumulate(found["lengths"].tolist()))
    data = found["pictures"].tobytes()
    pictures = [data[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]
    return pictures, [found[name].astype(np.float64) for name in tables]


def _read(path: str, budget: str, cell: str, *tables: str) -> dict[str, npt.NDArray[Any]]:
    """Return what :func:`read_pictures` needs; carried out in a process of its own."""
    left = _Budget(int(budget))
    with h5py.File(path, "r") as file:
        references = _values(_member(file, cell), h5py.ref_dtype, left).ravel()
        pictures = [_picture(file[reference], left) for reference in references]
        found = {name: _values(_member(file, name), None, left) for name in tables}
    return {
        "pictures": np.frombuffer(b"".join(pictures), np.uint8),
        "lengths": np.array([len(picture) for picture in pictures], dtype=np.int64),
        **found,
    }


class _Budget:
    """Bytes that may still be unpacked."""

    def __init__(self, left: int) -> None:
        self.left = left

    def take(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise ValueError("unpacks to far more bytes than it has")


def _member(file: h5py.File, name: str) -> Any:
    """Return a variable that lies in the file itself, not behind a link to another."""
    kind = file.get(name, getclass=True, getlink=True)
    if kind is None:
        raise ValueError(f"has no variable {name}")
    if kind is not h5py.HardLink:
        raise ValueError(f"{name} is a link to elsewhere")
    return file[name]


def _values(variable: Any, kind: Any, left: _Budget) -> npt.NDArray[Any]:
    """Return the values of a variable, of a given type or of plain numbers, once their size and place are known."""
    if not isinstance(variable, h5py.Dataset):
        raise ValueError("a variable that is no matrix")
    made = variable.id.get_create_plist()
    filters = [made.get_filter(at)[0] for at in range(made.get_nfilters())]
    if made.get_external_count() or variable.is_virtual or not set(filters) <= set(FILTERS):
        raise ValueError("a variable whose data lies outside of the file, or is packed in an unknown way")
    if variable.dtype != kind if kind is not None else variable.dtype.kind not in "fiub":
        raise ValueError(f"a variable of {variable.dtype}")
    left.take(prod(variable.shape) * variable.dtype.itemsize)
    if variable.chunks is not None and prod(variable.chunks) > max(prod(variable.shape), 2**20) * 4:
        raise ValueError("a variable in pieces larger than itself")
    return np.asarray(variable[()])


def _picture(stored: Any, left: _Budget) -> bytes:
    """Return the PNG of a picture stored as (3, W, H) or (W, H) uint8."""
    if not isinstance(stored, h5py.Dataset) or stored.dtype != np.uint8 or stored.ndim not in (2, 3):
        raise ValueError("a picture that is no matrix of uint8 with two or three axes")
    if not 0 < prod(stored.shape[-2:]) <= PICTURE or (stored.ndim == 3 and stored.shape[0] != 3):
        raise ValueError(f"a picture of shape {stored.shape}")
    return encode_png(np.ascontiguousarray(_values(stored, np.dtype(np.uint8), left).T))
