"""Writing that is whole or absent, what cannot be believed put aside, folders that one run owns, and the cache.

**Files** are written under a temporary name beside their own, forced to the disk and renamed, so that a reader sees
the old one or the new one, whole, whatever is killed, and whichever disk is full. The temporary name holds host,
process and a random part; those of dead writers of this host, and of other hosts after a day, are swept when a process
first opens the folder. Their mode is that of any other new file, as the umask has it.

**Several machines on one folder** need nothing of this but a rename that is atomic, which NFS has. Locks
(:func:`owned_folder`, :func:`hold`) are ``flock``: they hold between machines only where the file system passes them
on, as NFS of Linux does.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

import xxhash

from paco_fr.utils.errors import BusyError, PacoError, one_line
from paco_fr.utils.untrusted import RESTORE, read_json

SETTINGS = "settings.json"
"""File in a folder that notes what it was made with."""
DAMAGED = ".damaged"
"""Ending of what could not be read or did not fit its checksum, and was made again."""
FREE_SPACE = "Free some space or mend the permissions, then run the same command again."
DAY = 86_400
"""Seconds after which a temporary file of another host, or of an earlier version, is taken for left behind."""

_TEMPORARY = re.compile(r"\..+\.(?P<host>[^.]+)\.(?P<pid>[0-9]+)\.[0-9a-f]{8}\.tmp")
_EARLIER = re.compile(r"\..+\.[0-9]+\.tmp")
_swept: set[Path] = set()
_held: dict[Path, IO[bytes]] = {}


class WriteError(PacoError):
    """What the file system refused, with what it said.

    Args:
        what: that could not be written, e.g. a path.
        said: by the system.
        advice: what to do about it.

    """

    def __init__(self, what: object, said: object, advice: str) -> None:
        super().__init__(f"Cannot write {what}: {said}. {advice}")
        self.said = said


def cache_root() -> Path:
    """Return ``PACO_CACHE``, by default ``~/.cache/paco-eval``."""
    return Path(os.environ.get("PACO_CACHE") or Path.home() / ".cache" / "paco-eval")


def cache_folder(name: str) -> Path:
    """Return (and make) a folder of the cache."""
    return writable_folder(cache_root() / name)


def writable_folder(folder: Path) -> Path:
    """Make a folder if need be and make sure that it can be written, or say so."""
    with writing(f"to {folder}", "Choose another folder."):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    sweep_once(folder)
    return folder


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` that takes its name once the block ends without error.

    Raises:
        WriteError: the file system refuses, e.g. for want of room; the message names ``path``.

    """
    temporary = _temporary(path)
    try:
        with writing(path, FREE_SPACE, within=temporary):
            path.parent.mkdir(parents=True, exist_ok=True)
            sweep_once(path.parent)
            os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
            mode = temporary.stat().st_mode & 0o777
            yield temporary
            temporary.chmod(mode)  # some libraries write a file of their own, for their user alone
            sync(temporary)
            temporary.replace(path)
            sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder that takes the name ``path`` once the block ends without error.

    Where another process was faster, its folder stands: both made the same.

    Raises:
        WriteError: the file system refuses.

    """
    temporary = _temporary(path)
    try:
        with writing(path, FREE_SPACE, within=temporary):
            path.parent.mkdir(parents=True, exist_ok=True)
            sweep_once(path.parent)
            temporary.mkdir()
            yield temporary
            for each in sorted(temporary.rglob("*")):
                sync(each)
            sync(temporary)
            try:
                temporary.rename(path)
            except OSError:
                if not path.is_dir():
                    raise
            sync(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_text(path: Path, text: str) -> Path:
    """Write a text file, whole or not at all, and return its path."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def sync(path: Path) -> None:
    """Force a file, or the names in a folder, to the disk where the file system can."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    except OSError as error:  # a file system without it; want of room is told here, too
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EROFS):
            raise
    finally:
        os.close(number)


def sweep(folder: Path) -> list[Path]:
    """Remove and return the temporary files and folders that dead writers left in a folder.

    Those are of processes of this host that are gone; of other hosts, or of earlier versions, what nobody
    wrote to for a day.
    """
    removed = []
    with suppress(OSError):
        for path in folder.iterdir():
            if path.name.startswith(".") and _left_behind(path):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    with suppress(OSError):
                        path.unlink()
                removed.append(path)
    return removed


def remove_torn(*folders: Path) -> None:
    """Remove the files that killed writers left half-written in folders. Only their owner may call this."""
    for folder in folders:
        for path in folder.glob(".*.tmp"):
            if path.is_file():
                path.unlink(missing_ok=True)


def sweep_once(folder: Path) -> None:
    """Sweep a folder the first time that this process comes by."""
    if folder not in _swept:
        _swept.add(folder)
        sweep(folder)


def _left_behind(path: Path) -> bool:
    found = _TEMPORARY.fullmatch(path.name)
    if found is not None and found["host"] == host():
        return not _alive(int(found["pid"]))
    if found is None and _EARLIER.fullmatch(path.name) is None:
        return False
    try:
        return time.time() - path.stat().st_mtime > DAY
    except OSError:
        return False


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # of another user
        return True
    return True


def _temporary(path: Path) -> Path:
    name = path.name.encode()[:120].decode(errors="ignore")
    return path.with_name(f".{name}.{host()}.{os.getpid()}.{secrets.token_hex(4)}.tmp")


@cache
def host() -> str:
    """Return a name of this machine and of what its process numbers count in: containers have numbers of their own."""
    name = re.sub(r"[^A-Za-z0-9-]", "-", os.uname().nodename)[:40] or "host"
    try:
        return f"{name}-{Path('/proc/self/ns/pid').stat().st_ino:x}"
    except OSError:
        return name


def checksum(*parts: Any) -> str:
    """Return 32 hex digits of bytes, arrays in C order or text: against accidents, not against intent, at memory speed."""
    digest = xxhash.xxh3_128()
    for part in parts:
        digest.update(part.encode() if isinstance(part, str) else memoryview(part).cast("B"))
    return digest.hexdigest()


def file_checksum(path: Path) -> str:
    """Return the checksum of a file, read in pieces."""
    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def put_aside(path: Path, why: object) -> None:
    """Rename a stored file or folder that cannot be believed to ``NAME.damaged``, and say so in a line.

    Args:
        path: what is damaged; it may be gone already, another process met it, too.
        why: what is wrong with it, e.g. an error.

    Raises:
        PacoError: it cannot be renamed.

    """
    aside = path.with_name(f"{path.name}{DAMAGED}")
    try:
        if path.is_dir():
            shutil.rmtree(aside, ignore_errors=True)
        path.replace(aside)
    except FileNotFoundError:
        return
    except OSError as error:
        raise PacoError(
            f"{path} is damaged and cannot be put aside ({error.strerror}). Remove it."
        ) from error
    said = one_line(why, 500).replace(RESTORE, "").removeprefix(str(path)).strip(" ,:.")
    sys.stderr.write(f"Damaged: {path}: {said}. Put aside as {aside.name}, made again.\n")
    sys.stderr.flush()


def never_onto(out: Path, *read: Path) -> None:
    """Refuse to write onto, or into, what the same command reads.

    Args:
        out: file or folder to be written.
        read: files and folders that are read.

    Raises:
        PacoError: one of them is ``out``, by whatever path.

    """
    for path in read:
        with suppress(OSError):
            if out.resolve() == path.resolve() or (out.exists() and path.exists() and out.samefile(path)):
                raise PacoError(
                    f"{out} is what is read: writing there would destroy it. Choose another --out."
                )


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


def hold(path: Path) -> None:
    """Keep an entry of the cache, ``KIND/NAME``, from being pruned for as long as this process runs."""
    with suppress(OSError):
        os.utime(path)  # when it was last of use, for pruning
    while path not in _held:
        lock = _use_lock(path)
        fcntl.flock(lock, fcntl.LOCK_SH)
        if _same_file(lock, _use_path(path)):
            _held[path] = lock
        else:  # it was pruned in between
            lock.close()


@contextmanager
def unheld(path: Path) -> Iterator[bool]:
    """Say whether no process holds an entry of the cache; none can begin to until the block ends."""
    with _use_lock(path) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
        _use_path(path).unlink(missing_ok=True)


def _use_path(path: Path) -> Path:
    return path.parent.with_name("users") / f"{path.parent.name}-{path.name}.use"


def _use_lock(path: Path) -> IO[bytes]:
    name = _use_path(path)
    name.parent.mkdir(parents=True, exist_ok=True)
    return os.fdopen(os.open(name, os.O_RDWR | os.O_CREAT, 0o666), "rb")


def _same_file(file: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


@contextmanager
def writing(
    what: object, advice: str, *, wrapped: type[Exception] = OSError, within: Path | None = None
) -> Iterator[None]:
    """Turn what the file system refuses, a full disk first of all, into an error with advice.

    Args:
        what: what is written, e.g. a path.
        advice: what to do about it, and what is kept.
        wrapped: the error in which a library hides that of the file system.
        within: path that is written; errors that are of other files pass. By default every error counts.

    Raises:
        WriteError: instead of what the system or a library raised; of one with other advice, with this.

    """
    try:
        yield
    except WriteError as error:
        if within is not None:
            raise
        raise WriteError(what, error.said, advice) from error
    except Exception as error:
        if isinstance(error, PacoError):
            raise
        said = _refused(error, within) if within is not None else None
        if said is None and (within is not None or not isinstance(error, (OSError, wrapped))):
            raise
        if said is None:
            cause = error if isinstance(error, OSError) else error.__cause__ or error.__context__ or error
            said = getattr(cause, "strerror", None) or cause
        raise WriteError(what, said, advice) from error


def _refused(error: BaseException, written: Path) -> object | None:
    """Return what the file system says about a file that is written, however a library wraps it; None if nothing."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        if isinstance(cause, OSError):
            own = cause.filename is None or str(cause.filename).startswith(str(written)) or (
                str(cause.filename) == str(written.parent)
            )  # fmt: skip
            if cause.errno is not None and own:
                return cause.strerror
            if "requested and" in str(cause):  # numpy counts what was written
                return cause
        cause = cause.__cause__ or cause.__context__
    kind = type(error).__name__
    if (kind == "SafetensorError" and any(word in str(error) for word in ("os error", "I/O", "IoError"))) or (
        kind == "RuntimeError" and ("PytorchStreamWriter" in str(error) or "inline_container" in str(error))
    ):
        return one_line(error)
    return None


