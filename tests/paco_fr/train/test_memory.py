"""Freed memory is kept: what a step frees and the next one asks for again takes no new pages."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import resource
import numpy as np
from paco_fr.train.memory import keep_freed_memory

def faults() -> int:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        tensors = [np.ones(1 << 19) for _ in range(40)]  # 4 MiB each, as of one step
        del tensors
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
print(faults(), keep_freed_memory(), faults() and faults())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's settings")
def test_a_step_like_the_last_takes_no_new_pages():
    told = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True).stdout
    usual, kept, after = told.split()
    if kept != "True":
        pytest.skip("the C library is not glibc")
    assert int(after) < int(usual) / 10, told
