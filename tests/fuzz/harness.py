"""One spoilt file after the other is given to its reader, in this process, within bounds of time and memory.

A reader may read the file, refuse it with a :class:`PacoError`, or count a failure. Anything else is a finding: another
error, over ten seconds, or over a gigabyte.
"""

from __future__ import annotations

import faulthandler
import json
import os
import platform
import resource
import signal
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paco_fr.utils.errors import PacoError, PacoWarning
from paco_fr.utils.random import generator
from tests.fuzz.mutations import Random

SECONDS = 10.0
"""Of processor time for one case at most, so that a busy machine finds no more than a quiet one."""
WAITED = 6
"""How many times as long one case may take by the clock, for what waits without working."""
MEMORY = 1_000_000_000
"""Bytes that one case may take at most, beside what the process has."""
LONGEST = 1_500
"""Characters of a message at most, path included."""
QUOTED = 205
"""Characters of a file that a message or a warning repeats in one stretch at most, quotation marks included."""


@dataclass(frozen=True)
class Target:
    """A reader and how to spoil its files.

    Attributes:
        name: of what is read.
        draw: gives a case, the name of a file and its content.
        run: reads it; returns "failed" where it counts a failure.
        weight: how often it is tried.

    """

    name: str
    draw: Callable[[Random], tuple[str, bytes]]
    run: Callable[[str, bytes], object]
    weight: float = 1.0


@dataclass
class Finding:
    """A case that ended in what is not admitted."""

    target: str
    file: str
    content: bytes
    what: str
    told: str


@dataclass
class Outcome:
    """What all cases ended in."""

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    times: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    slowest: float = 0.0

    def record(self, seed: int) -> dict[str, Any]:
        """Return the record of a run as plain values."""
        total = sum((Counter(each) for each in self.counts.values()), Counter[str]())
        return {
            "seed": seed,
            "inputs": sum(total.values()),
            "seconds": round(self.seconds, 1),
            "slowest_case_seconds": round(self.slowest, 2),
            "limits": {"seconds": SECONDS, "bytes": MEMORY},
            "outcomes": dict(sorted(total.items())),
            "targets": {
                name: {**dict(sorted(each.items())), "seconds": round(self.times[name], 1)}
                for name, each in sorted(self.counts.items())
            },
            "findings": [f"{each.target} ({each.file}): {each.what}" for each in self.findings],
            "python": platform.python_version(),
        }


class _TimeUpError(BaseException):
    """Raised in a case that takes too long; no reader catches it."""


def _time_up(signum: int, frame: object) -> None:
    raise _TimeUpError


def attempt(target: Target, file: str, content: bytes) -> tuple[str, str, str]:
    """Return what a case ended in (read, refused, failed or finding), what it is, and its traceback."""
    previous = [signal.signal(number, _time_up) for number in (signal.SIGALRM, signal.SIGPROF)]
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.setitimer(signal.ITIMER_REAL, WAITED * SECONDS)
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (_data() + MEMORY, hard))
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            ended = target.run(file, content)
        for each in said:
            if issubclass(each.category, PacoWarning) and repeats(text := str(each.message), content):
                return "finding", f"a warning that quotes {len(text)} characters", text[:3000]
        return ("failed" if isinstance(ended, str) and ended == "failed" else "read"), "", ""
    except PacoError as error:
        text, causes = str(error), _causes(error)
        if any(isinstance(cause, MemoryError) for cause in causes):
            return "finding", "over a gigabyte, refused in the end", traceback.format_exc()
        if len(text) > LONGEST or "\n" in text:
            return "finding", f"a message of {len(text)} characters or several lines", text[:3000]
        if repeats(text, content):
            return "finding", f"a message that quotes more than {QUOTED} characters", text[:3000]
        return "refused", "", ""
    except _TimeUpError:
        return "finding", f"over {SECONDS:g} seconds", traceback.format_exc()
    except Exception as error:
        return "finding", f"{type(error).__name__}: {str(error)[:200]}", traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in zip((signal.SIGALRM, signal.SIGPROF), previous, strict=True):
            signal.signal(number, handler)
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def repeats(text: str, content: bytes) -> bool:
    """Say whether a message has a stretch of a file in it that is longer than :data:`QUOTED`."""
    if len(text) <= QUOTED:
        return False
    told = text.encode("utf-8", "backslashreplace")
    return any(told[at : at + QUOTED] in content for at in range(len(told) - QUOTED))


def fuzz(
    targets: Sequence[Target],
    seed: int,
    inputs: int,
    *,
    note: Path | None = None,
    say: Callable[[int, Outcome], None] | None = None,
    deadline: float | None = None,
) -> Outcome:
    """Try so many cases, each a function of seed and number; findings of one kind are kept once a target.

    Args:
        targets: tried by their weights.
        seed: of all cases.
        inputs: cases in all.
        note: file that names the case in hand, for a library that takes the process with it.
        say: told every 500 cases.
        deadline: of ``time.monotonic()``, after which no further case is tried.

    """
    faulthandler.enable()
    weights = [target.weight for target in targets]
    order = generator("fuzz.order", seed).choice(
        len(targets), size=inputs, p=[each / sum(weights) for each in weights]
    )
    outcome, begun = Outcome(), time.monotonic()
    for number, place in enumerate(order):
        if deadline is not None and time.monotonic() > deadline:
            break
        target = targets[int(place)]
        file, content = target.draw(generator(f"fuzz.{target.name}", seed, number))
        if note is not None:
            note.write_bytes(f"{target.name}\n{file}\n".encode() + content)
        started = time.process_time()
        end, what, told = attempt(target, file, content)
        took = time.process_time() - started
        outcome.slowest = max(outcome.slowest, took)
        outcome.times[target.name] = outcome.times.get(target.name, 0.0) + took
        outcome.counts.setdefault(target.name, Counter())[end] += 1
        if end == "finding" and not any(
            (each.target, each.what[:60]) == (target.name, what[:60]) for each in outcome.findings
        ):
            outcome.findings.append(Finding(target.name, file, content, what, told))
        outcome.seconds = time.monotonic() - begun
        if say is not None and number % 500 == 499:
            say(number + 1, outcome)
    return outcome


def keep(finding: Finding, folder: Path) -> Path:
    """Write a finding as a case file: a line of JSON that says what it is, then the content."""
    folder.mkdir(parents=True, exist_ok=True)
    kind = "".join(letter if letter.isalnum() else "-" for letter in finding.what.split(":")[0]).strip("-")
    path = folder / f"{finding.target.replace('/', '-')}.{kind[:40]}.case"
    about = json.dumps({"target": finding.target, "file": finding.file, "was": finding.what})
    path.write_bytes(about.encode() + b"\n" + finding.content)
    return path


def kept(path: Path) -> tuple[str, str, bytes]:
    """Return target, file and content of a case file."""
    about, _, content = path.read_bytes().partition(b"\n")
    told = json.loads(about)
    return told["target"], told["file"], content


def _causes(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def _data() -> int:
    """Return the bytes of private memory that the process has asked for."""
    with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - read before every case
        return int(file.read().split()[5]) * os.sysconf("SC_PAGE_SIZE")
