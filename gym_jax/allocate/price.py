"""From quantiles to one allocation: where the next core costs more than the violations that it avoids.

What a quantile is worth is not believed but measured: the share of held-out usage that it covered (split conformal
prediction, Vovk et al. 2005), of the workload itself as far as its history goes and of all workloads beyond.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

FINE = 64
"""Levels between the learned ones, even in the logit of the level."""
BEYOND = (1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 8.0)
"""Multiples of the highest quantile, for risks below those that can be learned."""
PRIOR_DAYS = 7.0
"""The workload's own coverage weighs as its days of history, that of all workloads as this many."""


HIGHEST = 2.0
"""The most that reacting adds to the logarithm of an allocation."""


class Price(NamedTuple):
    """What a violation costs, in units of the usage for as long as a decision holds, and the margin on top.

    Both are tuned on held-out data. `share` caps what one decision may risk: the chance to be exceeded.

    >>> Price(violation=20.0, margin=1.1)._replace(margin=1.2).margin
    1.2
    """

    violation: float
    """Core-hours, or byte-hours, that an hour in violation counts as."""
    margin: float = 1.0
    """What allocations are multiplied by on top."""
    reaction: float = 0.0
    """How strongly violations beyond what was promised raise what is given next."""
    floor: float = 0.0
    """The share of the last week's highest usage that is given at least."""
    share: float = 1.0
    """The highest chance of a violation that one decision may be given."""


def fine_levels(levels: Sequence[float]) -> Float[np.ndarray, " fine"]:
    """Return the levels of the candidates that are quantiles; those after them lie beyond the highest."""
    return 1 / (1 + np.exp(-_logits(levels)[1]))


def _logits(levels: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Return the logits of the learned levels, and of the fine ones between them."""
    given = np.asarray(levels)
    logit = np.log(given / (1 - given))
    return logit, np.linspace(logit[0], logit[-1], FINE)


def candidates(quantiles: Float[np.ndarray, "n levels"], levels: Sequence[float]) -> Float[np.ndarray, "n candidates"]:
    """Return allocations to choose from, rising: quantiles, linear in the logit of their level, and beyond."""
    logit, wanted = _logits(levels)
    left = np.clip(np.searchsorted(logit, wanted, side="right") - 1, 0, len(logit) - 2)
    share = (wanted - logit[left]) / (logit[left + 1] - logit[left])
    fine = quantiles[:, left] * (1 - share) + quantiles[:, left + 1] * share
    return np.concatenate([fine, fine[:, -1:] * np.array(BEYOND)], axis=1)


def covered(
    choices: Float[np.ndarray, "decisions candidates"],
    usage: Float[np.ndarray, "decisions steps"],
) -> Float[np.ndarray, " candidates"]:
    """Return the share of the usage that each candidate covered; NaN usage does not count, NaN of none."""
    known = ~np.isnan(usage)
    below = (usage[:, :, None] <= choices[:, None, :]) & known[:, :, None]
    return below.sum(axis=(0, 1)) / known.sum() if known.any() else np.full(choices.shape[1], np.nan)


def blend(
    own: Float[np.ndarray, "workloads candidates"], days: Float[np.ndarray, " workloads"]
) -> Float[np.ndarray, "workloads candidates"]:
    """Return each workload's coverage drawn towards the mean of all, the more the shorter its history is."""
    seen: Bool[np.ndarray, " workloads"] = ~np.isnan(own).any(axis=1)
    common = own[seen].mean(axis=0) if seen.any() else np.ones(own.shape[1])
    weight = np.where(seen, days, 0.0)[:, None]
    return (weight * np.nan_to_num(own) + PRIOR_DAYS * common) / (weight + PRIOR_DAYS)


def choose(
    choices: Float[np.ndarray, "n candidates"],
    scale: Float[np.ndarray, " n"],
    coverage: Float[np.ndarray, " candidates"],
    price: Price,
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Return the allocations, in the units of `scale`, and the coverage that each had on held-out data.

    Minimises allocation + price * chance of a violation: with one price for all, no other choice among these needs less
    in sum for as few violations. Large workloads bear more risk than small ones, whose safety is cheap; `price.share`
    bounds it.
    """
    risk = 1 - coverage
    cost = choices * scale[:, None] + price.violation * risk
    cost = np.where(risk <= max(price.share, float(risk.min())), cost, np.inf)
    best = cost.argmin(axis=1)
    return choices[np.arange(len(choices)), best] * scale * price.margin, coverage[best]


def react(
    given: Float[np.ndarray, " decisions"],
    coverage: Float[np.ndarray, " decisions"],
    usage: Float[np.ndarray, "decisions steps"],
    price: Price,
) -> Float[np.ndarray, " decisions"]:
    """Return the allocations, raised after more violations than promised until the promise is kept again.

    Adaptive conformal inference (Gibbs and Candes 2021) on the logarithm of the allocation: a workload that grows or
    changes leaves what was learned behind, and this follows. Each decision sees only the usage before it.
    """
    if not price.reaction:
        return given
    out, raised = np.empty_like(given), 0.0
    known = ~np.isnan(usage)
    for row, promised in enumerate(1 - coverage):
        out[row] = given[row] * np.exp(raised)
        if count := known[row].sum():
            violated = (usage[row] > out[row]).sum() / count
            raised = min(max(raised + price.reaction * (violated - promised), 0.0), HIGHEST)
    return out
