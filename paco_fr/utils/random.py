"""Randomness as a function of what it is for and of (seed, epoch, sample), never of a global state.

Any number of workers, processes or restarts therefore draws the same masks, crops, faces and noise.
"""

from __future__ import annotations

import zlib

import numpy as np


def generator(purpose: str, *key: int) -> np.random.Generator:
    """Return a fresh generator for one draw, e.g. ``generator("mask", seed, epoch, sample)``.

    Args:
        purpose: names the use, so that masks and crops of one sample are independent.
        key: non-negative integers, usually seed, epoch and sample index.

    """
    return np.random.default_rng([zlib.crc32(purpose.encode()), *key])
