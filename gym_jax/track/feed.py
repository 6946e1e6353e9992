"""Between a run and a tracker: a bounded queue and a thread, so that no tracker can hold up or end a run."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from gym_jax.track.tracker import Ending, Point, Tracker

LOGGER = logging.getLogger(__name__)
LIMIT = 4096
"""Points that wait; of more, the oldest are dropped."""
THREAD = "tracker "
"""What the names of the threads begin with."""
PAUSE = 1.0
"""Seconds between two deliveries: what came in between goes in one."""


class Fault(NamedTuple):
    """Why a tracker no longer gets anything, and how many points it did not get."""

    reason: str
    unsent: int


class _LeftBehind(Exception):
    """Nobody waits any more for what a tracker was asked."""


class Feed:
    """The way to one tracker.

    The settings and points of before are sent first, those that the tracker does not have yet. `keep` writes down what
    the tracker asks to be kept; it is called in the thread of the feed.
    """

    def __init__(
        self,
        name: str,
        tracker: Tracker,
        *,
        settings: Mapping[str, Any],
        before: Sequence[Point] = (),
        keep: Callable[[dict[str, Any]], None] = lambda state: None,
        limit: int = LIMIT,
    ) -> None:
        self.name, self.tracker, self.settings, self.keep = name, tracker, settings, keep
        self.before = list(before)
        self.points: deque[Point] = deque(maxlen=limit)
        self.others: deque[tuple[str, tuple[Any, ...]]] = deque()
        self.dropped = 0
        self.ending: tuple[Ending, int, Mapping[str, float]] | None = None
        self.fault: Fault | None = None
        self._kept: dict[str, Any] = {}
        self._sending = len(self.before)
        self._change = threading.Condition()
        self._thread = threading.Thread(target=self._work, name=f"{THREAD}{name}", daemon=True)
        self._thread.start()

    def put(self, point: Point) -> None:
        """Have a point sent; it returns at once."""
        with self._change:
            if self.fault is not None:
                return
            self.dropped += len(self.points) == self.points.maxlen
            self.points.append(point)
            self._change.notify()

    def show(self, kind: str, step: int, name: str, content: Any) -> None:
        """Have a `text` or an `image` sent, at the end."""
        self.others.append((kind, (step, name, content)))

    def finish(self, ending: Ending, step: int, scores: Mapping[str, float]) -> None:
        """Have all the rest sent and the tracker end; it returns at once."""
        with self._change:
            self.ending = ending, step, scores
            self._change.notify()

    def wait(self, seconds: float) -> None:
        """Wait for the end; a tracker that takes longer is left behind, and what it did not get is its fault."""
        self._thread.join(seconds)
        with self._change:
            if self._thread.is_alive() and self.fault is None:
                self._give_up("it was still busy when the run ended, and was waited for")

    def _work(self) -> None:
        try:
            began = time.monotonic()
            last = self.tracker.start()
            LOGGER.debug("%s began in %.3f s; it has points up to step %d", self.name, time.monotonic() - began, last)
            self._note()
            self.tracker.hparams(self.settings)
            self._send([point for point in self.before if point.step > last])
            while True:
                with self._change:
                    self._change.wait_for(lambda: self.points or self.ending)
                    points, ending = [point for point in self.points if point.step > last], self.ending
                    self.points.clear()
                self._send(points)
                if ending is not None:
                    break
                with self._change:
                    self._change.wait_for(lambda: self.ending, PAUSE)
            for kind, what in self.others:
                getattr(self.tracker, kind)(*what)
            self.tracker.finish(*ending)
            self._note(done=ending[0] == "done")
        except BaseException as error:  # whatever it is, it is the tracker's and not the run's
            with self._change:
                if self.fault is None:
                    self._give_up(f"{type(error).__name__}: {_first_line(error)}")
        else:
            with self._change:
                if self.dropped and self.fault is None:
                    self.fault = Fault("it could not keep up", self.dropped)

    def _send(self, points: Sequence[Point]) -> None:
        self._sending = len(points)
        if points:
            began = time.monotonic()
            self.tracker.log(points)
            LOGGER.debug("%s took %d points in %.4f s", self.name, len(points), time.monotonic() - began)
            self._note()
        self._sending = 0

    def _note(self, *, done: bool = False) -> None:
        if self.fault is not None:
            raise _LeftBehind
        state = {**self.tracker.state(), **({"done": True} if done else {})}
        if state != self._kept:
            self.keep(state)
            self._kept = state

    def _give_up(self, reason: str) -> None:
        self.fault = Fault(reason, self.dropped + self._sending + len(self.points))
        self.points.clear()


def fault_line(facts: Mapping[str, Any]) -> str:
    """Return what became of a tracker, in a line."""
    lost = f"; it lacks {facts['unsent']:,} points" if facts["unsent"] else ""
    return f"tracker {facts['tracker']} is off: {facts['reason']}{lost}; the run goes on, metrics.jsonl has every epoch"


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or ["no message"])[0][:300]
