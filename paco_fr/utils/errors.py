"""Errors that speak to the user: what is wrong, where, and what to do. A traceback is for bugs."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


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
