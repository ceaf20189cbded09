"""A file read in a process of its own, for libraries that may crash on a bad one, or take all time and memory.

The process is a fresh interpreter that imports no script of the user's; it gets a limit of memory, is ended after a
limit of time, and hands arrays of plain numbers back through a file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paco_fr.utils.errors import FormatError, in_a_line, one_line
from paco_fr.utils.untrusted import ARRAYS, read_npz

if TYPE_CHECKING:
    import numpy.typing as npt

TOLD = 3
"""Exit status of a process that says what is wrong with the file."""


def read_apart(
    reader: str, path: Path, *options: str, seconds: float, memory: int, remedy: str, limit: int = ARRAYS
) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays that a function makes of a file, called in a process of its own.

    Args:
        reader: ``module:function``; gets the path and the options, returns arrays of plain numbers by name.
        path: of the file.
        options: further arguments.
        seconds: after which the process is ended.
        memory: bytes of its address space at most.
        remedy: what to do about a bad file, a sentence.
        limit: bytes of all arrays at most.

    Raises:
        FormatError: the function raised an error, the process crashed, or it took more than it may.

    """
    paths = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory(prefix="paco-") as folder:
        out = Path(folder) / "arrays.npz"
        command = [sys.executable, "-m", __name__, reader, str(out), str(memory), str(path), *options]
        try:
            done = subprocess.run(
                command,
                env=environment,
                capture_output=True,
                timeout=seconds,
                check=False,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired as error:
            raise FormatError(path, None, f"took over {seconds:.0f} seconds to read", remedy) from error
        if done.returncode == TOLD:
            problem = json.loads(done.stdout.decode("utf-8", "replace").splitlines()[-1])
            raise FormatError(path, None, one_line(problem), remedy)
        if done.returncode < 0:
            problem = f"could not be read: the library ended with signal {-done.returncode}"
            raise FormatError(path, None, problem, remedy)
        if done.returncode:
            last = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no reason given"]
            raise FormatError(path, None, f"could not be read ({last[-1]})", remedy)
        return read_npz(out, remedy, limit=limit)


def _main(reader: str, out: str, memory: str, *arguments: str) -> None:
    """Carry out one reading; this process does nothing else."""
    import resource

    import numpy as np

    resource.setrlimit(resource.RLIMIT_AS, (int(memory), int(memory)))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    module, _, name = reader.partition(":")
    try:
        found = getattr(import_module(module), name)(*arguments)
        np.savez(out, allow_pickle=False, **found)
    except Exception as error:  # whatever it is, it is told in the parent's own words
        sys.stdout.write(f"\n{json.dumps(in_a_line(error))}\n")
        sys.exit(TOLD)


if __name__ == "__main__":
    _main(*sys.argv[1:])
