"""The program in a child: forked from a process that has everything imported and has computed nothing.

A fork of a process that has computed waits for ever for threads that it does not have; a new process imports for seconds.

"""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

_FRESH = multiprocessing.get_context("forkserver")
_FRESH.set_forkserver_preload(["pytest", "torch", "paco_eval.cli", "tasks.user_tasks"])


def start(
    words: Sequence[str],
    where: Path,
    *,
    environment: Mapping[str, str] | None = None,
    largest: int = 0,
) -> tuple[ForkServerProcess, Connection]:
    """Start a command in a process group of its own; return it and what it says, to be read to its end.

    Args:
        words: of the command.
        where: the folder that it is called in.
        environment: beside that of this process.
        largest: bytes that a file may have; 0 for no limit.

    """
    umask = os.umask(0)
    os.umask(umask)
    heard, said = _FRESH.Pipe(duplex=False)  # a limit on files must not cut what the command says
    settings = {**os.environ, **(environment or {})}
    process = _FRESH.Process(
        target=_run, args=([str(word) for word in words], where, settings, umask, largest, said)
    )
    process.start()
    said.close()
    return process, heard


def read(heard: Connection) -> str:
    """Return all that a command says, once it and all that it started have ended."""
    with os.fdopen(os.dup(heard.fileno()), "rb") as file:
        told = file.read()
    heard.close()
    return told.decode(errors="replace")


def called(*words: object, where: Path | None = None, largest: int = 0) -> tuple[int, str]:
    """Run a command to its end and return its status and words."""
    process, heard = start([str(word) for word in words], where or Path.cwd(), largest=largest)
    told = read(heard)
    process.join()
    return process.exitcode or 0, told


def _run(
    words: list[str], where: Path, settings: Mapping[str, str], umask: int, largest: int, said: Connection
) -> None:
    os.setpgid(0, 0)
    os.chdir(where)
    os.umask(umask)
    os.environ.clear()
    os.environ.update(settings)
    for stream in (1, 2):
        os.dup2(said.fileno(), stream)
    said.close()
    sys.stdout, sys.stderr = (os.fdopen(os.dup(stream), "w", buffering=1) for stream in (1, 2))
    if largest:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    from paco_eval.cli import main

    main(args=words, prog_name="paco-eval")
