"""Errors that speak to the user: what is wrong, where, and what to do. A traceback is for bugs."""

from __future__ import annotations

import difflib
import time
import traceback
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from textwrap import shorten


class PacoError(Exception):
    """Something the caller can mend. The message names file, field and remedy in a line or two."""


class MissingDataError(PacoError):
    """A dataset that was asked for is not on this machine."""


class BusyError(PacoError):
    """Another run holds the folder."""


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
    return f"{type(error).__name__}: {shorten(str(error), 300, placeholder=' ...')}"


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
