"""The decaying histogram of the Kubernetes vertical pod autoscaler, restated from its constants.

Source: kubernetes/autoscaler, vertical-pod-autoscaler (recommender 1.4): exponential buckets, weights that double every
half-life, a percentile that answers with the end of its bucket.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int


class Buckets(NamedTuple):
    """Bucket `b` reaches from `starts[b]` to `starts[b + 1]`; the last has no end."""

    starts: Float[np.ndarray, " buckets"]

    def find(self, values: Float[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        """Return the bucket of each value."""
        return np.clip(np.searchsorted(self.starts, values, side="right") - 1, 0, len(self.starts) - 1)


def exponential_buckets(highest: float, first: float, ratio: float) -> Buckets:
    """Return buckets that grow by `ratio`; the first is `first` wide, the last one holds `highest`."""
    count = math.ceil(math.log(highest * (ratio - 1) / first + 1, ratio)) + 1
    return Buckets(first * (ratio ** np.arange(count) - 1) / (ratio - 1))


CPU = exponential_buckets(1000.0, 0.01, 1.05)
"""Cores."""
MEMORY = exponential_buckets(1e12, 1e7, 1.05)
"""Bytes."""


def percentile(
    buckets: Buckets, weights: Float[np.ndarray, "*n buckets"], share: float | Float[np.ndarray, " *n"]
) -> Float[np.ndarray, " *n"]:
    """Return the end of the first bucket up to which `share` of the weight lies; 0 of an empty histogram.

    There is no interpolation: the answer is up to a bucket too high.
    """
    weights = np.asarray(weights, np.float64)
    total = np.cumsum(weights, axis=-1)
    whole, filled = total[..., -1:], weights > 0
    wanted = np.expand_dims(np.asarray(share, np.float64), -1) * whole
    reached = np.argmax((total >= wanted) & (total > 0), axis=-1)
    ends = np.append(buckets.starts[1:], buckets.starts[-1])
    return np.where(filled.any(axis=-1), ends[reached], 0.0)


def decaying(
    buckets: Buckets,
    values: Float[np.ndarray, " steps"],
    ages: Float[np.ndarray, " steps"],
    decisions: Int[np.ndarray, " decisions"],
    weight: float = 0.1,
) -> Float[np.ndarray, "decisions buckets"]:
    """Return the histogram before each decision, of all values before it, missing ones left out.

    `ages` are the times of the values in half-lives; a sample weighs `weight * 2**age`. A percentile asks for shares,
    so the common factor of a row is free: each is scaled to the newest value before its decision.
    """
    out = np.zeros((len(decisions), len(buckets.starts)))
    now, reached, since = np.zeros(len(buckets.starts)), 0, 0.0
    for place, decision in enumerate(decisions):
        if decision > reached:
            part = slice(reached, decision)
            until = float(ages[decision - 1])
            known = ~np.isnan(values[part])
            fresh = weight * 2.0 ** (ages[part][known] - until)
            now = now * 2.0 ** (since - until if reached else 0.0)
            now = now + np.bincount(buckets.find(values[part][known]), fresh, len(buckets.starts))
            reached, since = int(decision), until
        out[place] = now
    return out
