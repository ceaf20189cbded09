"""Kills, full disks, several processes and flipped bits, drawn from a seed; what came out, counted."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tests.faults.commands import (
    COMMANDS,
    OUT,
    Command,
    Ended,
    call,
    differences,
    filled,
    filling,
    make_data,
    make_inputs,
    products,
    small_disk,
)
from tests.fixtures import child

Say = Callable[[str], None]
LIMITS = (4096,)
"""Bytes that a file may have, one after the other."""
DISK = 16 * 2**20
"""Bytes of the file system that is filled ..."""
LEFT = (0, 131_072)
"""... up to so many, one after the other."""
TOGETHER = 4
SHARING = ("evaluate", "pretrain", "fine-tune", "pack", "embed")
"""Commands of which several run at once."""
TAKEN = ("Another run is writing", "--resume")
"""What a command says that finds its folder taken."""


@dataclass
class Outcome:
    """What a campaign came to: numbers by kind, and a line for each finding."""

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def count(self, part: str, what: str, number: int = 1) -> None:
        """Count something of a part."""
        self.counts.setdefault(part, Counter())[what] += number

    def record(self, seed: int) -> dict[str, Any]:
        """Return the record in plain values."""
        return {
            "seed": seed,
            "counts": {part: dict(counts) for part, counts in self.counts.items()},
            "seconds": {part: round(seconds, 1) for part, seconds in self.seconds.items()},
            "findings": self.findings,
        }


class Campaign:
    """Trials below a folder.

    Args:
        folder: for data, caches and results; its owner removes it.
        seed: of every random choice.
        say: takes a line for each trial.
        only: names of commands; all by default.

    """

    def __init__(self, folder: Path, seed: int, say: Say, only: Iterable[str] = ()) -> None:
        self.folder, self.say, self.outcome = folder, say, Outcome()
        self.rng = np.random.default_rng(seed)
        names = set(only) or {command.name for command in COMMANDS}
        self.commands = [command for command in COMMANDS if command.name in names]
        self.data = folder / "data"
        make_data(self.data)
        if {"ablate", "report"} & {command.name for command in self.commands}:
            make_inputs(self.data)
        self._number = 0
        self._whole: dict[str, tuple[dict[str, Any], float]] = {}

    def kills(self, count: int, deadline: float) -> None:
        """Kill commands at random moments, each run until it ends well, and compare what it leaves."""
        began, done = time.monotonic(), 0
        while done < count and time.monotonic() < deadline:
            for command in self.commands:
                done += self._killed(command)
        self.outcome.seconds["kills"] = time.monotonic() - began

    def _killed(self, command: Command) -> int:
        whole, seconds = self._uninterrupted(command)
        out, cache = self._places()
        self._before(command, out, cache)
        killed = 0
        words = filled(command.calls[0], self.data)
        for attempt in range(30):
            moment = float(self.rng.uniform(0.02, 1.0)) * seconds if attempt < 4 else None
            ended = self._call(words, out, cache, seconds=moment)
            killed += ended.status == -9
            words = filled((*command.calls[0], *command.again), self.data)
            if ended.status != -9:
                break
        self.outcome.count("kills", command.name, killed)
        self._finished(f"{command.name} after {killed} kills", command, ended, out, cache, whole)
        return killed

    def full_disks(self) -> None:
        """Leave no room for what is written: a line and a status, and the next call makes the same as ever.

        A file system of 16 MB holds results and cache and is full but for a few bytes, where we may make one; and no
        file may grow beyond a limit.
        """
        began = time.monotonic()
        disk = self.folder / "disk"
        disk.mkdir()
        for command in self.commands:
            whole, _ = self._uninterrupted(command)
            for left in LEFT:
                with small_disk(disk, DISK) as made:
                    self.outcome.count(
                        "full disks", "file systems of 16 MB" if made else "none could be made"
                    )
                    if not made:
                        break
                    out, cache = disk / OUT, disk / "cache"
                    self._before(command, out, cache)
                    with filling(disk, left):
                        self._without_room(command, out, cache, f"{left} bytes left")
                    words = filled((*command.calls[0], *command.again), self.data)
                    name = f"{command.name} after {left} bytes were left"
                    self._finished(name, command, self._call(words, out, cache), out, cache, whole)
            for limit in LIMITS:
                out, cache = self._places()
                self._before(command, out, cache)
                self._without_room(command, out, cache, f"files of at most {limit} bytes", largest=limit)
                words = filled((*command.calls[0], *command.again), self.data)
                name = f"{command.name} after files of at most {limit} bytes"
                self._finished(name, command, self._call(words, out, cache), out, cache, whole)
        self.outcome.seconds["full disks"] = time.monotonic() - began

    def _without_room(self, command: Command, out: Path, cache: Path, how: str, **limits: Any) -> None:
        ended = self._call(filled(command.calls[0], self.data), out, cache, **limits)
        self.outcome.count("full disks", f"{command.name}: status {ended.status}")
        if ended.status not in (0, 1, 2):
            self._finding(f"{command.name}, {how}: status {ended.status}: {ended.said[-500:]}")
        if "Traceback" in ended.said:
            self._finding(f"{command.name}, {how}: a traceback: {ended.said[-800:]}")

    def together(self) -> None:
        """Run several processes of each command at once: on one cache, and on one folder of results."""
        began = time.monotonic()
        for command in (each for each in self.commands if each.name in SHARING):
            whole, _ = self._uninterrupted(command)
            for shared in ("cache", "out"):
                self._side_by_side(command, shared, whole)
        self.outcome.seconds["together"] = time.monotonic() - began

    def _side_by_side(self, command: Command, shared: str, whole: dict[str, Any]) -> None:
        places = [self._places() for _ in range(TOGETHER)]
        cache = places[0][1]
        outs = [place[0] if shared == "cache" else places[0][0] for place in places]
        for out in dict.fromkeys(outs):
            self._before(command, out, cache)
        words = filled(command.calls[0], self.data)
        started = [child.start(words, out.parent, environment={"PACO_CACHE": str(cache)}) for out in outs]
        name = f"{command.name}, {TOGETHER} on one {shared}"
        for each in started:
            status, said = each.ended()
            busy = shared == "out" and status == 2 and any(word in said for word in TAKEN)
            self.outcome.count(f"together on one {shared}", "refused as taken" if busy else "ended")
            if not busy and (status or "Traceback" in said):
                self._finding(f"{name}: status {status}: {said[-500:]}")
        for out in dict.fromkeys(outs):
            for line in differences(whole, products(command, out)):
                self._finding(f"{name}: {line}")
        self.say(name)
        for place in places:
            self._done(*place)

    def flips(self, count: int, deadline: float) -> None:
        """Turn over one bit at a time, of every kind of stored file in turn."""
        from tests.faults.flips import flip, kinds

        began = time.monotonic()
        folder = self.folder / "stored"
        folder.mkdir()
        stored = kinds(folder, self.data)
        for number in range(count):
            if time.monotonic() > deadline:
                break
            kind = stored[number % len(stored)]
            came = flip(kind, self.rng)
            good = came in ("same", "made again", "refused")
            self.outcome.count("flips", "all")
            self.outcome.count(f"flips of {kind.name}", came if good else "finding")
            if not good:
                self._finding(f"{kind.name}: {came}")
        self.outcome.seconds["flips"] = time.monotonic() - began

    def _uninterrupted(self, command: Command) -> tuple[dict[str, Any], float]:
        """Return what a command leaves that nobody disturbs, and the seconds that it takes."""
        if command.name not in self._whole:
            out, cache = self._places()
            self._before(command, out, cache)
            ended = self._call(filled(command.calls[0], self.data), out, cache)
            if ended.status:
                raise RuntimeError(f"{command.name} does not work at all: {ended.said}")
            made = products(command, out)
            if not made:
                raise RuntimeError(f"{command.name} leaves nothing to compare: {ended.said}")
            self._whole[command.name] = made, ended.seconds
            self._done(out, cache)
        return self._whole[command.name]

    def _before(self, command: Command, out: Path, cache: Path) -> None:
        out.parent.mkdir(parents=True, exist_ok=True)
        for place in filled(command.outside, self.data):
            (out.parent / place).mkdir(parents=True)
        for words in command.before:
            self._call(filled(words, self.data), out, cache)

    def _finished(
        self, name: str, command: Command, ended: Ended, out: Path, cache: Path, whole: dict[str, Any]
    ) -> None:
        """Compare what a command left with what it leaves undisturbed; nothing half-made may lie about."""
        if ended.status:
            self._finding(f"{name}: then ended with status {ended.status}: {ended.said[-800:]}")
        for line in differences(whole, products(command, out)):
            self._finding(f"{name}: {line}")
        torn = [path.name for place in (out, cache) for path in place.rglob(".*.tmp")]
        if torn:
            self.outcome.count("left half-written for a later visit", command.name, len(torn))
        self.say(f"{name}: {'as ever' if not ended.status else 'failed'}, {ended.seconds:.1f} s")
        self.outcome.count("compared", command.name)
        self._done(out, cache)

    def _call(self, words: Sequence[str], out: Path, cache: Path, **limits: Any) -> Ended:
        return call(words, cache, out.parent, **limits)

    def _places(self) -> tuple[Path, Path]:
        """Return folders for results and cache."""
        self._number += 1
        place = self.folder / f"{self._number:05d}"
        return place / OUT, place / "cache"

    def _done(self, *places: Path) -> None:
        for place in places:
            shutil.rmtree(place, ignore_errors=True)

    def _finding(self, line: str) -> None:
        self.outcome.findings.append(line)
        self.say(f"FINDING {line}")
