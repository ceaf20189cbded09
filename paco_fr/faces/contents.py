"""What files hold, as sha256: read once, and remembered for as long as the file is the same.

Names and sizes do not tell pictures apart: one that was replaced by another of its size is another. So whatever
names data (records, crops, features) asks here. A digest is remembered under ``PACO_CACHE`` by what changes with a
file: its real path, size, times of its contents and of its entry (in ns), and inode. A file that was written within
the last moments is not remembered, because a second writing could fall on the same tick of the clock. What cannot be
remembered is only read again.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import cache
from pathlib import Path

from paco_fr.utils.errors import PacoError
from paco_fr.utils.files import cache_folder

TICK = 50_000_000
"""Nanoseconds within which two writings of a file may bear the same time."""
AT_ONCE = 500
"""Paths that are looked up together."""
MANY = 100
"""Files from which on their digests are remembered together, too, which is found sooner than one by one."""
PIECE = 1 << 20
"""Bytes that are read at once."""

State = tuple[int, int, int, int]
"""Size, mtime_ns, ctime_ns and inode."""


def contents_of(paths: Sequence[str | os.PathLike[str]]) -> list[bytes | None]:
    """Return the sha256 (32 bytes) of each file, None where it cannot be read."""
    real = cache(os.path.realpath)  # of a folder; a link to a file is told apart by what it leads to
    parts = (os.path.split(os.fspath(path)) for path in paths)
    places = [os.path.join(real(folder), name) for folder, name in parts]  # noqa: PTH118
    states = {place: _state(place) for place in dict.fromkeys(places)}
    name = _list_name(states) if len(states) >= MANY else b""
    if name and (whole := _listed(name, len(states))):
        digests = dict(zip(states, whole, strict=True))
        return [digests[place] for place in places]
    known = {
        place: digest
        for place, (state, digest) in _remembered(list(states)).items()
        if states[place] == state
    }
    unknown = [place for place, state in states.items() if state is not None and place not in known]
    fresh: dict[str, tuple[State, bytes]] = {}
    if unknown:
        with ThreadPoolExecutor(min(8, len(os.sched_getaffinity(0)) + 1)) as pool:
            for place, digest in zip(unknown, pool.map(_digest, unknown, chunksize=64), strict=True):
                if digest is None:
                    continue
                known[place] = digest
                before, after = states[place], _state(place)
                if after is not None and before == after and time.time_ns() - max(after[1:3]) > TICK:
                    fresh[place] = after, digest
        _remember(fresh)
    if name and all(place in fresh for place in unknown) and len(known) == len(states):
        _remember_list(name, b"".join(known[place] for place in states))
    return [known.get(place) for place in places]


def _state(place: str) -> State | None:
    try:
        found = os.stat(place)  # noqa: PTH116 - asked for a hundred thousand files
    except (OSError, ValueError):
        return None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _digest(place: str) -> bytes | None:
    digest = hashlib.sha256()
    try:
        with open(place, "rb", buffering=0) as file:  # noqa: PTH123 - a Path costs as much as the reading
            while piece := file.read(PIECE):
                digest.update(piece)
    except (OSError, ValueError):
        return None
    return digest.digest()


def _file() -> Path:
    return cache_folder("contents") / "files.sqlite"


def _open() -> sqlite3.Connection:
    connection = sqlite3.connect(_file(), timeout=10)
    connection.execute(
        "CREATE TABLE IF NOT EXISTS files (place BLOB PRIMARY KEY, size INTEGER, mtime INTEGER, ctime INTEGER, "
        "inode TEXT, digest BLOB, proof INTEGER)"
    )
    connection.execute(
        "CREATE TABLE IF NOT EXISTS lists (name BLOB PRIMARY KEY, digests BLOB, proof INTEGER)"
    )
    return connection


def _proof(place: str, state: State, digest: bytes) -> int:
    """Return what shows that a line of the memory is whole."""
    return zlib.crc32(b"%b %d %d %d %d %b" % (os.fsencode(place), *state, digest))


def _list_name(states: dict[str, State | None]) -> bytes:
    """Return the hash of files as they are now."""
    digest = hashlib.sha256()
    for place, state in states.items():
        digest.update(b"%b %d %d %d %d\0" % (os.fsencode(place), *(state or (-1, -1, -1, -1))))
    return digest.digest()


def _listed(name: bytes, count: int) -> list[bytes]:
    """Return the digests of files that were remembered together, nothing where they were not or are damaged."""
    with suppress(sqlite3.Error, PacoError, TypeError), closing(_open()) as connection:
        line = connection.execute("SELECT digests, proof FROM lists WHERE name = ?", (name,)).fetchone()
        if line is not None and zlib.crc32(name + line[0]) == line[1] and len(line[0]) == 32 * count:
            return [line[0][at : at + 32] for at in range(0, len(line[0]), 32)]
    return []


def _remember_list(name: bytes, digests: bytes) -> None:
    with suppress(sqlite3.Error, PacoError), closing(_open()) as connection, connection:
        connection.execute(
            "INSERT OR REPLACE INTO lists VALUES (?, ?, ?)", (name, digests, zlib.crc32(name + digests))
        )


def _remembered(places: list[str]) -> dict[str, tuple[State, bytes]]:
    found: dict[str, tuple[State, bytes]] = {}
    try:
        with closing(_open()) as connection:
            for at in range(0, len(places), AT_ONCE):
                asked = [os.fsencode(place) for place in places[at : at + AT_ONCE]]
                lines = connection.execute(
                    "SELECT place, size, mtime, ctime, inode, digest, proof FROM files "
                    f"WHERE place IN ({','.join('?' * len(asked))})",
                    asked,
                )
                for raw, size, mtime, ctime, inode, digest, proof in lines:
                    with suppress(TypeError, ValueError):
                        place = os.fsdecode(raw)
                        state = (int(size), int(mtime), int(ctime), int(inode))
                        if _proof(place, state, digest) == proof:
                            found[place] = state, digest
    except (sqlite3.Error, PacoError):
        return found
    return found


def _remember(fresh: dict[str, tuple[State, bytes]]) -> None:
    lines = [
        (os.fsencode(place), *state[:3], str(state[3]), digest, _proof(place, state, digest))
        for place, (state, digest) in fresh.items()
    ]
    try:
        with closing(_open()) as connection, connection:
            connection.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?)", lines)
    except sqlite3.DatabaseError as error:
        if not isinstance(error, sqlite3.OperationalError):  # not full or busy but damaged: begun anew
            with suppress(OSError, PacoError):
                _file().unlink()
    except PacoError:
        return
