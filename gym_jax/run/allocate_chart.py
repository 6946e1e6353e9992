"""Pictures of a simulation: the frontier of every policy, and the workloads that fared worst."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gym_jax.allocate.frontier import make_frontier
from gym_jax.allocate.simulate import LEARNED, Simulation
from gym_jax.report.allocation import Given, Line, allocation_frontier, worst_workloads
from gym_jax.report.picture import save_figure

POINTS = 400
"""Factors at which a frontier is drawn."""


def draw_frontier(simulation: Simulation, path: str | Path, *, title: str = "") -> Path:
    """Draw allocation over usage against violation, a line per policy, into a file in the format of its ending."""
    return save_figure(frontier_figure(simulation, title=title), path)


def frontier_figure(simulation: Simulation, *, title: str = "", dark: bool = False) -> Any:
    """Return the figure: each policy's allocations scaled by one factor, its own point marked."""
    return allocation_frontier(lines_of(simulation), risks_of(simulation), title=title, dark=dark)


def risks_of(simulation: Simulation) -> list[float]:
    """Return the risks at which policies were compared, smallest first."""
    return sorted(next(iter(simulation.test.values())))


def lines_of(simulation: Simulation) -> list[Line]:
    """Return the frontier of every policy; of one that is set for a risk, that of each."""
    lines = []
    for place, (name, of) in enumerate(simulation.test.items()):
        lists = list({id(outcomes): (risk, outcomes) for risk, outcomes in of.items()}.values())
        for risk, outcomes in lists:
            frontier = make_frontier(outcomes, POINTS)
            cost = float(frontier.allocated.sum() / frontier.used.sum())
            own = float(np.mean([np.mean(one.usage > one.allocation) for one in outcomes]))
            called = name if len(lists) == 1 else f"{name}, set for {100 * risk:g} %"
            mean = frontier.violation.mean(axis=0)
            kind = {"bound": name == "oracle", "thick": name == LEARNED}
            lines.append(Line(called, mean, frontier.scales * cost, (own, cost), place, **kind))
    return lines


def draw_worst(
    simulation: Simulation, names: Sequence[str], path: str | Path, *, policy: str, risk: float, unit: str | None = None
) -> Path:
    """Draw usage and allocation of some workloads under a policy, a panel each."""
    return save_figure(worst_figure(simulation, names, policy=policy, risk=risk, unit=unit), path)


def worst_figure(
    simulation: Simulation,
    names: Sequence[str],
    *,
    policy: str,
    risk: float,
    unit: str | None = None,
    dark: bool = False,
) -> Any:
    """Return the figure of usage, allocation, and where one was above the other."""
    outcomes = {one.name: one for one in simulation.test[policy][risk]}
    given = [
        Given(name, np.arange(len(one.usage)) * one.step / 86_400e9, one.usage, one.allocation)
        for name, one in ((name, outcomes[name]) for name in names)
    ]
    return worst_workloads(given, unit=unit, dark=dark)
