"""The statistics of a paired comparison: pure functions of plain numbers, without any other module of this folder."""

import math
import random
from collections.abc import Mapping, Sequence
from typing import NamedTuple

DRAWS = 10_000


class Interval(NamedTuple):
    """A mean ratio and where 95 % of its bootstrap draws lie."""

    mean: float
    low: float
    high: float


def geometric_mean(values: Sequence[float]) -> float:
    """Return the n-th root of the product."""
    return math.exp(math.fsum(map(math.log, values)) / len(values))


def ratios(slow: Sequence[float], fast: Sequence[float]) -> list[float]:
    """Return how many times as long the first takes as the second, round by round."""
    return [a / b for a, b in zip(slow, fast, strict=True)]


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return a quantile of ordered values, linear between neighbours."""
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def interval(values: Sequence[float], *, seed: int = 0, draws: int = DRAWS) -> Interval:
    """Return the geometric mean of ratios and its 95 % percentile bootstrap over rounds."""
    drawn = random.Random(seed)
    means = sorted(geometric_mean(drawn.choices(values, k=len(values))) for _ in range(draws))
    return Interval(geometric_mean(values), quantile(means, 0.025), quantile(means, 0.975))


def band(same: Interval) -> float:
    """Return the factor within which an arm differs from itself: the farther end of its A/A interval from 1."""
    return max(same.high, 1 / same.low)


def verdict(found: Interval, noise: float) -> str:
    """Return `faster` or `slower` when the interval excludes 1 and the mean lies outside the noise, else `equal`."""
    if found.low > 1 and found.mean > noise:
        return "faster"
    if found.high < 1 and found.mean < 1 / noise:
        return "slower"
    return "equal"


def turn(arms: Sequence[str], number: int) -> list[str]:
    """Return the order of a round, so that rounds one after the other read A B, B A, B A, A B."""
    return list(arms) if number % 4 in (0, 3) else list(arms)[::-1]


def fastest(medians: Mapping[str, float], among: Sequence[str]) -> str | None:
    """Return the arm of the smallest median; None when none of them has one."""
    there = [arm for arm in among if arm in medians]
    return min(there, key=lambda arm: medians[arm]) if there else None


def disagreement(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the largest distance of two series of losses, relative to ours; infinite when their lengths differ."""
    if len(ours) != len(theirs) or not ours:
        return math.inf
    found = [abs(a - b) / abs(a) for a, b in zip(ours, theirs, strict=True)]
    return math.inf if any(math.isnan(one) for one in found) else max(found)
