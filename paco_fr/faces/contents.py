"""What files hold: their sha256, and the size of the picture in them, read once and remembered while they stay the same.

Names and sizes do not tell pictures apart: one that was replaced by another of its size is another. So whatever
names data (records, crops, features) asks here. What was read is remembered under ``PACO_CACHE`` by what changes with
a file: its real path, size, times of its contents and of its entry (in ns), and inode. A file that was written within
the last moments is not remembered, because a second writing could fall on the same tick of the clock. What cannot be
remembered is only read again.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import struct
import time
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from pathlib import Path

from paco_fr.faces.decode import ImageError, image_size
from paco_fr.faces.listing import as_path
from paco_fr.utils.errors import PacoError
from paco_fr.utils.files import cache_folder
from paco_fr.utils.progress import tracked

NAME = "files-2.sqlite"
"""The memory. Its number is that of the format, and of what a header was understood to say."""
TICK = 50_000_000
"""Nanoseconds within which two writings of a file may bear the same time."""
AT_ONCE = 500
"""Paths that are looked up together."""
MANY = 100
"""Files from which on what they hold is remembered together, too, which is found sooner than one by one."""
LISTS = 100
"""Lists of files that are remembered together."""
PIECE = 1 << 20
"""Bytes that are read at once."""

State = bytes
"""Size, mtime_ns, ctime_ns and inode in words; empty of a file that is not there."""
Seen = tuple[bytes, int, int]
"""The sha256 of a file, height and width of the upright picture; 0 x 0 where nobody asked, or nothing can be read."""
_LINE = struct.Struct("<32sII")

_looked_at: ContextVar[dict[str, Seen | None] | None] = ContextVar("looked_at", default=None)


@contextmanager
def one_look() -> Iterator[None]:
    """Within, a file is looked at once: what it held then is what it holds, whoever asks."""
    if _looked_at.get() is not None:
        yield
        return
    token = _looked_at.set({})
    try:
        yield
    finally:
        _looked_at.reset(token)


def contents_of(paths: Sequence[str | os.PathLike[str]]) -> list[bytes | None]:
    """Return the sha256 (32 bytes) of each file, None where it cannot be read.

    Args:
        paths: or what :func:`paco_fr.faces.listing.as_text` made of them.

    """
    return [None if seen is None else seen[0] for seen in _look(paths, sized=False)]


def sizes_of(paths: Sequence[str | os.PathLike[str]]) -> list[tuple[int, int] | None]:
    """Return (height, width) of the upright picture in each file, None where none can be read."""
    return [None if seen is None or not seen[1] else seen[1:] for seen in _look(paths, sized=True)]


def _look(paths: Sequence[str | os.PathLike[str]], *, sized: bool) -> list[Seen | None]:
    names = [os.fspath(path) for path in paths]
    known = _looked_at.get()
    known = {} if known is None else known
    new = [name for name in dict.fromkeys(names) if name not in known or (sized and _lacks_size(known[name]))]
    if new:
        known.update(zip(new, _seen(new, sized=sized), strict=True))
    return [known[name] for name in names]


def _lacks_size(seen: Seen | None) -> bool:
    return seen is not None and not seen[1]


def _seen(names: list[str], *, sized: bool) -> list[Seen | None]:
    """Return what files hold, from the memory where they are as they were."""
    places, states = _found(names)
    whole = _list_name(states) if len(states) >= MANY else b""
    known = _listed(whole, states) if whole else {}
    together = bool(known)
    known = known or _remembered(states)
    wanted = [
        place
        for place, state in states.items()
        if state and (place not in known or (sized and _lacks_size(known[place])))
    ]
    fresh: dict[str, tuple[State, Seen]] = {}
    lasting = True
    if wanted:
        with ThreadPoolExecutor(min(8, len(os.sched_getaffinity(0)) + 1)) as pool:
            told = pool.map(lambda place: _read(place, known.get(place), sized), wanted, chunksize=64)
            read = zip(wanted, told, strict=True)
            for place, seen in tracked(read, "reading files", len(wanted), "file"):
                if seen is None or seen == known.get(place):
                    continue
                known[place] = seen
                if states[place] == _state(place) and _settled(states[place]):
                    fresh[place] = states[place], seen
                else:
                    lasting = False
        _remember(fresh)
    if whole and lasting and len(known) == len(states) and (fresh or not together):
        _remember_list(whole, [known[place] for place in states])
    return [known.get(place) for place in places]


def _found(names: list[str]) -> tuple[list[str], dict[str, State]]:
    """Return the place of each file, with the real path of its folder, and the states of all places.

    A link to a file is known by the state of what it leads to.
    """
    real = cache(os.path.realpath)
    places, states = [], dict[str, State]()
    for name in names:
        folder, slash, last = name.rpartition("/")
        place = f"{real(folder or slash or '.')}/{last}"
        if not (state := states.get(place) or _state(place)) and (other := as_path(name)) != name:
            place = os.path.join(real(os.path.dirname(other)), os.path.basename(other))  # noqa: PTH118, PTH119, PTH120
            state = _state(place)
        places.append(place)
        states[place] = state
    return places, states


def _state(place: str) -> State:
    try:
        found = os.stat(place)  # noqa: PTH116 - asked for a hundred thousand files
    except (OSError, ValueError):
        return b""
    return b"%d %d %d %d" % (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def _settled(state: State) -> bool:
    """Say whether the file was written long enough ago to be known by its times."""
    return time.time_ns() - max(map(int, state.split()[1:3])) > TICK


def _read(place: str, known: Seen | None, sized: bool) -> Seen | None:
    digest = _digest(place) if known is None else known[0]
    if digest is None:
        return None
    height = width = 0
    if sized:
        with suppress(ImageError):
            height, width = image_size(place)
    return digest, height, width


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
    return cache_folder("contents") / NAME


def _open() -> sqlite3.Connection:
    connection = sqlite3.connect(_file(), timeout=10)
    connection.execute(
        "CREATE TABLE IF NOT EXISTS files (place BLOB PRIMARY KEY, state BLOB, seen BLOB, proof INTEGER)"
    )
    connection.execute("CREATE TABLE IF NOT EXISTS lists (name BLOB PRIMARY KEY, seen BLOB, proof INTEGER)")
    return connection


def _list_name(states: dict[str, State]) -> bytes:
    """Return the hash of files as they are now."""
    words = os.fsencode("\0".join(states)) + b"\0\0" + b"\0".join(states.values())
    return hashlib.sha256(words).digest()


def _listed(name: bytes, states: dict[str, State]) -> dict[str, Seen]:
    """Return what files hold that were remembered together, nothing where they were not or it is damaged."""
    with suppress(sqlite3.Error, PacoError, TypeError), closing(_open()) as connection:
        line = connection.execute("SELECT seen, proof FROM lists WHERE name = ?", (name,)).fetchone()
        if (
            line is not None
            and zlib.crc32(name + line[0]) == line[1]
            and len(line[0]) == _LINE.size * len(states)
        ):
            return dict(zip(states, _LINE.iter_unpack(line[0]), strict=True))
    return {}


def _remember_list(name: bytes, seen: list[Seen]) -> None:
    packed = b"".join(_LINE.pack(*each) for each in seen)
    with suppress(sqlite3.Error, PacoError), closing(_open()) as connection, connection:
        connection.execute(
            "INSERT OR REPLACE INTO lists VALUES (?, ?, ?)", (name, packed, zlib.crc32(name + packed))
        )
        connection.execute("DELETE FROM lists WHERE rowid <= (SELECT max(rowid) FROM lists) - ?", (LISTS,))


def _proof(place: bytes, state: State, seen: bytes) -> int:
    """Return what shows that a line of the memory is whole."""
    return zlib.crc32(b"\0".join((place, state, seen)))


def _remembered(states: dict[str, State]) -> dict[str, Seen]:
    """Return what those files hold that are as they were when they were read."""
    found: dict[str, Seen] = {}
    places = list(states)
    with suppress(sqlite3.Error, PacoError), closing(_open()) as connection:
        for at in range(0, len(places), AT_ONCE):
            asked = [os.fsencode(place) for place in places[at : at + AT_ONCE]]
            lines = connection.execute(
                f"SELECT place, state, seen, proof FROM files WHERE place IN ({','.join('?' * len(asked))})",
                asked,
            )
            for raw, state, seen, proof in lines:
                with suppress(TypeError, ValueError, struct.error):
                    place = os.fsdecode(raw)
                    if _proof(raw, state, seen) == proof and states[place] == state:
                        found[place] = _LINE.unpack(seen)
    return found


def _remember(fresh: dict[str, tuple[State, Seen]]) -> None:
    lines = []
    for place, (state, seen) in fresh.items():
        raw, packed = os.fsencode(place), _LINE.pack(*seen)
        lines.append((raw, state, packed, _proof(raw, state, packed)))
    try:
        with closing(_open()) as connection, connection:
            connection.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", lines)
    except sqlite3.DatabaseError as error:
        if not isinstance(error, sqlite3.OperationalError):  # not full or busy but damaged: begun anew
            with suppress(OSError, PacoError):
                _file().unlink()
    except PacoError:
        return
