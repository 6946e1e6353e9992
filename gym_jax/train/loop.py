"""The loop: it yields after every chunk of steps; what to log, save or stop is the caller's business."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import numpy as np

from gym_jax.train.parallel import Epoch, Order
from gym_jax.types import Examples, Mean, TrainState


class Position(NamedTuple):
    """Where training stands: `batch` batches of `epoch` are done. With the seed it fixes all that is still to come."""

    epoch: int = 0
    batch: int = 0


class Progress(NamedTuple):
    """What one chunk did. `state` is valid until the loop is asked to go on: its buffers are then given away."""

    state: TrainState
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
) -> Iterator[Progress]:
    """Train from `start` to the end of `epochs`, `chunk` steps at a time; `order(epoch)` gives an epoch's indices.

    Chunks end at multiples of `chunk`, counted from the start of each epoch: a run that goes on from one of these
    ends runs the same programs on the same numbers as one that was never interrupted.
    """
    first_epoch, first_batch = start
    for number in range(first_epoch, epochs):
        rows = order(number)
        for begin in range(first_batch if number == first_epoch else 0, len(rows), chunk):
            part = rows[begin : begin + chunk]
            state, metrics = epoch(state, examples, part)
            done = begin + len(part)
            position = Position(number + 1, 0) if done == len(rows) else Position(number, done)
            windows = int(np.count_nonzero(part >= 0))
            yield Progress(state, position, len(rows), windows, jax.device_get(metrics))
