"""A watchdog: it notices when training stands still, which a process that is stuck can not tell by itself."""

import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

TIMES = 20
"""Of the usual time between two beats, before a silence counts."""
FIRST = 10
"""Of the shortest silence that counts, until the second beat: programs may still be compiled."""
COMPILES = 2
"""Of the time to the first beat: what is compiled later, such as the validation, takes no longer than that."""
RECENT = 64
"""Times between beats that say what is usual."""


class Watchdog:
    """When the last beat was, and how long one is waited for."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds, self.clock = seconds, clock
        self.last, self.beats, self.first = clock(), 0, 0.0
        self.gaps: deque[float] = deque(maxlen=RECENT)

    def beat(self) -> None:
        """Note that something was done."""
        now = self.clock()
        if self.beats:
            self.gaps.append(now - self.last)
        else:
            self.first = now - self.last
        self.last, self.beats = now, self.beats + 1

    @property
    def limit(self) -> float:
        """Seconds of silence after which the training is stuck."""
        if self.beats < 2:
            return FIRST * self.seconds
        return max(self.seconds, TIMES * statistics.median(list(self.gaps)), COMPILES * self.first)

    @property
    def silence(self) -> float:
        """Seconds since the last beat."""
        return self.clock() - self.last


_CURRENT: ContextVar[Watchdog | None] = ContextVar("watchdog", default=None)


def beat() -> None:
    """Tell the watchdog of this thread, if there is one, that something was done."""
    if (watchdog := _CURRENT.get()) is not None:
        watchdog.beat()


@contextmanager
def guarded(seconds: float | None, stuck: Callable[[float], None]) -> Iterator[None]:
    """Call `stuck(seconds of silence)`, once and from another thread, when nothing beats for too long in the block.

    That is `seconds`, or twenty times what is usual if that is longer; None guards nothing.
    """
    if seconds is None:
        yield
        return
    watchdog, over = Watchdog(seconds), threading.Event()

    def watch() -> None:
        while not over.wait(min(seconds / 10, max(0.0, watchdog.limit - watchdog.silence))):  # beats change the limit
            if watchdog.silence >= watchdog.limit:
                stuck(watchdog.silence)
                return

    thread = threading.Thread(target=watch, name="watchdog", daemon=True)
    token = _CURRENT.set(watchdog)
    thread.start()
    try:
        yield
    finally:
        _CURRENT.reset(token)
        over.set()
        thread.join()
