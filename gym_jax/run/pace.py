"""When a run pauses between two chunks, and the learning rate of every step in between."""

import time
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gym_jax.config.schema import Config
from gym_jax.train.loop import Position
from gym_jax.train.processes import gather, group


class Pace:
    """When a run pauses between two chunks: at the end of an epoch, to be saved, to leave."""

    def __init__(self, config: Config, stop: Callable[[], int | None] | None, deadline: float) -> None:
        self.config, self.stop, self.deadline = config, stop, deadline
        self.saved = time.monotonic()
        self.code: int | None = None
        """What to leave with, as of the last chunk."""
        self.chunks = 0
        self.compares = group().count > 1 and config.run.compare_chunks > 0
        """Whether the copies of a state are compared wherever it is looked at."""
        self.due = False
        """Whether it is time to save, as of the last chunk."""

    def hold(self, position: Position) -> bool:
        """Ask for a stop; return whether the state of the chunk that is on its way will be looked at.

        Of several processes any may ask for a stop, and the clock of the first one counts.
        """
        code = self.stop() if self.stop else None
        if code is None and time.monotonic() >= self.deadline:
            code = 0
        asked = gather("pace", [code, time.monotonic() - self.saved >= self.config.run.save_seconds])
        self.code, self.due = _first(code for code, _ in asked), asked[0][1]
        kept = self.config.track.profile > 0 or self.config.train.on_nan == "rollback"
        self.chunks += 1
        kept = kept or (self.compares and self.chunks % self.config.run.compare_chunks == 0)
        return self.code is not None or self.due or position.batch == 0 or kept


def agree_on_stop(code: int | None) -> int | None:
    """Return the code with which any process asks to leave, of several that of the first."""
    return _first(gather("stop", code))


def _first(codes: Iterable[int | None]) -> int | None:
    return next((code for code in codes if code is not None), None)


class Rates:
    """The learning rate of every step, an epoch's at once: asked step by step, they would queue behind the training."""

    def __init__(self, schedule: Callable[[Any], Any], steps: int) -> None:
        self.many, self.steps = jax.jit(jax.vmap(schedule)), steps
        self.begin, self.values = 0, np.zeros(0)

    def after(self, step: int) -> Any:
        """Return the rate of the optimiser step that ended with this many; of members with their own, one of each."""
        place = step - 1 - self.begin
        if not 0 <= place < len(self.values):
            self.begin = (step - 1) // self.steps * self.steps
            self.values = np.asarray(self.many(jnp.arange(self.begin, self.begin + self.steps)))
            place = step - 1 - self.begin
        return self.values[place].tolist()
