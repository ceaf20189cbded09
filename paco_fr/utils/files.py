"""Writing that is whole or absent, folders that one run owns, and where the cache lives."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from paco_fr.utils.errors import BusyError, PacoError


def cache_folder(name: str) -> Path:
    """Return (and make) a folder under ``PACO_CACHE``, by default ``~/.cache/paco-eval``."""
    root = Path(os.environ.get("PACO_CACHE") or Path.home() / ".cache" / "paco-eval")
    folder = root / name
    writable_folder(folder)
    return folder


def writable_folder(folder: Path) -> Path:
    """Make a folder if need be and make sure that it can be written, or say so."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise PacoError(f"Cannot write to {folder}: {error.strerror}. Choose another folder.") from error
    return folder


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` that takes its name once the block ends without error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder that takes the name ``path`` once the block ends without error.

    Where another process was faster, its folder stands: both made the same.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield temporary
        try:
            temporary.rename(path)
        except OSError:
            if not path.is_dir():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def owned_folder(folder: Path, *, wait: bool = False) -> Iterator[Path]:
    """Hold a folder for one run; a second run into it waits or is told so at once (:class:`BusyError`)."""
    writable_folder(folder)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            raise BusyError(
                f"Another run is writing to {folder}. Wait for it or choose another --out."
            ) from error
        yield folder
