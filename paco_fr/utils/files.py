"""Writing that is whole or absent, folders that one run owns and settings made, and where the cache lives."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from paco_fr.utils.errors import BusyError, PacoError, one_line
from paco_fr.utils.untrusted import read_json

SETTINGS = "settings.json"
"""File in a folder that notes what it was made with."""


def cache_folder(name: str) -> Path:
    """Return (and make) a folder under ``PACO_CACHE``, by default ``~/.cache/paco-eval``."""
    root = Path(os.environ.get("PACO_CACHE") or Path.home() / ".cache" / "paco-eval")
    folder = root / name
    writable_folder(folder)
    return folder


def writable_folder(folder: Path) -> Path:
    """Make a folder if need be and make sure that it can be written, or say so."""
    with writing(f"to {folder}", "Choose another folder."):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
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


@contextmanager
def writing(what: object, advice: str, *, wrapped: type[Exception] = OSError) -> Iterator[None]:
    """Turn what the file system refuses, a full disk first of all, into an error with advice.

    Args:
        what: what is written, e.g. a path.
        advice: what to do about it, and what is kept.
        wrapped: the error in which a library hides that of the file system.

    """
    try:
        yield
    except (OSError, wrapped) as error:
        cause = error if isinstance(error, OSError) else error.__cause__ or error.__context__ or error
        said = getattr(cause, "strerror", None) or cause
        raise PacoError(f"Cannot write {what}: {said}. {advice}") from error


def first_difference(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> tuple[str, Any, Any] | None:
    """Return name, found value and wanted value of the first setting that is another, or None if all agree."""
    for name, value in wanted.items():
        if found.get(name) != value:
            return name, found.get(name), value
    return None


def same_settings(
    folder: Path,
    wanted: Mapping[str, Any],
    *,
    made: str,
    advice: str,
    later: Mapping[str, Any] | None = None,
) -> None:
    """Note in a folder with which settings it is made, or refuse to go on in one that was made with others.

    Args:
        folder: what is made with these settings lies here.
        wanted: the settings, plain values.
        made: how, e.g. ``packed``.
        advice: what to do about another setting.
        later: settings that files written before they existed lack, with what they were then.

    Raises:
        PacoError: another setting is noted, or what is noted cannot be read.

    """
    path = folder / SETTINGS
    if not path.is_file():
        with atomic_file(path) as temporary:
            temporary.write_text(json.dumps(wanted, indent=1), encoding="utf-8")
        return
    advice_on_damage = f"It does not say how {folder} was {made}. Choose another."
    found = {**(later or {}), **read_json(path, advice_on_damage)}
    if lacking := [name for name in wanted if name not in found]:
        raise PacoError(f"{path} does not say how {folder} was {made}: no {lacking[0]}. Choose another.")
    if other := first_difference(found, wanted):
        raise PacoError(
            f"{folder} was {made} with {other[0]} {one_line(other[1])}, not {one_line(other[2])}. {advice}"
        )
