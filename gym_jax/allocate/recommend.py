"""What every workload should get from now on, and why."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from gym_jax.allocate.hours import Hours, by_the_hour
from gym_jax.allocate.learned import Learned, forecast
from gym_jax.allocate.offers import Offer
from gym_jax.allocate.price import Price, candidates
from gym_jax.allocate.protocol import Protocol
from gym_jax.allocate.quantity import quantity, rounded
from gym_jax.allocate.usage import DAY, Resource, Workload
from gym_jax.errors import ConfigError

CAREFUL = 1.2
"""Times the highest usage so far: what a workload gets whose history is too short, or ended before today."""
AT_ONCE = 256
"""Workloads that the network is asked for together; bounds the memory, not the result."""
REACH = 7
"""Days back from which on violations raise what is recommended."""


COLUMNS = ("workload", "request", "limit", "lower", "request_quantity", "limit_quantity", "why")
"""Of a table of recommendations."""


class Recommendation(NamedTuple):
    """Of one workload, in cores or bytes.

    >>> Recommendation("web", request=2.0, limit=2.5, lower=1.5, why={}).limit
    2.5
    """

    name: str
    """Of the workload."""
    request: float
    """What it should be given."""
    limit: float | None
    """What a risk ten times smaller asks for; None where none is to be set."""
    lower: float
    """What a risk ten times larger asks for."""
    why: dict[str, Any]
    """The figures that the answer rests on, as plain JSON."""


class Judgement(NamedTuple):
    """What held-out data said of a learned policy: stored with it."""

    prices: Mapping[float, Price]
    """By risk."""
    coverage: Mapping[str, Float[np.ndarray, "floors candidates"]]
    """Of each workload that was there, by name."""
    common: Float[np.ndarray, "floors candidates"]
    """Of all of them together."""
    short: Mapping[float, Mapping[str, float]] = MappingProxyType({})
    """By risk and name: the share of the validation in which usage was above what the price gives, margin with it."""


def price_at(prices: Mapping[float, Price], risk: float) -> Price:
    """Return the price for any risk between the tuned ones, by interpolation of the logarithms.

    Raises ConfigError outside of them.
    """
    tuned = sorted(prices)
    if not tuned[0] * (1 - 1e-9) <= risk <= tuned[-1] * (1 + 1e-9):
        raise ConfigError(
            f"a risk of {risk:.4%} was not tuned",
            hint=f"between {tuned[0]:.2%} and {tuned[-1]:.2%}; train with the risk that is wanted",
            attempt=f"gymjax allocate train DATA --risk {risk:.4%}",
            code="allocate.risk",
        )
    near = min(tuned, key=lambda one: abs(np.log(one / risk)))

    def between(values: Sequence[float]) -> float:
        return float(np.exp(np.interp(np.log(risk), np.log(tuned), np.log(values))))

    return prices[near]._replace(
        violation=between([prices[one].violation for one in tuned]),
        margin=between([prices[one].margin for one in tuned]),
    )


def short_at(short: Mapping[float, Mapping[str, float]], risk: float) -> dict[str, float]:
    """Return the shares by name for any risk between the tuned ones, by interpolation over its logarithm."""
    tuned = sorted(short)
    names = short[tuned[0]] if tuned else ()
    return {name: float(np.interp(np.log(risk), np.log(tuned), [short[one][name] for one in tuned])) for name in names}


def recommend(
    workloads: Sequence[Workload],
    learned: Learned,
    judgement: Judgement,
    protocol: Protocol,
    risk: float,
    *,
    resource: Resource = "cpu",
    limits: bool = True,
    least: float | None = None,
) -> list[Recommendation]:
    """Return what each workload should get for the coming `protocol.every` hours so that it is short of it at most a
    share `risk` of the time, in the mean over workloads.

    Violations of the last week raise it as they did when it was tuned. Raises ConfigError when the risk was not tuned.
    """
    tuned = sorted(judgement.prices)
    price = price_at(judgement.prices, risk)
    above, below = (price_at(judgement.prices, float(np.clip(risk * by, tuned[0], tuned[-1]))) for by in (0.1, 10.0))
    short = short_at(judgement.short, risk)
    common = float(np.mean(list(short.values()))) if short else None
    out = []
    for one, (hours, place, begin, hold), quantiles in _with_quantiles(workloads, learned, protocol):
        seen = ~np.isnan(one.usage)
        days = float(seen.sum() * one.step / DAY)
        if not hours.known[place[-1]]:
            out.append(_careful(one, days, resource, limits, least))
            continue
        coverage = judgement.coverage.get(one.name, judgement.common)
        usage = np.concatenate([one.usage[begin:].reshape(-1, hold), np.full((1, hold), np.nan)])
        offer = Offer(
            candidates(quantiles, learned.levels),
            hours.highest[place],
            hours.level[place],
            coverage,
            usage,
        )
        request, high, low = (float(offer.allocate(at)[-1]) for at in (price, above, below))
        given, _ = offer.chosen(price)
        above_it = short.get(one.name, common)
        why = {
            "policy": "learned",
            "risk": risk,
            "holds_hours": protocol.every,
            "history_days": days,
            "level": float(hours.level[place[-1]]),
            "covered": None if above_it is None else 1 - above_it,
            "covered_own": one.name in short,
            "margin": price.margin,
            "raised": request / max(float(given[-1]), 1e-12),
            "highest_day": _highest(one.usage[-24 * one.per_hour :]),
        }
        asked = rounded(request, resource, least)
        out.append(
            Recommendation(
                one.name,
                asked,
                max(asked, rounded(high, resource, least)) if limits else None,
                min(asked, rounded(low, resource, least)),
                why,
            )
        )
    return out


class _Lately(NamedTuple):
    """The decisions of a workload's last days, and the one that is due."""

    hours: Hours
    place: Int[np.ndarray, " decisions"]
    begin: int
    """Row of the first."""
    hold: int
    """Rows from one to the next."""


