"""What the learned policy may choose from, for every workload and decision, and how it is tuned."""

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from gym_jax.allocate.frontier import ratio, scale_at
from gym_jax.allocate.hours import Hours, by_the_hour
from gym_jax.allocate.learned import Learned, Recipe, forecast, learn
from gym_jax.allocate.outcome import Outcome, outcome_of
from gym_jax.allocate.price import Price, blend, candidates, choose, covered, react
from gym_jax.allocate.protocol import Protocol, Span, by_decision, decision_rows, held, spans
from gym_jax.allocate.usage import DAY, Workload

PRICES = tuple(np.geomspace(0.1, 3000, 25))
"""Of a violation, as multiples of the mean usage: what is tried."""
FLOORS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Shares of the last week's highest usage: what is tried."""
REACTIONS = (0.0, 0.1, 0.3)
"""How strongly violations raise what is given next: what is tried."""
PAYS = 0.98
"""Another floor or reaction must cost no more than this share of what was there: small gains are chance."""
NEAR = 8.0
"""With a floor or a reaction only prices are tried that lie no further than this factor from the best so far."""


SETTLES, SETTLED = 10, 1e-6
"""How often, at most, a margin is found again under its own reactions, and by how much it may still change."""


class Offer(NamedTuple):
    """The choices of one workload, a row for each decision from validation to the end."""

    choices: Float[np.ndarray, "decisions candidates"]
    """In levels."""
    highest: Float[np.ndarray, " decisions"]
    """Of the week before, in levels."""
    level: Float[np.ndarray, " decisions"]
    coverage: Float[np.ndarray, "floors candidates"]
    """Of each candidate over each floor of `FLOORS`."""
    usage: Float[np.ndarray, "decisions steps"]
    """What was used while each decision held, in the units of the usage; a decision sees that of those before it."""

    def chosen(self, price: Price) -> tuple[Float[np.ndarray, " decisions"], Float[np.ndarray, " decisions"]]:
        """Return what is chosen at a price, and the coverage it had, before violations raise it."""
        choices = over_floor(self.choices, self.highest, price.floor)
        return choose(choices, self.level, self.coverage[FLOORS.index(price.floor)], price)

    def allocate(self, price: Price) -> Float[np.ndarray, " decisions"]:
        """Return the allocation of each decision at a price."""
        return react(*self.chosen(price), self.usage, price)


def learn_from(
    workloads: Sequence[Workload],
    protocol: Protocol,
    recipe: Recipe = Recipe(),
    *,
    watch: Callable[[int, float, float], None] | None = None,
) -> Learned:
    """Return what all history before the test teaches: for each block of it there are members that did not see it."""
    parts = spans(workloads, protocol)
    hours = [hours_of(one, span, protocol) for one, span in zip(workloads, parts, strict=True)]
    blocks = [
        block_of(one, own, span, protocol, recipe.folds) for one, own, span in zip(workloads, hours, parts, strict=True)
    ]
    return learn(hours, blocks, recipe, watch=watch)


def hours_of(one: Workload, span: Span, protocol: Protocol) -> Hours:
    """Return the workload by the hour, so that its decisions fall on whole hours."""
    return by_the_hour(one, lead=span.val % one.per_hour, every=protocol.every, least=protocol.least)


def block_of(one: Workload, hours: Hours, span: Span, protocol: Protocol, folds: int) -> Int[np.ndarray, " hours"]:
    """Return in which block of the history each hour lies; -1 of those whose decision holds into the test or beyond."""
    begin = hours.lead + np.arange(len(hours.level)) * one.per_hour
    first = begin[int(np.argmax(hours.known))]
    share = (begin - first) / max(span.test - first, 1)
    block = np.clip(np.floor(share * folds), 0, folds - 1).astype(np.int64)
    return np.where(begin + protocol.every * one.per_hour <= span.test, block, -1)


