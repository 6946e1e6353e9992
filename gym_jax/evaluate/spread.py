"""What several seeds of one model say together: mean, deviation, and how sure the mean is."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from gym_jax.metrics import METRICS, plain

LEVEL = 0.95
"""How often the interval holds the true mean."""


def spread(values: Sequence[float | None], level: float = LEVEL) -> dict[str, Any]:
    """Return `mean`, `sd` (of a sample: n - 1) and `low` to `high`, Student's interval of the mean, of some values.

    One value has no deviation and no interval: None. With a value that is None or not finite all are None.
    """
    numbers = np.array([math.nan if value is None else value for value in values], np.float64)
    count, mean = len(numbers), float(numbers.mean())
    sd = float(numbers.std(ddof=1)) if count > 1 else math.nan
    reach = quantile_t(count - 1, level) * sd / math.sqrt(count) if count > 1 else math.nan
    facts = {"mean": mean, "sd": sd, "low": mean - reach, "high": mean + reach, "values": numbers}
    return {name: plain(value) for name, value in facts.items()}


def spread_of(
    reports: Sequence[Mapping[str, Mapping[str, Any]]], metrics: Iterable[str] = tuple(METRICS)
) -> dict[str, dict[str, Any]]:
    """Return the spread of the metrics of every target over the reports of several models."""
    return {
        target: {metric: spread([report[target][metric] for report in reports]) for metric in metrics}
        for target in reports[0]
    }


def quantile_t(freedom: int, level: float = LEVEL) -> float:
    """Return the number that a Student variable exceeds in size with a probability of 1 - level.

    By bisection of the closed form for whole degrees of freedom (Abramowitz and Stegun 26.7.3 and 26.7.4).
    """
    low, high = 0.0, math.pi / 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < level else (low, middle)
    return math.sqrt(freedom) * math.tan(low)


def _within(angle: float, freedom: int) -> float:
    """Return the probability that |t| is below sqrt(freedom) times the tangent of an angle."""
    odd = freedom % 2
    term, total = (math.cos(angle) if odd else 1.0), 0.0
    for k in range(2 + odd, freedom + 1, 2):
        total += term
        term *= (k - 1) / k * math.cos(angle) ** 2
    if odd:
        return 2 / math.pi * (angle + math.sin(angle) * total)
    return math.sin(angle) * total
