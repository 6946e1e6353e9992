"""The judgement on a simulation: every policy at equal violation, read in two honest ways, and what that is worth."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gym_jax.allocate.frontier import Frontier, difference, draw_workloads, make_frontier, ratio, scale_at
from gym_jax.allocate.outcome import figures
from gym_jax.allocate.simulate import LEARNED, ByRisk, Simulation

DRAWS = 1000
PER = 1000
"""Workloads that savings are told for."""


def judge(
    simulation: Simulation,
    *,
    best: str = LEARNED,
    money: str = "vpa",
    bounds: Sequence[str] = ("oracle",),
    seed: int = 0,
) -> dict[str, Any]:
    """Return, as plain JSON, the figures of each policy and how `best` compares with every other.

    Per policy: `plain`, untouched; per risk `frontier`, allocation over usage where one factor, found on the test span
    itself, makes the violation equal to the risk, with its interval; and `tuned`, all figures with the factor that the
    validation span asks for. `differences` are of `best` minus another, paired over workloads; `money` is what `best`
    saves at the violation that `money` has by its defaults. `bounds` see the future and are compared with nobody.

    >>> verdict = judge(simulation, best="max")
    >>> sorted(verdict), sorted(verdict["differences"])
    (['best', 'differences', 'left_out', 'money', 'policies', 'workloads', 'worst'], ['vpa'])
    """
    frontiers = {name: _frontiers(of) for name, of in simulation.test.items()}
    first = next(iter(simulation.test.values()))
    count = len(next(iter(first.values())))
    counts = draw_workloads(count, DRAWS, seed)
    policies: dict[str, Any] = {}
    for name, of in simulation.test.items():
        policies[name] = {"plain": figures(next(iter(of.values())))._asdict() if _alike(of) else None, "at": {}}
        for risk, outcomes in of.items():
            frontier = frontiers[name][risk]
            low, high = np.quantile(frontier.ratio(risk, counts), [0.025, 0.975])
            scale, margin = scale_at(outcomes, risk), scale_at(simulation.val[name][risk], risk)
            policies[name]["at"][f"{risk:g}"] = {
                "frontier": {
                    "scale": scale,
                    "ratio": scale * ratio(outcomes),
                    "low": float(low),
                    "high": float(high),
                    "violation_p90": figures(outcomes, scale).violation_p90,
                },
                "tuned": {"scale": margin, **figures(outcomes, margin)._asdict()},
            }
    out: dict[str, Any] = {"workloads": count, "policies": policies, "left_out": simulation.left_out}
    if best in frontiers:
        out["best"] = best
        rivals = [name for name in frontiers if name != best and name not in bounds]
        out["differences"] = {name: _differences(frontiers, best, name, counts) for name in rivals}
        out["worst"] = _worst(simulation.test[best])
        if money in frontiers and money != best:
            out["money"] = _money(simulation, frontiers, best, money, counts)
    return out


def _alike(of: ByRisk) -> bool:
    return len({id(outcomes) for outcomes in of.values()}) == 1


def _frontiers(of: ByRisk) -> dict[float, Frontier]:
    made = {id(outcomes): make_frontier(outcomes) for outcomes in of.values()}
    return {risk: made[id(outcomes)] for risk, outcomes in of.items()}


def _differences(
    frontiers: dict[str, dict[float, Frontier]], best: str, other: str, counts: np.ndarray
) -> dict[str, Any]:
    out, everyone = {}, np.ones((1, counts.shape[1]))
    for risk, own in frontiers[best].items():
        rival = frontiers[other][risk]
        mean = float(own.ratio(risk)[0] - rival.ratio(risk)[0])
        found = difference(own.ratio(risk, counts), rival.ratio(risk, counts), mean)
        cheaper = own.allocated * own.scale(risk, everyone) < rival.allocated * rival.scale(risk, everyone)
        out[f"{risk:g}"] = {**found._asdict(), "sure": found.sure, "cheaper_for": int(cheaper.sum())}
    return out


def _money(
    simulation: Simulation,
    frontiers: dict[str, dict[float, Frontier]],
    best: str,
    money: str,
    counts: np.ndarray,
) -> dict[str, Any]:
    """Return the unit-hours that `best` saves a day for 1,000 workloads at the violation of the other's defaults."""
    outcomes = next(iter(simulation.test[money].values()))
    risk = figures(outcomes).violation
    near = min(frontiers[best], key=lambda own: abs(np.log(own) - np.log(max(risk, 1e-6))))
    own, other = frontiers[best][near], next(iter(frontiers[money].values()))
    everyone = np.ones((1, len(own.used)))

    def saved(draws: np.ndarray) -> np.ndarray:
        before = (draws @ other.allocated) / (draws @ other.days)
        mean = draws @ np.array([[float(np.mean(one.usage > one.allocation))] for one in outcomes])
        now = np.array(
            [
                own.per_day(float(level), draw[None])[0]
                for level, draw in zip((mean[:, 0] / draws.sum(axis=1)), draws, strict=True)
            ]
        )
        return PER * (before - now)

    low, high = np.quantile(saved(counts), [0.025, 0.975])
    value = float(saved(everyone)[0])
    given = float(other.allocated.sum() / other.days.sum())
    return {
        "against": money,
        "violation": risk,
        "set_for": near,
        "saved_per_day": value,
        "low": float(low),
        "high": float(high),
        "share": value / (PER * given),
        "violation_hours_per_day": PER * figures(outcomes).violation_hours,
    }


def _worst(of: ByRisk, count: int = 5) -> dict[str, list[dict[str, Any]]]:
    """Return the workloads that are in violation for the longest share of the time, for each risk."""
    out = {}
    for risk, outcomes in of.items():
        shares = np.array([np.mean(one.usage > one.allocation) for one in outcomes])
        order = np.argsort(-shares, kind="stable")[:count]
        out[f"{risk:g}"] = [
            {
                "name": outcomes[place].name,
                "violation": float(shares[place]),
                "ratio": float(outcomes[place].allocation.sum() / max(outcomes[place].usage.sum(), 1e-12)),
                "mean_usage": float(outcomes[place].usage.mean()),
            }
            for place in order
        ]
    return out
