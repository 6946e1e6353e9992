"""When decisions are made, and on which days they are tuned and judged."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from gym_jax.allocate.frontier import RISKS
from gym_jax.allocate.usage import DAY, Workload
from gym_jax.errors import DataError


class Protocol(NamedTuple):
    """When decisions are made and judged; all that lies before the test is there to learn from.

    >>> Protocol(test_days=2.0).every
    1
    """

    every: int = 1
    """Hours that a decision holds."""
    test_days: float = 7.0
    """Days at the end of the data on which policies are judged."""
    val_days: float = 7.0
    """Days before the test on which prices and margins are tuned."""
    risks: tuple[float, ...] = RISKS
    """Shares of the time in violation at which policies are compared."""
    least: float = 1e-3
    """Smallest level of a workload, in the units of the usage."""
    share: float = 1.0
    """The highest chance of a violation that the learned policy may give one decision."""


class Span(NamedTuple):
    """Where validation and test of one workload begin, and its end, as rows."""

    val: int
    test: int
    end: int


def spans(workloads: Sequence[Workload], protocol: Protocol) -> list[Span]:
    """Return the spans of every workload, counted from its end. Raises DataError on those that are too short."""
    out, short = [], []
    for one in workloads:
        hold = protocol.every * one.per_hour
        test, val = (round(days * DAY / one.step) // hold * hold for days in (protocol.test_days, protocol.val_days))
        span = Span(len(one.usage) - test - val, len(one.usage) - test, len(one.usage))
        out.append(span)
        if span.val < one.per_hour:
            short.append(one.name)
    if short:
        days, before = protocol.test_days, protocol.val_days
        raise DataError(
            f"{len(short):,} of {len(workloads):,} workloads are too short to be judged: {', '.join(short[:5])}",
            hint=(f"{days:g} days of test and {before:g} before leave" if days else f"{before:g} days to tune on leave")
            + " nothing to look back on",
            attempt="gymjax allocate simulate DATA --test-days 3 --val-days 3"
            if days
            else "gymjax allocate train DATA --val-days 3",
            code="allocate.short",
        )
    return out


def decision_rows(one: Workload, span: Span, protocol: Protocol) -> Int[np.ndarray, " decisions"]:
    """Return the rows at which a decision is made, from validation to the end."""
    return np.arange(span.val, span.end, protocol.every * one.per_hour)


def held(allocation: Float[np.ndarray, " decisions"], one: Workload, span: Span, protocol: Protocol) -> np.ndarray:
    """Return decisions as one value a step, from validation to the end."""
    return np.repeat(allocation, protocol.every * one.per_hour)[: span.end - span.val]


def by_decision(one: Workload, span: Span, protocol: Protocol) -> Float[np.ndarray, "decisions steps"]:
    """Return the usage while each decision held; NaN behind the end."""
    usage, size = one.usage[span.val : span.end], protocol.every * one.per_hour
    return np.pad(usage, (0, -len(usage) % size), constant_values=np.nan).reshape(-1, size)
