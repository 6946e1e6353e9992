"""Pictures of a simulation: the frontier of every policy, and the workloads that fared worst."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gym_jax.allocate.frontier import make_frontier
from gym_jax.allocate.simulate import LEARNED, Simulation
from gym_jax.run.picture import COLOURS, save_figure

LINES = ("-", "--", "-.", ":")


def draw_frontier(simulation: Simulation, path: str | Path, *, title: str = "") -> Path:
    """Draw allocation over usage against violation, a line per policy, into a file in the format of its ending."""
    return save_figure(frontier_figure(simulation, title=title), path)


def frontier_figure(simulation: Simulation, *, title: str = "") -> Any:
    """Return the figure: each policy's allocations scaled by one factor, its own point marked."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, 5.2), layout="constrained")
    FigureCanvasAgg(figure)
    panel = figure.subplots()
    risks = sorted(next(iter(simulation.test.values())))
    shown = []
    for place, (name, of) in enumerate(simulation.test.items()):
        colour = "#444444" if name == "oracle" else COLOURS[place % len(COLOURS)]
        lists = list({id(outcomes): (risk, outcomes) for risk, outcomes in of.items()}.values())
        for number, (risk, outcomes) in enumerate(lists):
            frontier = make_frontier(outcomes, 400)
            ratio = frontier.scales * frontier.allocated.sum() / frontier.used.sum()
            mean = frontier.violation.mean(axis=0)
            label = name if len(lists) == 1 else f"{name}, set for {100 * risk:g} %"
            keep = (mean > risks[0] / 3) & (mean < 0.3)
            style: dict[str, Any] = {
                "linewidth": 2.2 if name == LEARNED else 1.3,
                "linestyle": LINES[(number + place // len(COLOURS)) % len(LINES)],
            }
            panel.plot(100 * mean[keep], ratio[keep], color=colour, label=label, **style)
            own = np.mean([np.mean(one.usage > one.allocation) for one in outcomes])
            at = frontier.allocated.sum() / frontier.used.sum()
            panel.plot([100 * own], [at], "o", color=colour, markersize=5)
            shown += ratio[keep & (mean > risks[0])].tolist()
    for risk in risks:
        panel.axvline(100 * risk, color="#bbbbbb", linewidth=0.8, zorder=0)
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_ylim(0.95 * max(min(shown), 0.5), min(1.1 * max(shown), 30))
    panel.set_xlim(30, 100 * risks[0] / 2)
    panel.xaxis.set_major_formatter(lambda value, _: f"{value:g} %")
    panel.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    panel.yaxis.set_minor_formatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "2357" else "")
    panel.set_xlabel("time in violation, mean over workloads (safer to the right)")
    panel.set_ylabel("allocation / usage (lower is cheaper)")
    panel.set_title(title, loc="left", fontsize=10)
    panel.grid(which="both", linewidth=0.3, color="#dddddd")
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def draw_worst(simulation: Simulation, names: Sequence[str], path: str | Path, *, policy: str, risk: float) -> Path:
    """Draw usage and allocation of some workloads under a policy, a panel each."""
    return save_figure(worst_figure(simulation, names, policy=policy, risk=risk), path)


def worst_figure(simulation: Simulation, names: Sequence[str], *, policy: str, risk: float) -> Any:
    """Return the figure of usage, allocation, and where one was above the other."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    outcomes = {one.name: one for one in simulation.test[policy][risk]}
    figure = Figure(figsize=(9, 1.7 * len(names) + 0.6), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(names), 1, squeeze=False)[:, 0]
    for panel, name in zip(panels, names, strict=True):
        one = outcomes[name]
        days = np.arange(len(one.usage)) * one.step / 86_400e9
        panel.plot(days, one.usage, color="#0072B2", linewidth=0.6, label="usage")
        panel.step(days, one.allocation, where="post", color="#D55E00", linewidth=1.0, label="allocation")
        above = one.usage > one.allocation
        panel.fill_between(days, 0, 1, where=above, color="#CC79A7", alpha=0.25, transform=panel.get_xaxis_transform())
        panel.set_title(f"{name}: {above.mean():.1%} of the time in violation", loc="left", fontsize=9)
        panel.set_ylim(0, 1.15 * max(np.quantile(one.usage, 0.999), np.quantile(one.allocation, 0.99)))
        panel.set_xlim(0, days[-1])
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].legend(frameon=False, ncols=2, fontsize=8, loc="upper right")
    panels[-1].set_xlabel("measured days of the test")
    return figure
