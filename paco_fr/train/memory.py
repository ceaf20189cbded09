"""Freed memory that the process keeps, where the C library would give it back and ask for it again at every step."""

from __future__ import annotations

import ctypes
import sys

SETTINGS = {-3: 32 << 20, -1: 1 << 30, -2: 64 << 20}
"""Of glibc's mallopt(3): the size past which a block is mapped by itself, what may lie free before it is given back, and
by how much the heap grows, in bytes."""


def keep_freed_memory() -> bool:
    """Let the process keep up to 1 GiB that it has freed; return whether its C library does so.

    By default glibc maps a large tensor anew every time, and the kernel clears its pages one by one: a tenth of a step of
    the recipe tiny on a CPU. Other C libraries are left as they are.
    """
    if not sys.platform.startswith("linux"):
        return False
    change = getattr(ctypes.CDLL(None), "mallopt", None)
    return change is not None and all(change(name, value) for name, value in SETTINGS.items())
