"""SIGTERM and SIGINT as requests: the step at hand is finished, a state is saved, and the run ends."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from paco_fr.utils.errors import PacoError

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interrupted(PacoError):  # noqa: N818 - no error, an orderly end
    """A run that was asked to stop, and did so with its state saved."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.number = number


@dataclass
class Request:
    """The signal that asked for a stop, 0 for none."""

    number: int = 0


@contextmanager
def stop_requests() -> Iterator[Request]:
    """Turn the first SIGTERM or SIGINT into a request; a second one acts as usual, for the impatient.

    Outside the main thread signals cannot be caught, and nothing is ever requested.
    """
    request = Request()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    previous = {number: signal.getsignal(number) for number in SIGNALS}

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)

    def note(number: int, frame: FrameType | None) -> None:
        request.number = number
        restore()

    for number in SIGNALS:
        signal.signal(number, note)
    try:
        yield request
    finally:
        restore()
