"""Compilation of the inner loops, with a disk cache where one can be written."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numba

P = ParamSpec("P")
T = TypeVar("T")


def compiled(function: Callable[P, T]) -> Callable[P, T]:
    """Compile ``function`` for the machine it runs on; it runs without the interpreter's lock.

    Strict floating point (no fastmath): the order of operations, and so every picture, is fixed. Numba
    looks for a cache folder beside the file, then in the user's home; in a read-only installation
    without a home it raises, and the function is compiled anew in each process.
    """
    try:
        return numba.njit(cache=True, error_model="numpy", nogil=True)(function)
    except RuntimeError:
        return numba.njit(error_model="numpy", nogil=True)(function)
