"""Why a cell failed: a line for the user, and the traceback of what nobody foresaw for a developer."""

from __future__ import annotations

import time
import traceback
from contextlib import suppress
from pathlib import Path
from textwrap import shorten

from paco_fr.utils.errors import PacoError

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
