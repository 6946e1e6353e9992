"""The loop: it yields after every chunk of steps; what to log, save or stop is the caller's business."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import numpy as np

from gym_jax.train.parallel import Epoch, Order
from gym_jax.train.watchdog import beat
from gym_jax.types import Examples, Mean, Metrics, TrainState


class Position(NamedTuple):
    """Where training stands: `batch` batches of `epoch` are done. With the seed it fixes all that is still to come.

    >>> Position(epoch=2, batch=40)
    Position(epoch=2, batch=40)
    """

    epoch: int = 0
    """Counted from 0."""
    batch: int = 0
    """Batches of it that are done."""


class Portion(NamedTuple):
    """Examples that are in memory together, and the batches of an epoch that are made of them."""

    examples: Examples
    order: Order
    epoch: int
    begin: int
    """Batches of the epoch before it."""
    batches: int
    """Batches of the epoch."""


class Progress(NamedTuple):
    """What one chunk did.

    >>> Progress(None, Position(3, 0), batches=12, windows=768, metrics={}).epoch_done
    True
    """

    state: TrainState | None
    """Valid until the loop is asked to go on: its buffers are then given away. None when they already are."""
    position: Position
    """After the chunk; `batch` is 0 when it ended the epoch."""
    batches: int
    """Batches of an epoch."""
    windows: int
    """Examples that the chunk learned from, padding left out."""
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
    """Train from `start` to the end of `epochs`, `chunk` steps at a time.

    `order(epoch)` gives an epoch's indices, [steps, batch]. Chunks end at multiples of `chunk`, counted from the start
    of each epoch: a run that goes on from one of these ends runs the same programs on the same numbers as one that was
    never interrupted. `hold(position)` is asked as soon as a chunk is on its way whether its state will be looked at.
    Where it will not, the next chunk is on its way before the metrics of this one are read, so that the device never
    waits for the host; its state is then gone.

    >>> state, placed = layout.replicate(begin(jax.random.key(0), batch.inputs)), layout.replicate(examples)
    >>> for progress in train(epoch, state, placed, lambda number: order, epochs=2, chunk=len(order)):
    ...     print(progress.position, progress.windows)
    Position(epoch=1, batch=0) 47
    Position(epoch=2, batch=0) 47
    """
    return train_portions(epoch, state, resident(examples, order, epochs, start), chunk=chunk, start=start, hold=hold)


def resident(
    examples: Examples, order: Callable[[int], Order], epochs: int, start: Position | tuple[int, int] = (0, 0)
) -> Iterator[Portion]:
    """Yield what is left to train on when all examples are in memory: one portion an epoch."""
    for number in range(start[0], epochs):
        rows = order(number)
        yield Portion(examples, rows, number, 0, len(rows))


def train_portions(
    epoch: Epoch,
    state: TrainState,
    portions: Iterator[Portion],
    *,
    chunk: int,
    start: Position | tuple[int, int] = (0, 0),
    hold: Callable[[Position], bool] = lambda position: True,
) -> Iterator[Progress]:
    """Train on portions of the examples, one after the other; else as `train`.

    Chunks end at multiples of `chunk` counted from the start of each portion, and with it. The first portion is that
    in which `start` lies; the next one is asked for as soon as the last chunk of one is on its way. Raises ValueError
    for a portion with no batch left to train.
    """
    ahead: tuple[Position, int, int, Metrics] | None = None
    portion = next(portions, None)
    first = 0 if portion is None else start[1] - portion.begin
    while portion is not None:
        order, number, before, batches = portion[1:]
        if first >= len(order):
            raise ValueError(f"epoch {number} has no batch left behind its first {before + first}")
        for begin in range(first, len(order), chunk):
            part = order[begin : begin + chunk]
            assert portion is not None
            state, metrics = epoch(state, portion.examples, part)
            if ahead is not None:
                yield _progress(None, *ahead)
            done = begin + len(part)
            if done == len(order):
                portion = next(portions, None)  # and the one before is let go, as soon as the device has done with it
            over = before + done == batches
            position = Position(number + 1, 0) if over else Position(number, before + done)
            ahead = position, batches, int(np.count_nonzero(part >= 0)), metrics
            if hold(position):
                yield _progress(state, *ahead)
                ahead = None
        first = 0
    if ahead is not None:
        yield _progress(state, *ahead)


def _progress(state: TrainState | None, position: Position, batches: int, windows: int, metrics: Metrics) -> Progress:
    found = jax.device_get(metrics)
    beat()
    return Progress(state, position, batches, windows, found)
