"""Who uses which features now, so that making room takes nothing from a running evaluation, of whatever process.

Each process lists the folders that it uses in a file of its own and holds a lock on that file as long as it
runs; a list that nobody holds is left from a process that died, and is removed. Lists are written and rooms are
made under one more lock, so what somebody has listed is never removed under their hands. Another machine's list is
believed for a day, whether or not the file system passes its lock on.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from paco_fr.utils.files import DAY, cache_folder, host, writing

NO_ROOM = "Free some space (`paco-eval cache prune`), or let PACO_CACHE name another folder."


@dataclass(frozen=True)
class _Use:
    list: IO[bytes]
    limit: str
    known: set[Path] = field(default_factory=set)


_current: ContextVar[_Use | None] = ContextVar("use of the cache", default=None)


@contextmanager
def keeping(limit: str = "") -> Iterator[None]:
    """Keep what is used inside until the outermost such block ends; blocks inside another change nothing.

    Args:
        limit: size that the cache is kept to, such as 20GB; by default ``PACO_CACHE_LIMIT``, empty for none.

    """
    if _current.get() is not None:
        yield
        return
    path = cache_folder("users") / f"{host()}.{os.getpid()}.{secrets.token_hex(4)}.list"
    with writing(f"to {path.parent}", NO_ROOM), alone():
        own = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666), "r+b", buffering=0)
        fcntl.flock(own, fcntl.LOCK_EX)
    with own:
        token = _current.set(_Use(own, limit or os.environ.get("PACO_CACHE_LIMIT", "")))
        try:
            yield
        finally:
            _current.reset(token)
            path.unlink(missing_ok=True)  # before the lock goes: others remove lists that nobody holds


def limit() -> str:
    """Return the size that the cache is kept to now, empty for none."""
    use = _current.get()
    return use.limit if use is not None else ""


@contextmanager
def using(folder: Path) -> Iterator[None]:
    """Use the features in a folder; they stay at least until the block ends."""
    with keeping():
        use = _current.get()
        assert use is not None
        if folder not in use.known:
            with writing("to the cache", NO_ROOM), alone():
                use.list.write(f"{folder.name}\n".encode())
            use.known.add(folder)
        yield


@contextmanager
def alone() -> Iterator[None]:
    """Hold the lock under which lists are written and folders removed."""
    with (cache_folder("users") / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def in_use() -> set[str]:
    """Return the names of the folders that any process uses; to be called under :func:`alone`."""
    found: set[str] = set()
    for path in cache_folder("users").glob("*.list"):
        with suppress(FileNotFoundError), path.open("rb") as other:  # its process may end right now
            try:
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                found |= set(other.read().decode().split())
                continue
            elsewhere = not path.name.startswith(f"{host()}.") and path.name.count(".") > 1
            if elsewhere and time.time() - path.stat().st_mtime < DAY:
                found |= set(other.read().decode().split())
            else:
                path.unlink(missing_ok=True)
    return found