def full_disk(error: OSError) -> str | None:
    """Return a line about a file system that takes no more, None of any other error."""
    if error.errno not in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EROFS):
        return None
    what = error.filename or "what was to be written"
    return f"Cannot write {what}: {error.strerror}. {FREE_SPACE}"


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
    moved: Callable[[Mapping[str, Any]], Collection[str]] = lambda found: (),
) -> None:
    """Note in a folder with which settings it is made, or refuse to go on in one that was made with others.

    Args:
        folder: what is made with these settings lies here.
        wanted: the settings, plain values.
        made: how, e.g. ``packed``.
        advice: what to do about another setting.
        later: settings that files written before they existed lack, with what they were then.
        moved: given what is noted, the names of settings that may differ, such as where a source lies; if nothing else
            does, they are noted anew.

    Raises:
        PacoError: another setting is noted, or what is noted cannot be read.

    """
    path, noted = folder / SETTINGS, json.dumps(wanted, indent=1)
    if not path.is_file():
        write_text(path, noted)
        return
    advice_on_damage = f"It does not say how {folder} was {made}. Choose another."
    found = {**(later or {}), **read_json(path, advice_on_damage)}
    if lacking := [name for name in wanted if name not in found]:
        raise PacoError(f"{path} does not say how {folder} was {made}: no {lacking[0]}. Choose another.")
    present = {**found, **{name: wanted[name] for name in moved(found)}}
    if other := first_difference(present, wanted):
        raise PacoError(
            f"{folder} was {made} with {other[0]} {one_line(other[1])}, not {one_line(other[2])}. {advice}"
        )
    if present != found:
        write_text(path, noted)
