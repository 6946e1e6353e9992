"""What came of allocations: usage against what was given, for every workload of a policy."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from gym_jax.allocate.usage import DAY, HOUR
from gym_jax.errors import DataError

SMALLEST = 1e-12
"""An allocation below it is none: whatever is used violates it."""


class Outcome(NamedTuple):
    """One workload under one policy: only the steps at which usage is known and the policy had an answer.

    >>> outcome.hours
    4.0
    """

    name: str
    """Of the workload."""
    usage: Float[np.ndarray, " steps"]
    """What was used, in cores or bytes."""
    allocation: Float[np.ndarray, " steps"]
    """What the policy gave, in the same units."""
    day: Float[np.ndarray, " steps"]
    """Which day of the test each step belongs to."""
    step: int
    """Nanoseconds."""

    @property
    def hours(self) -> float:
        """How long it was watched."""
        return len(self.usage) * self.step / HOUR


def outcome_of(
    name: str,
    usage: Float[np.ndarray, " steps"],
    allocation: Float[np.ndarray, " steps"],
    step: int,
    keep: Bool[np.ndarray, " steps"],
) -> Outcome:
    """Return the outcome on the steps to keep."""
    day = np.arange(len(usage)) * step // DAY
    return Outcome(name, usage[keep], allocation[keep], day[keep], step)


def usage_of(outcomes: Sequence[Outcome]) -> float:
    """Return the usage of all workloads together, by which costs are measured. Raises DataError when there was none."""
    used = float(sum(one.usage.sum() for one in outcomes))
    if not used:
        raise DataError(
            "nothing was used: every usage that policies are judged by is 0",
            hint="name the column that holds what was used",
            attempt="gymjax allocate simulate DATA --target COLUMN",
            code="allocate.nothing",
        )
    return used


class Figures(NamedTuple):
    """How good a policy was; shares are of 1, times are hours, amounts are unit-hours.

    >>> figures([outcome]).violation, figures([outcome]).longest
    (0.25, 1.0)
    """

    violation: float
    """Share of the time in which usage was above allocation: mean over workloads."""
    violation_p90: float
    """The same share of the workload that has more than nine tenths of the others."""
    unmet: float
    """Share of the usage that lay above the allocation."""
    waste: float
    """What was allocated and not used, as a share of the usage."""
    ratio: float
    """Allocation over usage."""
    slack: float
    """Median over workload-days of (allocation - p95 of usage) / allocation (Autopilot's relative slack)."""
    negative_slack: float
    """Share of the workload-days whose 95th percentile of usage was above the allocation."""
    changes: float
    """Changes of the allocation per workload and day."""
    pinball: float
    """Quantile loss at the level that was reached, over the usage."""
    longest: float
    """Hours of the longest violation."""
    violation_hours: float
    """Per workload and day."""
    allocated: float
    """Unit-hours per workload and day: core-hours of CPU."""


def figures(outcomes: Sequence[Outcome], scale: float = 1.0) -> Figures:
    """Return the figures of a policy whose allocations are all scaled alike.

    >>> figures([outcome]).ratio
    1.125
    >>> figures([outcome], scale=2.0).violation
    0.0
    """
    shares = np.array([np.mean(one.usage > scale * one.allocation) for one in outcomes])
    used = sum(one.usage.sum() for one in outcomes)
    given = scale * sum(one.allocation.sum() for one in outcomes)
    above = sum(np.maximum(one.usage - scale * one.allocation, 0).sum() for one in outcomes)
    days = sum(one.hours for one in outcomes) / 24
    slack = np.concatenate([_slack(one, scale) for one in outcomes])
    level = 1 - float(shares.mean())
    loss = sum(_pinball(one.usage - scale * one.allocation, level) for one in outcomes)
    return Figures(
        violation=float(shares.mean()),
        violation_p90=float(np.quantile(shares, 0.9)),
        unmet=float(above / used),
        waste=float((given - used + above) / used),
        ratio=float(given / used),
        slack=float(np.median(slack)),
        negative_slack=float((slack < 0).mean()),
        changes=float(sum((np.abs(np.diff(one.allocation)) > SMALLEST).sum() for one in outcomes) / days),
        pinball=float(loss / used),
        longest=max(_longest(one.usage > scale * one.allocation) * one.step / HOUR for one in outcomes),
        violation_hours=float(sum(share * one.hours for share, one in zip(shares, outcomes, strict=True)) / days),
        allocated=float(scale * sum((one.allocation * one.step / HOUR).sum() for one in outcomes) / days),
    )


def _slack(one: Outcome, scale: float) -> Float[np.ndarray, " days"]:
    """Return (mean allocation - p95 of usage) / mean allocation for every day."""
    out = []
    for day in np.unique(one.day):
        of = one.day == day
        given = scale * one.allocation[of].mean()
        out.append((given - np.quantile(one.usage[of], 0.95)) / max(given, SMALLEST))
    return np.array(out)


def _pinball(error: Float[np.ndarray, " steps"], level: float) -> float:
    return float(np.maximum(level * error, (level - 1) * error).sum())


def _longest(above: Bool[np.ndarray, " steps"]) -> int:
    """Return the length of the longest run."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], above.astype(np.int8), [0]])))
    return int(np.max(edges[1::2] - edges[::2], initial=0))
