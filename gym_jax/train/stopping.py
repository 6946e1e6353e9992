"""Early stopping as a value: what was best, when, and how long ago."""

import math
from typing import NamedTuple


class EarlyStop(NamedTuple):
    """The best validation value so far (lower is better), its epoch and step, and epochs since."""

    best: float = math.inf
    best_epoch: int = 0
    best_step: int = 0
    waited: int = 0

    def update(self, value: float, *, epoch: int, step: int) -> "EarlyStop":
        """Return the value after an epoch; NaN is never better."""
        if value < self.best:
            return EarlyStop(value, epoch, step, 0)
        return self._replace(waited=self.waited + 1)

    def exhausted(self, patience: int | None) -> bool:
        """Return whether `patience` epochs brought nothing better; None waits for ever."""
        return patience is not None and self.waited >= patience
