"""One thread that computes: what is asked at the same time is answered in one call of the network."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from gym_jax.errors import ConfigError, DataError
from gym_jax.inference import Answer, Model, Series, Window, answers, check_golden, join, prepare
from gym_jax.serve.api.meters import Meters
from gym_jax.serve.api.problem import Problem, Refused, busy, refusal_of
from gym_jax.serve.api.served import Served

WAIT = 0.002
"""Seconds that the first of a batch waits at most for others that have begun to arrive."""
MOST = 128


class Ask(NamedTuple):
    """What waits: series for a model, or a piece of work of its own."""

    future: "Future[Any]"
    served: Served | None = None
    series: Sequence[Series] = ()
    work: Callable[[], Any] | None = None


@dataclass
class Batcher:
    """The thread, and what waits before it."""

    meters: Meters
    most: int = 256
    """Requests that may wait."""
    wait: float = WAIT
    together: int = MOST
    """Windows after which nobody waits for more; 1 answers one request after the other."""
    coming: int = 0
    """Requests whose body is being read: only for them is it worth to wait."""
    _waiting: "queue.SimpleQueue[Ask | None]" = field(default_factory=queue.SimpleQueue)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to answer."""
        self._thread = threading.Thread(target=self._work, name="forecasts", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread once everything that waits is answered."""
        self._waiting.put(None)
        if self._thread is not None:
            self._thread.join()

    @property
    def depth(self) -> int:
        """How many wait."""
        return self._waiting.qsize()

    def predict(self, served: Served, series: Sequence[Series]) -> "Future[list[Answer]]":
        """Ask for forecasts; the future raises Refused. Raises Refused (503) when too many wait."""
        return self._put(Ask(Future(), served, series))

    def do(self, work: Callable[[], Any]) -> "Future[Any]":
        """Ask for work of another kind in this thread. Raises Refused (503) when too many wait."""
        return self._put(Ask(Future(), work=work))

    def check(self, model: Model) -> "Future[None]":
        """Ask for the golden forecast, compared: the future raises CheckpointError. It never is too much."""
        ask = Ask(Future(), work=lambda: check_golden(model))
        self._waiting.put(ask)
        return ask.future

    def _put(self, ask: Ask) -> "Future[Any]":
        if self.depth >= self.most:
            raise busy(f"{self.depth} requests are waiting")
        self._waiting.put(ask)
        return ask.future

    def _work(self) -> None:
        while True:
            ask = self._waiting.get()
            if ask is None:
                return
            batch, last = self._gather(ask)
            batch = [one for one in batch if one.future.set_running_or_notify_cancel()]
            for one in batch:
                if one.work is not None:
                    _fulfil(one.future, one.work)
            for served in {id(one.served): one.served for one in batch if one.served is not None}.values():
                asks = [one for one in batch if one.served is served]
                try:
                    self._answer(served, asks)
                except Exception as error:  # a fault of ours, and nobody else's answer: the thread goes on
                    for one in asks:
                        if not one.future.done():
                            one.future.set_exception(error)
            if last:
                return

    def _gather(self, first: Ask) -> tuple[list[Ask], bool]:
        """Return what is answered together, and whether it is the last."""
        batch, size, until = [first], len(first.series), time.monotonic() + self.wait
        while size < self.together:
            try:
                left = until - time.monotonic()
                ask = self._waiting.get(timeout=left) if self.coming > 0 and left > 0 else self._waiting.get_nowait()
            except queue.Empty:
                return batch, False
            if ask is None:
                return batch, True
            batch.append(ask)
            size += len(ask.series)
        return batch, False

    def _answer(self, served: Served, asks: Sequence[Ask]) -> None:
        """Answer everything that is asked of one model; a fault of one request is told to that one alone."""
        model = served.model
        windows: list[Window] = []
        sound: list[Ask] = []
        for ask in asks:
            try:
                windows.append(_prepared(model, ask.series))
                sound.append(ask)
            except Exception as error:
                ask.future.set_exception(_told(error))
        if not sound:
            return
        try:
            outputs = model.run(join(windows))
        except Exception as error:  # of the network: nobody's series is to blame, and the thread goes on
            for ask in sound:
                ask.future.set_exception(_told(error))
            return
        self.meters.batch(len(outputs))
        begin = 0
        for ask, window in zip(sound, windows, strict=True):
            own = outputs[begin : begin + window.size]
            begin += window.size
            _fulfil(ask.future, lambda ask=ask, window=window, own=own: _finished(model, ask.series, window, own))  # type: ignore[misc]
            self.meters.drift(served.name, model.spec, ask.series, window)


def _prepared(model: Model, series: Sequence[Series]) -> Window:
    with np.errstate(all="ignore"):  # what overflows is told below
        window = prepare(model.spec, series)
    if not all(part is None or np.isfinite(part).all() for part in window if part is None or part.dtype.kind == "f"):
        raise _too_far()
    return window


def _finished(model: Model, series: Sequence[Series], window: Window, outputs: np.ndarray) -> list[Answer]:
    """Return answers, all of them finite; else who is to blame, the model or the series."""
    if np.isfinite(outputs).all():
        with np.errstate(all="ignore"):
            found = answers(model.spec, series, window, outputs)
        if all(
            part is None or np.isfinite(part).all()
            for one in found
            for part in (one.values, one.quantiles, one.intervals)
        ):
            return found
    check_golden(model)
    raise _too_far()


def _too_far() -> Refused:
    words = "values so far from what the model was trained on that its forecast is no number"
    return Refused(422, Problem("question.too_far", words, "look at their unit", path="series"))


def _fulfil(future: "Future[Any]", work: Callable[[], Any]) -> None:
    try:
        future.set_result(work())
    except Exception as error:
        future.set_exception(_told(error))


def _told(error: Exception) -> Exception:
    """Return an error as the client is told: DataError is about the question, anything else is ours."""
    return refusal_of(error, 422, "series") if isinstance(error, DataError | ConfigError) else error
