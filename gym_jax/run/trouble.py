"""Steps whose numbers are not to be trusted: found, said where, and left out or refused."""

import math
import statistics
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from gym_jax.config.schema import OnNan
from gym_jax.data.order import shuffled
from gym_jax.run.plan import Plan
from gym_jax.run.task import task_of
from gym_jax.types import Mean

RECENT = 128
"""Losses that a jump is measured by."""
FEWEST = 32
"""Losses before which nothing is called a jump."""
LARGE = 1e3
"""A scaled value from which data, and not the learning rate, is suspected."""


class Fault(NamedTuple):
    """What is wrong with a chunk: its first bad step, how many there are, and why."""

    first: int
    steps: int
    words: str


@dataclass
class Trouble:
    """What a run does about bad steps, and how many it has met."""

    policy: OnNan = "stop"
    limit: int = 0
    """Steps, or chunks that were undone, which an epoch may lose."""
    jump: float | None = None
    """Spreads above the median of recent losses from which a loss has jumped; None never asks."""
    locate: Callable[[int, int], str] = lambda epoch, batch: ""
    """`(epoch, batch)`: in words, what is in a batch."""
    lost: int = 0
    """Of the epoch so far."""
    losses: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))
    """Of recent good steps; kept only where jumps are asked for."""

    def find(self, metrics: Mapping[str, Mean]) -> Fault | None:
        """Return what is wrong with the steps of a chunk; remember the losses of those that are good."""
        skipped = metrics["skipped"].total > 0 if "skipped" in metrics else None
        if skipped is not None and skipped.any():
            return Fault(int(skipped.argmax()), int(skipped.sum()), "a loss, a gradient or a parameter is not finite")
        for name, word in (("loss", "loss"), ("grad_norm", "gradient")):
            bad = ~np.isfinite(metrics[name].total)
            if bad.any():
                return Fault(int(bad.argmax()), 1, f"the {word} is not finite")
        return None if self.jump is None else self._jumped(metrics["loss"].value.tolist(), self.jump)

    def _jumped(self, losses: list[float], spreads: float) -> Fault | None:
        for index, loss in enumerate(losses):
            if len(self.losses) >= FEWEST:
                middle = statistics.median(self.losses)
                spread = _spread([abs(value - middle) for value in self.losses])
                if loss > middle + spreads * spread and loss > middle:
                    away = f"{(loss - middle) / spread:.3g} spreads above" if spread else "above"
                    return Fault(index, 1, f"the loss jumped to {loss:.4g}, {away} the median {middle:.4g}")
            self.losses.append(loss)
        return None

    def to_json(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {"lost": self.lost, "losses": list(self.losses)}

    def take_up(self, saved: Mapping[str, Any]) -> None:
        """Go on from what a checkpoint kept; one that was written without it has lost nothing."""
        self.lost = saved.get("lost", 0)
        self.losses = deque(saved.get("losses", ()), maxlen=RECENT)


def trouble_of(plan: Plan, seed: int | None = None) -> Trouble:
    """Return what the plan's run does about bad steps; `seed` is that of a member of a group."""
    train = plan.config.train
    own = train.seed if seed is None else seed

    def locate(epoch: int, batch: int) -> str:
        if plan.stream is not None:  # its chunk is gone by now
            return ""
        return suspect(plan, shuffled(own, epoch, len(plan.train), train.batch_size)[batch])

    return Trouble(train.on_nan, train.nan_limit, train.loss_jump, locate)


def suspect(plan: Plan, rows: np.ndarray) -> str:
    """Say where the largest value of a batch stands: its series and time, or its case."""
    rows = rows[rows >= 0]
    batch = plan.train.take(jnp.asarray(rows))
    past = np.zeros((len(rows), 0)) if batch.inputs.past is None else np.abs(np.asarray(batch.inputs.past, np.float64))
    if batch.inputs.mask is not None:
        past = np.where(batch.inputs.mask, past, 0)
    ahead = np.abs(np.where(np.asarray(batch.weights) > 0, np.asarray(batch.targets, np.float64), 0))
    sizes = np.concatenate([_by_step(past), _by_step(ahead)], axis=1)
    sizes = np.where(np.isnan(sizes), math.inf, sizes)
    example, step = np.unravel_index(int(sizes.argmax()), sizes.shape)
    where = task_of(plan.config).locate(
        plan.config, plan.prepared, int(rows[example]), int(step) - _by_step(past).shape[1]
    )
    size = f"{sizes[example, step]:.3g} times its scale"
    if sizes[example, step] < LARGE:
        return f"no value of the batch is large: at most {size}, {where}"
    return f"its largest value is {size}, {where}"


def _spread(distances: list[float]) -> float:
    """Return the standard deviation of normal values with these distances from their median; outliers hardly count."""
    return 1.4826 * statistics.median(distances) or 1.2533 * statistics.fmean(distances)


def _by_step(values: np.ndarray) -> np.ndarray:
    """Return the largest of each example's steps, [batch, steps]."""
    return values.reshape(*values.shape[:2], -1).max(axis=2, initial=0)