def offers_of(
    learned: Sequence[Learned],
    workloads: Sequence[Workload],
    parts: Sequence[Span],
    protocol: Protocol,
    *,
    common: Float[np.ndarray, "floors candidates"] | None = None,
) -> list[Offer]:
    """Return the offers of every workload, with the coverage they had on its validation span, or a `common` one."""
    made, own, days = [], [], []
    for mind, one, span in zip(learned, workloads, parts, strict=True):
        quantiles, highest, level = _quantiles(mind, one, span, protocol)
        choices, usage = candidates(quantiles, mind.levels), by_decision(one, span, protocol)
        before = slice(0, (span.test - span.val) // usage.shape[1])
        shares = usage[before] / level[before, None]
        own.append([covered(over_floor(choices[before], highest[before], floor), shares) for floor in FLOORS])
        days.append((~np.isnan(shares)).sum() * one.step / DAY)
        made.append((choices, highest, level, usage))
    measured = np.array(own)
    coverages = (
        np.stack([common] * len(made))
        if common is not None
        else np.stack([blend(measured[:, place], np.array(days)) for place in range(len(FLOORS))], axis=1)
    )
    return [
        Offer(choices, highest, level, coverage, usage)
        for (choices, highest, level, usage), coverage in zip(made, coverages, strict=True)
    ]


def over_floor(
    choices: Float[np.ndarray, "decisions candidates"], highest: Float[np.ndarray, " decisions"], floor: float
) -> Float[np.ndarray, "decisions candidates"]:
    """Return candidates that are at least a share of the highest usage of the week before."""
    return np.maximum(choices, floor * highest[:, None]) if floor else choices


def _quantiles(
    learned: Learned, one: Workload, span: Span, protocol: Protocol
) -> tuple[Float[np.ndarray, "decisions levels"], Float[np.ndarray, " decisions"], Float[np.ndarray, " decisions"]]:
    """Return the quantiles for each decision and the highest usage of the week before, in levels, and the levels.

    Before the test they are those of the members that have not seen the hour, from then on those of all.
    """
    own = hours_of(one, span, protocol)
    hour = (decision_rows(one, span, protocol) - own.lead) // one.per_hour
    features = own.features[hour]
    block = block_of(one, own, span, protocol, learned.folds)[hour]
    out = forecast(learned, features)
    for fold in np.unique(block[block >= 0]):
        of = block == fold
        out[of] = forecast(learned.without(int(fold)), features[of])
    return out, own.highest[hour], own.level[hour]


def tune(
    offers: Sequence[Offer],
    workloads: Sequence[Workload],
    parts: Sequence[Span],
    protocol: Protocol,
    risk: float,
    *,
    prices: Sequence[float] = PRICES,
    floors: Sequence[float] = FLOORS,
    reactions: Sequence[float] = REACTIONS,
) -> Price:
    """Return the price, floor, reaction and margin that hold the risk on validation with the least allocation."""
    used = np.nanmean(np.concatenate([one.usage[: span.test] for one, span in zip(workloads, parts, strict=True)]))
    best, least = Price(float(used), share=protocol.share), np.inf

    def outcomes_of(price: Price) -> list[Outcome]:
        return [
            outcome
            for offer, one, span in zip(offers, workloads, parts, strict=True)
            if (outcome := _on_validation(offer, price, one, span, protocol)) is not None
        ]

    def attempt(price: Price) -> None:
        nonlocal best, least
        outcomes = outcomes_of(price)
        margin = scale_at(outcomes, risk)
        plain = (price.floor, price.reaction) == (best.floor, best.reaction)
        if (cost := margin * ratio(outcomes)) < (least if plain else PAYS * least):
            best, least = price._replace(margin=margin), cost

    for violation in prices:
        attempt(best._replace(violation=float(violation * used), margin=1.0))
    for name, others in (("floor", floors), ("reaction", reactions)):
        middle = best.violation / used
        near = [price for price in prices if middle / NEAR <= price <= middle * NEAR]
        for value, violation in itertools.product(others, near):
            attempt(best._replace(**{name: value, "violation": float(violation * used), "margin": 1.0}))
    for _ in range(SETTLES if best.reaction else 0):  # under a margin there is less to react to
        best = best._replace(margin=best.margin * (factor := scale_at(outcomes_of(best), risk)))
        if abs(factor - 1) < SETTLED:
            break
    return best


def shortfalls(
    offers: Sequence[Offer], workloads: Sequence[Workload], parts: Sequence[Span], protocol: Protocol, price: Price
) -> dict[str, float]:
    """Return by name the share of the validation in which usage was above what a price gives, margin and reaction with
    it; a workload of which nothing was measured there has none."""
    found = (
        _on_validation(offer, price, one, span, protocol)
        for offer, one, span in zip(offers, workloads, parts, strict=True)
    )
    return {one.name: float(np.mean(one.usage > one.allocation)) for one in found if one is not None}


def _on_validation(offer: Offer, price: Price, one: Workload, span: Span, protocol: Protocol) -> Outcome | None:
    """Return what comes of a price on the validation span; None where nothing was measured."""
    steps, rows = span.test - span.val, (span.test - span.val) // offer.usage.shape[1]
    before = Offer(offer.choices[:rows], offer.highest[:rows], offer.level[:rows], offer.coverage, offer.usage[:rows])
    given = held(before.allocate(price), one, span, protocol)[:steps]
    usage = one.usage[span.val : span.test]
    keep = ~np.isnan(usage)
    return outcome_of(one.name, usage, given, one.step, keep) if keep.any() else None
