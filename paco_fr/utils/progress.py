"""What long work tells while it lasts: lines and bars, on a terminal, in a pipe, in a log file. Everything uses this door.

On a terminal a stage that lasts longer than a second shows a bar with its rate and the time left, which goes when the
stage ends. In a pipe there are lines alone, under ``-q`` nothing but results and errors, under ``-v`` also how long each
stage took. A log file gets every line with its time, whatever the terminal shows.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from paco_fr.utils.errors import PacoError

DELAY = 1.0
"""Seconds before a bar appears: what is done sooner needs none."""

Item = TypeVar("Item")


class Bar(Protocol):
    """What a stage of work is told by who works."""

    def update(self, n: float = 1) -> object:
        """Say that so much more is done."""
        ...

    def set_postfix_str(self, s: str = "") -> None:
        """Say something beside the bar."""
        ...


@dataclass
class _Told:
    """How much this process tells, and to whom.

    Attributes:
        quiet: nothing but results and errors.
        verbose: also how long each stage took.
        log: file that gets every line; None for none.
        bars: how many are open now.

    """

    quiet: bool = False
    verbose: bool = False
    log: Path | None = None
    bars: int = 0


_told = _Told()


def configure(*, quiet: bool = False, verbose: bool = False, log: Path | None = None) -> None:
    """Say how much this process tells from now on.

    Raises:
        PacoError: the log file cannot be written.

    """
    _told.quiet, _told.verbose, _told.log = quiet, verbose, log
    if log is not None:
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            log.open("a", encoding="utf-8").close()
        except OSError as error:
            raise PacoError(f"--log-file {log}: {error.strerror}. Choose another file.") from error


def say(text: str) -> None:
    """Tell the user a line, above any bar that is open."""
    _log(text)
    if not _told.quiet:
        _write(text)


def error(text: str) -> None:
    """Tell a line about what failed, whatever else is kept quiet."""
    _log(text)
    _write(text)


def detail(text: str) -> None:
    """Tell a line to those who asked for more, and to the log file."""
    _log(text)
    if _told.verbose and not _told.quiet:
        _write(text)


def watched() -> bool:
    """Return whether somebody sees a bar: a terminal that was not told to be quiet."""
    return not _told.quiet and sys.stderr is not None and sys.stderr.isatty()


@contextmanager
def stage(
    title: str,
    total: int | None = None,
    unit: str = "",
    *,
    initial: int = 0,
    shown: bool = True,
    delay: float = DELAY,
) -> Iterator[Bar]:
    """Give the bar of one stage of work; who works calls its ``update``.

    Args:
        title: what is done, in a word or two.
        total: how much there is; None where nobody knows, which leaves only a rate.
        unit: of what.
        initial: how much was done before.
        shown: whether this process tells at all.
        delay: seconds before the bar appears.

    """
    from tqdm import tqdm

    started = time.monotonic()
    seen = shown and watched()
    with tqdm(
        total=total, desc=title, unit=unit and f" {unit}", initial=initial, disable=not seen, leave=False,
        delay=delay, dynamic_ncols=True, smoothing=0.1, file=sys.stderr,
    ) as bar:  # fmt: skip
        _told.bars += seen
        try:
            yield bar
        finally:
            _told.bars -= seen
    if shown and total != 0 and (_told.verbose or _told.log is not None):
        amount = "" if total is None else f", {total:,} {unit or 'steps'}"
        detail(f"{title}: {time.monotonic() - started:.1f} s{amount}")


def tracked(
    items: Iterable[Item], title: str, total: int | None = None, unit: str = "", *, shown: bool = True
) -> Iterator[Item]:
    """Yield items, each of which moves the bar of a stage on when it has been dealt with."""
    known = len(items) if total is None and isinstance(items, Sized) else total
    with stage(title, known, unit, shown=shown) as bar:
        for item in items:
            yield item
            bar.update()


def _write(text: str) -> None:
    if _told.bars:
        from tqdm import tqdm

        tqdm.write(text, file=sys.stderr)
    elif sys.stderr is not None:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def _log(text: str) -> None:
    if _told.log is None:
        return
    try:
        with _told.log.open("a", encoding="utf-8") as file:
            file.writelines(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {line}\n" for line in text.splitlines())
    except OSError as error:
        _told.log = None
        _write(f"--log-file: {error.strerror}; going on without it.")
