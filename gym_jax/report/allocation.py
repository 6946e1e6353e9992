"""What allocations cost and risk: the frontier of every policy, and workloads that fared worst."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from gym_jax.report.style import LINES, add_legend, dress, label, new_figure, set_title, theme_of, with_unit

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Line(NamedTuple):
    """A policy whose allocations are scaled by one factor: what it risks and costs at each."""

    name: str
    violation: Float[np.ndarray, " factors"]
    """Share of the time in violation, mean over workloads."""
    ratio: Float[np.ndarray, " factors"]
    """Allocation over usage."""
    own: tuple[float, float]
    """Both at a factor of 1."""
    group: int
    """Lines of one policy share a colour."""
    bound: bool = False
    """Sees the future: drawn in grey."""
    thick: bool = False


class Given(NamedTuple):
    """What a workload used and was given, by days."""

    name: str
    days: Float[np.ndarray, " n"]
    usage: Float[np.ndarray, " n"]
    allocation: Float[np.ndarray, " n"]


def allocation_frontier(
    lines: Sequence[Line], risks: Sequence[float], *, title: str = "", dark: bool = False
) -> "Figure":
    """Return allocation over usage against violation, a line a policy, its own point marked; `risks` are guides.

    >>> from gym_jax.report.allocation import Line
    >>> line = Line("vpa", np.array([0.2, 0.1, 0.01]), np.array([1.0, 1.5, 3.0]), own=(0.05, 2.0), group=0)
    >>> allocation_frontier([line], [0.01], title="CPU").axes[0].get_title("left")
    'CPU'
    """
    theme, risks = theme_of(dark), sorted(risks)
    figure, (panel,) = new_figure(size=(8.4, 5.2))
    shown: list[float] = []
    for number, line in enumerate(lines):
        colour = theme.muted if line.bound else theme.colours[line.group % len(theme.colours)]
        same = sum(other.group == line.group for other in lines[:number])
        keep = (line.violation > risks[0] / 3) & (line.violation < 0.3)
        style = LINES[(same + line.group // len(theme.colours)) % len(LINES)]
        width = 2.2 if line.thick else 1.3
        x, y = 100 * line.violation[keep], line.ratio[keep]
        panel.plot(x, y, style, color=colour, linewidth=width, label=label(line.name, 36))
        panel.plot([100 * line.own[0]], [line.own[1]], "o", color=colour, markersize=5)
        shown += line.ratio[keep & (line.violation > risks[0])].tolist()
    for risk in risks:
        panel.axvline(100 * risk, color=theme.muted, linewidth=0.8, linestyle=":", zorder=0)
    panel.set_xscale("log")
    panel.set_yscale("log")
    if shown:
        panel.set_ylim(0.95 * max(min(shown), 0.5), min(1.1 * max(shown), 30))
    panel.set_xlim(30, 100 * risks[0] / 2)
    panel.xaxis.set_major_formatter(lambda value, _: f"{value:g} %")
    panel.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    panel.yaxis.set_minor_formatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "2357" else "")
    panel.set_xlabel("time in violation (% of steps, mean over workloads; safer to the right)")
    panel.set_ylabel("allocation / usage (ratio; lower is cheaper)")
    set_title(panel, label(title, 90))
    add_legend(panel, dark, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    dress(figure, dark)
    panel.grid(which="minor", color=theme.grid, linewidth=0.3)
    return figure


def worst_workloads(given: Sequence[Given], *, unit: str | None = None, dark: bool = False) -> "Figure":
    """Return usage and allocation of some workloads, a panel each, and where one was above the other.

    >>> from gym_jax.report.allocation import Given
    >>> given = Given("web", np.array([0.0, 0.5, 1.0]), np.array([1.0, 3.0, 1.0]), np.array([2.0, 2.0, 2.0]))
    >>> worst_workloads([given], unit="cores").axes[0].get_title("left")
    'web: 33.3% of the time in violation'
    """
    theme = theme_of(dark)
    figure, panels = new_figure(len(given), 1, size=(9, 1.7 * len(given) + 0.6))
    for panel, one in zip(panels, given, strict=True):
        above: Bool[np.ndarray, " n"] = one.usage > one.allocation
        panel.plot(one.days, one.usage, color=theme.colours[0], linewidth=0.7, label="usage")
        panel.step(one.days, one.allocation, where="post", color=theme.colours[1], linewidth=1.2, label="allocation")
        panel.fill_between(
            one.days,
            0,
            1,
            where=above,
            color=theme.colours[3],
            alpha=0.3,
            linewidth=0,
            transform=panel.get_xaxis_transform(),
            label="violation",
        )
        panel.set_ylim(0, 1.15 * max(np.quantile(one.usage, 0.999), np.quantile(one.allocation, 0.99), 1e-12))
        panel.set_xlim(one.days[0], one.days[-1])
        panel.set_ylabel(with_unit("usage", unit))
        set_title(panel, f"{label(one.name, 40)}: {above.mean():.1%} of the time in violation")
    if len(given):
        add_legend(panels[0], dark, frameon=False, ncols=3, loc="lower right", bbox_to_anchor=(1.0, 1.0))
        panels[-1].set_xlabel("time (measured days of the test)")
    return dress(figure, dark)
