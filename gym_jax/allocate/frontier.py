"""Policies at equal violation: one factor on all allocations of a policy is swept, and the cost read off."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from gym_jax.allocate.outcome import SMALLEST, Outcome, usage_of
from gym_jax.allocate.usage import HOUR
from gym_jax.errors import DataError

RISKS = (0.05, 0.01, 0.001)
"""Shares of the time in violation at which policies are compared."""
HAIR = 1e-12
"""What a factor is larger by than the quotient it stands for: a rounded product must not fall short of the usage."""


def scale_at(outcomes: Sequence[Outcome], risk: float) -> float:
    """Return the factor on all allocations at which the mean violation over workloads is `risk`, exactly.

    It is a weighted quantile of usage / allocation; a workload's steps weigh one share together. Raises DataError when
    there is no step.

    >>> round(scale_at([outcome], risk=0.25), 9)
    1.333333333
    """
    if not outcomes:
        raise DataError(
            "no step before the test has a usage and an answer of every policy: margins can not be tuned",
            hint="give more history, more days to tune on, or fewer policies",
            attempt="gymjax allocate simulate DATA --policy max --val-days 14",
            code="allocate.nothing",
        )
    need = np.concatenate([one.usage / np.maximum(one.allocation, SMALLEST) for one in outcomes])
    weight = np.concatenate([np.full(len(one.usage), 1 / len(one.usage)) for one in outcomes]) / len(outcomes)
    order = np.argsort(-need, kind="stable")
    above = np.cumsum(weight[order])
    place = min(int(np.searchsorted(above, risk * (1 - HAIR))), len(need) - 1)
    return float(need[order][place] * (1 + HAIR))


def ratio_at(outcomes: Sequence[Outcome], risk: float) -> float:
    """Return allocation over usage at equal violation.

    >>> round(ratio_at([outcome], risk=0.25), 9)
    1.5
    """
    return scale_at(outcomes, risk) * ratio(outcomes)


def ratio(outcomes: Sequence[Outcome]) -> float:
    """Return allocation over usage, of all workloads together."""
    return float(sum(one.allocation.sum() for one in outcomes) / usage_of(outcomes))


class Frontier(NamedTuple):
    """Violation of each workload at each factor, and what an allocation costs."""

    scales: Float[np.ndarray, " scales"]
    violation: Float[np.ndarray, "workloads scales"]
    used: Float[np.ndarray, " workloads"]
    """Unit-hours."""
    allocated: Float[np.ndarray, " workloads"]
    """Unit-hours at a factor of 1."""
    days: Float[np.ndarray, " workloads"]

    def ratio(
        self, risk: float, counts: Float[np.ndarray, "draws workloads"] | None = None
    ) -> Float[np.ndarray, " draws"]:
        """Return allocation over usage at a risk, for each draw of workloads (None: all of them, once)."""
        counts = np.ones((1, len(self.used))) if counts is None else counts
        return self.scale(risk, counts) * (counts @ self.allocated) / (counts @ self.used)

    def per_day(self, risk: float, counts: Float[np.ndarray, "draws workloads"]) -> Float[np.ndarray, " draws"]:
        """Return the unit-hours allocated per workload and day at a risk."""
        return self.scale(risk, counts) * (counts @ self.allocated) / (counts @ self.days)

    def scale(self, risk: float, counts: Float[np.ndarray, "draws workloads"]) -> Float[np.ndarray, " draws"]:
        """Return the smallest factor at which the mean violation is at most the risk, between two by interpolation."""
        mean = counts @ self.violation / counts.sum(axis=1, keepdims=True)
        place = np.argmax(mean <= risk, axis=1)
        place = np.where(mean[:, -1] > risk, len(self.scales) - 1, np.maximum(place, 1))
        rows = np.arange(len(mean))
        above, below = mean[rows, place - 1], mean[rows, place]
        share = np.clip((above - risk) / np.maximum(above - below, SMALLEST), 0, 1)
        return self.scales[place - 1] ** (1 - share) * self.scales[place] ** share


def make_frontier(outcomes: Sequence[Outcome], points: int = 2000) -> Frontier:
    """Return the frontier at factors that lie close, from all in violation to none.

    >>> frontier = make_frontier([outcome], points=100)
    >>> frontier.ratio(0.25).round(2).tolist()
    [1.16]
    """
    need = [np.sort(one.usage / np.maximum(one.allocation, SMALLEST)) for one in outcomes]
    highest = max(float(one[-1]) for one in need)
    lowest = min(0.02, highest / 2)
    scales = np.geomspace(lowest, max(highest, 1.0) * 1.001, points)
    violation = np.stack([1 - np.searchsorted(one, scales, side="right") / len(one) for one in need])
    return Frontier(
        scales,
        violation,
        np.array([one.usage.sum() * one.step / HOUR for one in outcomes]),
        np.array([one.allocation.sum() * one.step / HOUR for one in outcomes]),
        np.array([one.hours / 24 for one in outcomes]),
    )


def draw_workloads(count: int, draws: int = 1000, seed: int = 0) -> Int[np.ndarray, "draws workloads"]:
    """Return how often each workload is drawn in each bootstrap sample: whole ones, for their steps hang together."""
    generator = np.random.Generator(np.random.Philox(seed))
    return generator.multinomial(count, np.full(count, 1 / count), size=draws)


class Difference(NamedTuple):
    """A paired difference with its 95 % bootstrap interval over workloads."""

    mean: float
    low: float
    high: float

    @property
    def sure(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0


def difference(values: Float[np.ndarray, " draws"], others: Float[np.ndarray, " draws"], mean: float) -> Difference:
    """Return the difference of paired draws around the one seen."""
    low, high = np.quantile(values - others, [0.025, 0.975])
    return Difference(mean, float(low), float(high))
