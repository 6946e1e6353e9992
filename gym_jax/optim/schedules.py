"""Schedules by name: `(peak, steps, ...)` to the rate of every optimiser step.

A length below 1 is a share of the run's `steps`, any other a number of optimiser steps. After `steps` every rate stays
where it was at the end, and the first step already learns.
"""

import math
from collections.abc import Callable
from typing import Annotated, NamedTuple

import jax.numpy as jnp
import optax
from annotated_types import Ge, Gt, Lt
from jaxtyping import Array, Float, Int

from gym_jax.types import Positive, Share

Factor = Annotated[float, Gt(0), Lt(1)]
Divisor = Annotated[float, Ge(1)]
Length = Share | Positive
"""A share of the run, or a number of optimiser steps."""


def constant(peak: float, steps: int) -> optax.Schedule:
    """Return the learning rate `peak` at every step.

    >>> float(constant(0.1, 100)(50))
    0.1
    """
    return optax.constant_schedule(peak)


def linear(peak: float, steps: int, *, final: Share = 0.0) -> optax.Schedule:
    """Return a straight fall to `final` times the peak.

    >>> [round(float(linear(0.1, 100)(step)), 3) for step in (0, 50, 99)]
    [0.1, 0.05, 0.001]
    """
    return _within(optax.linear_schedule(peak, final * peak, steps), steps, final * peak, peak)


def cosine(peak: float, steps: int, *, final: Share = 0.0) -> optax.Schedule:
    """Return a cosine fall to `final` times the peak (SGDR without restarts, Loshchilov and Hutter 2017).

    >>> [round(float(cosine(0.1, 100)(step)), 3) for step in (0, 50, 100)]
    [0.1, 0.05, 0.0]
    """
    return optax.cosine_decay_schedule(peak, steps, alpha=final)


def exponential(peak: float, steps: int, *, final: Factor = 0.01) -> optax.Schedule:
    """Return a fall by the same factor at every step, to `final` times the peak.

    >>> [round(float(exponential(0.1, 100)(step)), 3) for step in (0, 50, 100)]
    [0.1, 0.01, 0.001]
    """
    return optax.exponential_decay(peak, steps, final, end_value=final * peak)


def step(peak: float, steps: int, *, every: Factor | Positive = 0.25, factor: Factor = 0.5) -> optax.Schedule:
    """Return the peak times `factor` once more after each length `every`.

    >>> [float(step(1.0, 100)(count)) for count in (0, 25, 50, 75)]
    [1.0, 0.5, 0.25, 0.125]
    """
    interval = max(1, _steps(every, steps))
    return lambda count: peak * factor ** (jnp.minimum(count, steps - 1) // interval)


def warmup_constant(peak: float, steps: int, *, warmup: Length = 0.05) -> optax.Schedule:
    """Return a linear rise over the length `warmup`, then the peak.

    >>> [float(warmup_constant(1.0, 100, warmup=4)(step)) for step in (0, 1, 3, 50)]
    [0.25, 0.5, 1.0, 1.0]
    """
    rise = max(1, _steps(warmup, steps))
    return lambda count: jnp.where(count + 1 < rise, peak * ((count + 1) / rise), peak)


def warmup_cosine(peak: float, steps: int, *, warmup: Length = 0.05, final: Share = 0.01) -> optax.Schedule:
    """Return a linear rise over the length `warmup`, then a cosine fall to `final` times the peak.

    >>> [round(float(warmup_cosine(1.0, 100, warmup=4)(step)), 2) for step in (0, 3, 52, 99)]
    [0.25, 1.0, 0.5, 0.01]
    """
    rise = max(1, _steps(warmup, steps))
    fall = optax.cosine_decay_schedule(peak, max(1, steps - rise), alpha=final)
    joined = optax.join_schedules([optax.linear_schedule(peak / rise, peak, max(1, rise - 1)), fall], [rise])
    return _within(joined, steps, 0, peak)


def one_cycle(
    peak: float, steps: int, *, rise: Length = 0.3, start: Divisor = 25.0, final: Divisor = 1e4
) -> optax.Schedule:
    """Return a cosine rise from `peak / start` over the length `rise`, then a cosine fall (Smith and Topin 2018).

    It falls to `peak / start / final`.

    >>> [round(float(one_cycle(1.0, 100)(step)), 2) for step in (0, 30, 65, 99)]
    [0.04, 1.0, 0.5, 0.0]
    """
    top = _steps(rise, steps)
    low, end = peak / start, peak / start / final

    def schedule(count: Int[Array, ""]) -> Float[Array, ""]:
        up = low + (peak - low) * _half_wave(count / max(1, top))
        down = peak + (end - peak) * _half_wave((count - top) / max(1, steps - top))
        return jnp.where(count < top, up, down)

    return _within(schedule, steps, 0, peak)


def _steps(length: float, steps: int) -> int:
    """Return a length in optimiser steps, of which a run has no more than `steps`."""
    return min(round(length * steps) if length < 1 else int(length), steps)


def _within(schedule: optax.Schedule, steps: int, low: float, high: float) -> optax.Schedule:
    """Return the schedule up to `steps`, without a program's rounding, which can pass zero or the peak by a hair."""
    return lambda count: jnp.clip(schedule(jnp.minimum(count, steps)), low, high)


def _half_wave(share: Float[Array, ""]) -> Float[Array, ""]:
    return 0.5 - 0.5 * jnp.cos(jnp.pi * jnp.clip(share, 0, 1))


def plateau(
    peak: float,
    steps: int,
    *,
    factor: Factor = 0.5,
    patience: Positive = 2,
    threshold: Share = 1e-4,
    final: Factor = 0.01,
) -> optax.Schedule:
    """Return the learning rate `peak`; between epochs the host lowers it with `Plateau` and `with_scale`.

    `factor` times the rate after `patience` epochs whose validation loss was not better by the share `threshold`; never
    below `final` times the peak.

    >>> float(plateau(0.1, 100)(50))
    0.1
    """
    return optax.constant_schedule(peak)


class Plateau(NamedTuple):
    """The best validation loss so far, epochs since, and what the rate is multiplied by.

    >>> seen = Plateau().update(1.0, factor=0.5, patience=1, threshold=0.0, final=0.01)
    >>> seen.update(1.2, factor=0.5, patience=1, threshold=0.0, final=0.01).scale
    0.5
    """

    best: float = math.inf
    """The lowest validation loss so far."""
    waited: int = 0
    """Epochs since."""
    scale: float = 1.0
    """What the rate is multiplied by."""

    def update(self, value: float, *, factor: float, patience: int, threshold: float, final: float) -> "Plateau":
        """Return the value after an epoch; NaN is never better."""
        # The share is of the size of the best, so that a likelihood below zero must improve as well.
        if value < self.best and (math.isinf(self.best) or self.best - value > threshold * abs(self.best)):
            return Plateau(value, 0, self.scale)
        if self.waited + 1 < patience:
            return self._replace(waited=self.waited + 1)
        return Plateau(self.best, 0, max(final, self.scale * factor))


SCHEDULES: dict[str, Callable[..., optax.Schedule]] = {
    "constant": constant,
    "linear": linear,
    "cosine": cosine,
    "exponential": exponential,
    "step": step,
    "one_cycle": one_cycle,
    "warmup_constant": warmup_constant,
    "warmup_cosine": warmup_cosine,
}
HOST_SCHEDULES: dict[str, Callable[..., optax.Schedule]] = {"plateau": plateau}
"""Schedules that are constant in the program; the host lowers the rate between epochs."""
