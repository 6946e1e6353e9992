"""Walk forward: every policy decides at the same moments with what was seen before them, and holds until the next."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from gym_jax.allocate.learned import Learned
from gym_jax.allocate.offers import offers_of, tune
from gym_jax.allocate.outcome import Outcome, outcome_of, usage_of
from gym_jax.allocate.price import Price
from gym_jax.allocate.protocol import Protocol, Span, decision_rows, held, spans
from gym_jax.allocate.registry import Policy
from gym_jax.allocate.usage import Workload
from gym_jax.errors import DataError

LEARNED = "learned"
ByRisk = dict[float, list[Outcome]]
"""The outcomes of a policy for each risk it was set for; a policy without such a setting has the same for all."""
Walked = Sequence[Float[np.ndarray, " steps"]]
"""What each workload was given at every step from validation to the end."""


class Simulation(NamedTuple):
    """The outcomes of all policies by name, on the test span and on the one before it.

    >>> simulation.left_out, sorted(simulation.test)
    ({}, ['max', 'vpa'])
    """

    test: dict[str, ByRisk]
    """Policy, risk, then one outcome per workload."""
    val: dict[str, ByRisk]
    """The same on the span on which margins are tuned."""
    prices: dict[float, Price]
    """Of the learned policy, for each risk; empty without it."""
    coverage: Float[np.ndarray, "floors candidates"] | None
    """Of what the learned policy offers, in the mean over workloads; None without it."""
    left_out: dict[str, float]
    """Share of the measured steps of the test for which a policy had no answer, where it had none for some."""


def simulate(
    workloads: Sequence[Workload],
    policies: Mapping[str, Policy],
    protocol: Protocol = Protocol(),
    *,
    learned: Mapping[str, Learned] | None = None,
    prices: Mapping[float, Price] | None = None,
    coverage: Float[np.ndarray, "floors candidates"] | None = None,
) -> Simulation:
    """Return what comes of every policy; all are judged on the steps for which all of them have an answer.

    `learned` is what decides for each workload, by name; without `prices` they are tuned on the validation span,
    and without `coverage` it is measured there. Raises DataError when no step is left, or nothing was used in any.

    >>> found = simulate([web], {"max": make_policy("max")}, Protocol(test_days=2, val_days=2, risks=(0.05,)))
    >>> figures(found.test["max"][0.05]).violation
    0.0
    """
    parts = spans(workloads, protocol)
    walked: dict[str, dict[float, Walked]] = {}
    for name, policy in policies.items():
        same = [
            held(policy(one, decision_rows(one, span, protocol)), one, span, protocol)
            for one, span in zip(workloads, parts, strict=True)
        ]
        walked[name] = dict.fromkeys(protocol.risks, same)
    chosen: dict[float, Price] = dict(prices or {})
    if learned is not None:
        minds = [learned[one.name] for one in workloads]
        offers = offers_of(minds, workloads, parts, protocol, common=coverage)
        coverage = np.mean([offer.coverage for offer in offers], axis=0)
        for risk in protocol.risks:
            if risk not in chosen:
                chosen[risk] = tune(offers, workloads, parts, protocol, risk)
            walked.setdefault(LEARNED, {})[risk] = [
                held(offer.allocate(chosen[risk]), one, span, protocol)
                for offer, one, span in zip(offers, workloads, parts, strict=True)
            ]
    measured = [~np.isnan(one.usage[span.val : span.end]) for one, span in zip(workloads, parts, strict=True)]
    keeps = [keep & ~_unanswered(walked.values(), place) for place, keep in enumerate(measured)]
    found = Simulation(
        {name: _judged(of, workloads, parts, keeps, True) for name, of in walked.items()},
        {name: _judged(of, workloads, parts, keeps, False) for name, of in walked.items()},
        chosen,
        coverage,
        _left_out(walked, measured, parts),
    )
    if not all(outcomes for by_risk in found.test.values() for outcomes in by_risk.values()):
        lacking = ", ".join(f"{name} {share:.0%}" for name, share in found.left_out.items()) or "every policy"
        raise DataError(
            f"no step of the test has a usage and an answer of every policy; without answer: {lacking}",
            hint="give more history, or fewer policies",
            attempt="gymjax allocate simulate DATA --policy max",
            code="allocate.nothing",
        )
    for by_risk in found.test.values():
        for outcomes in by_risk.values():
            usage_of(outcomes)
    return found


def _unanswered(walked: Iterable[Mapping[float, Walked]], place: int) -> Bool[np.ndarray, " steps"]:
    """Return the steps of one workload for which some policy has no answer."""
    return np.any([np.isnan(given[place]) for of in walked for given in of.values()], axis=0)


def _left_out(
    walked: Mapping[str, Mapping[float, Walked]], measured: Sequence[np.ndarray], parts: Sequence[Span]
) -> dict[str, float]:
    steps = [(keep[span.test - span.val :], span.test - span.val) for keep, span in zip(measured, parts, strict=True)]
    total = max(sum(int(keep.sum()) for keep, _ in steps), 1)
    shares = {
        name: sum(
            int((np.isnan(given[begin:]) & keep).sum())
            for (keep, begin), given in zip(steps, next(iter(of.values())), strict=True)
        )
        / total
        for name, of in walked.items()
    }
    return {name: share for name, share in shares.items() if share}


def _judged(
    of: Mapping[float, Walked],
    workloads: Sequence[Workload],
    parts: Sequence[Span],
    keeps: Sequence[Bool[np.ndarray, " steps"]],
    test: bool,
) -> ByRisk:
    """Return the outcomes of a policy on the test, or on the validation span; the same list where nothing differs."""
    made: dict[int, list[Outcome]] = {}
    for given in of.values():
        if id(given) in made:
            continue
        outcomes = made[id(given)] = []
        for one, span, keep, own in zip(workloads, parts, keeps, given, strict=True):
            length = span.test - span.val
            part = slice(length, None) if test else slice(0, length)
            if keep[part].any():
                usage = one.usage[span.val : span.end][part]
                outcomes.append(outcome_of(one.name, usage, own[part], one.step, keep[part]))
    return {risk: made[id(given)] for risk, given in of.items()}


def folds(count: int, groups: int, seed: int = 0) -> list[Int[np.ndarray, " fold"]]:
    """Return the places of workloads in groups of about the same size, so that each can be judged unseen, once."""
    order = np.random.Generator(np.random.Philox(seed)).permutation(count)
    return [np.sort(part) for part in np.array_split(order, min(groups, count))]
