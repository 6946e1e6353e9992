"""Ctrl-C and SIGTERM ask a run to save and leave; a second one leaves at once."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


@contextmanager
def stop_on_signals() -> Iterator[Callable[[], int | None]]:
    """Yield a function that answers with the exit code once a signal has come, None before."""
    received: list[int] = []

    def receive(number: int, frame: FrameType | None) -> None:
        if received:
            os._exit(CODES[signal.Signals(number)])
        received.append(CODES[signal.Signals(number)])

    before = {number: signal.signal(number, receive) for number in CODES}
    try:
        yield lambda: received[0] if received else None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
