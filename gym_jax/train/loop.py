"""The loop: it yields after every chunk of steps; what to log, save or stop is the caller's business."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import numpy as np

from gym_jax.train.parallel import Epoch, Order
from gym_jax.types import Examples, Mean, Metrics, TrainState


class Position(NamedTuple):
    """Where training stands: `batch` batches of `epoch` are done. With the seed it fixes all that is still to come."""

    epoch: int = 0
    batch: int = 0


class Progress(NamedTuple):
    """What one chunk did."""

    state: TrainState | None
    """Valid until the loop is asked to go on: its buffers are then given away. None when they already are."""
    position: Position
    """After the chunk; `batch` is 0 when it ended the epoch."""
    batches: int
    """Batches of an epoch."""
    windows: int
    metrics: dict[str, Mean]
    """Per step of the chunk, as NumPy arrays."""

    @property
    def epoch_done(self) -> bool:
        """Whether the chunk ended an epoch."""
        return self.position.batch == 0


def train(
    epoch: Epoch,
    state: TrainState,
    examples: Examples,
    order: Callable[[int], Order],
    *,
    epochs: int,
    chunk: int,
    start: Position | tuple[int, int] = (0, 0),
    hold: Callable[[Position], bool] = lambda position: True,
) -> Iterator[Progress]:
    """Train from `start` to the end of `epochs`, `chunk` steps at a time; `order(epoch)` gives an epoch's indices.

    Chunks end at multiples of `chunk`, counted from the start of each epoch: a run that goes on from one of these
    ends runs the same programs on the same numbers as one that was never interrupted. `hold(position)` is asked as
    soon as a chunk is on its way whether its state will be looked at. Where it will not, the next chunk is on its way
    before the metrics of this one are read, so that the device never waits for the host; its state is then gone.
    """
    first_epoch, first_batch = start
    ahead: tuple[Position, int, int, Metrics] | None = None
    upcoming = order(first_epoch) if first_epoch < epochs else None
    for number in range(first_epoch, epochs):
        rows = upcoming
        assert rows is not None
        for begin in range(first_batch if number == first_epoch else 0, len(rows), chunk):
            part = rows[begin : begin + chunk]
            state, metrics = epoch(state, examples, part)
            if ahead is not None:
                yield _progress(None, *ahead)
            done = begin + len(part)
            if done == len(rows) and number + 1 < epochs:
                upcoming = order(number + 1)
            position = Position(number + 1, 0) if done == len(rows) else Position(number, done)
            ahead = position, len(rows), int(np.count_nonzero(part >= 0)), metrics
            if hold(position):
                yield _progress(state, *ahead)
                ahead = None
    if ahead is not None:
        yield _progress(state, *ahead)


def _progress(state: TrainState | None, position: Position, batches: int, windows: int, metrics: Metrics) -> Progress:
    return Progress(state, position, batches, windows, jax.device_get(metrics))