def _with_quantiles(
    workloads: Sequence[Workload], learned: Learned, protocol: Protocol
) -> Iterator[tuple[Workload, _Lately, Float[np.ndarray, "decisions levels"]]]:
    """Yield workloads with what the network says of their last days; it is asked for many workloads at once."""
    for first in range(0, len(workloads), AT_ONCE):
        group = workloads[first : first + AT_ONCE]
        found = [_lately(one, protocol) for one in group]
        quantiles = forecast(learned, np.concatenate([one.hours.features[one.place] for one in found]))
        ends = np.cumsum([len(one.place) for one in found])
        yield from zip(group, found, np.split(quantiles, ends[:-1]), strict=True)


def _lately(one: Workload, protocol: Protocol) -> _Lately:
    hold = protocol.every * one.per_hour
    begin = len(one.usage) - min(len(one.usage) // hold, max(1, REACH * 24 // protocol.every)) * hold
    hours = by_the_hour(one, lead=begin % one.per_hour, every=protocol.every, least=protocol.least)
    rows = np.arange(begin, len(one.usage) + 1, hold)
    return _Lately(hours, (rows - hours.lead) // one.per_hour, begin, hold)


def _highest(usage: Float[np.ndarray, " n"]) -> float | None:
    seen = usage[~np.isnan(usage)]
    return float(seen.max()) if len(seen) else None


def _careful(one: Workload, days: float, resource: Resource, limits: bool, least: float | None) -> Recommendation:
    """Return what a workload gets that is too young or was not seen lately: the highest usage, and something on top."""
    seen = one.usage[~np.isnan(one.usage)]
    highest = float(seen.max()) if len(seen) else 0.0
    request = rounded(CAREFUL * highest, resource, least)
    why = {"policy": "highest so far", "history_days": days, "margin": CAREFUL, "highest": highest}
    return Recommendation(one.name, request, 2 * request if limits else None, request, why)


def because(why: Mapping[str, Any]) -> str:
    """Return a reason in one line."""
    if why["policy"] != "learned":
        days = f"{why['history_days']:.1f} days are too few to learn from"
        lacking = days if why["history_days"] < 1 else "an hour or more of the last day is missing"
        return f"{lacking}: highest so far x {why['margin']:g}"
    whose = "of its own held-out usage" if why["covered_own"] else "of held-out usage of the others"
    covered = "" if why["covered"] is None else f"covered {why['covered']:.1%} {whose}, "
    raised = f", raised x {why['raised']:.2f} after violations" if why["raised"] > 1.005 else ""
    return (
        f"{covered}margin x {why['margin']:.2f}{raised}; "
        f"{why['history_days']:.0f} days seen, decided for {why['holds_hours']} h"
    )


def row_of(one: Recommendation, resource: Resource) -> dict[str, Any]:
    """Return a recommendation as a row of a table: what `COLUMNS` names."""
    request, limit = quantity(one.request, resource), None if one.limit is None else quantity(one.limit, resource)
    values = (one.name, one.request, one.limit, one.lower, request, limit, because(one.why))
    return dict(zip(COLUMNS, values, strict=True))
