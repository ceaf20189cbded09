"""Errors that speak to the user: what is wrong, where, and what to do. A traceback is for bugs."""

from __future__ import annotations

import difflib
import reprlib
import time
import traceback
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class PacoError(Exception):
    """Something the caller can mend. The message names file, field and remedy in a line or two."""


class MissingDataError(PacoError):
    """A dataset that was asked for is not on this machine."""


class BusyError(PacoError):
    """Another run holds the folder."""


class PacoWarning(UserWarning):
    """Something that the caller should know. The message names what was found and the remedy in a line."""


def advise(text: str) -> None:
    """Say something that the caller should know, once."""
    warnings.warn(text, PacoWarning, stacklevel=2)


@contextmanager
def no_exit(name: str) -> Iterator[None]:
    """Turn what would end the process into an error of its own: only the user's interruption leaves a run."""
    try:
        yield
    except SystemExit as error:
        raise PacoError(f"{name}: its code tried to end the process (exit {error.code!r}).") from error


SHOWN = 200
"""Characters of what a file says that a message shows at most."""


class _Brief(reprlib.Repr):
    """Values in a few words, whatever their size and however they are nested."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxstring, self.maxother = 2, SHOWN, SHOWN

    def repr_int(self, x: int, level: int) -> str:
        if x.bit_length() > 3 * SHOWN:  # Python refuses to write out numbers of thousands of digits
            return f"a number of {x.bit_length()} bits"
        return repr(x)

    def repr_instance(self, x: object, level: int) -> str:
        return repr(x) if type(x).__module__ == "builtins" else f"a {type(x).__name__}"


def quoted(value: object) -> str:
    """Return what a file said as it is shown in a message: as Python writes it, cut after :data:`SHOWN` characters."""
    return one_line(_Brief().repr(value))


def one_line(text: object, limit: int = SHOWN) -> str:
    """Return a text in one line of printable characters, cut after ``limit`` of them."""
    beginning = str(text)[: 4 * limit]
    line = " ".join("".join(c if c.isprintable() else " " for c in beginning).split())
    return line if len(line) <= limit and len(str(text)) <= 4 * limit else f"{line[: limit - 4]} ..."


class FormatError(PacoError):
    """A file that departs from its format. The message names file, line and remedy.

    Args:
        path: the file, or words that name what was read.
        line: its line, from 1; None where lines mean nothing.
        problem: what is wrong; cut, for it often ends in what the file or a library says.
        remedy: what to do, a sentence.

    """

    def __init__(self, path: Path | str, line: int | None, problem: str, remedy: str) -> None:
        where = f"{path}" if line is None else f"{path}, line {line}"
        super().__init__(f"{where}: {one_line(problem, 2 * SHOWN)}. {remedy}".rstrip())


def unknown_name(what: str, name: str, known: Iterable[str]) -> PacoError:
    """Return an error for a name that nothing answers to, with the nearest names that exist."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(names)}."
    return PacoError(f"Unknown {what} '{name}'. {hint}")


LOG = "errors.log"
"""File in the folder of results that tracebacks are appended to."""


def in_a_line(error: Exception) -> str:
    """Return what an error says; of one that was not written for users its type and the beginning of its message."""
    if isinstance(error, PacoError):
        return str(error)
    return f"{type(error).__name__}: {one_line(error)}"


def reason(error: Exception, cell: str, out: Path) -> str:
    """Return why a cell failed, in a line; the traceback of anything but a PacoError goes to ``out/errors.log``.

    Args:
        error: what the cell raised.
        cell: task and encoder, for the log.
        out: folder of results.

    """
    if isinstance(error, PacoError):
        return str(error)
    log = out / LOG
    with suppress(OSError):  # a disk without room for it still gets its line
        out.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {cell}\n")
            file.write("".join(traceback.format_exception(error)) + "\n")
    return f"{in_a_line(error)} (traceback in {log})"
