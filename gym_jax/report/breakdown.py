"""Where forecasts fail: by step of the horizon, by hour of the day, by series."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gym_jax.report.style import (
    LINES,
    Values,
    add_legend,
    dress,
    label,
    new_figure,
    numbers,
    set_title,
    theme_of,
    with_unit,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 20
"""Series that are drawn at most: the worst."""


def error_by_step(
    steps: Values,
    errors: Mapping[str, Values],
    *,
    metric: str = "mae",
    unit: str | None = None,
    span: str = "",
    dark: bool = False,
) -> "Figure":
    """Return a line for each method over the steps of the horizon; the first is the run's own, drawn thick.

    `span` is how long a step is, in words.

    >>> figure = error_by_step([1, 2, 3], {"mlp": [1.0, 2.0, 3.0], "last": [2.0, 3.0, None]}, unit="cores", span="5min")
    >>> figure.axes[0].get_xlabel()
    'step of the horizon (5min each)'
    """
    theme = theme_of(dark)
    figure, (panel,) = new_figure(size=(5.6, 3.6))
    for number, (name, values) in enumerate(errors.items()):
        panel.plot(
            steps,
            numbers(values),
            LINES[number % len(LINES)],
            color=theme.colours[number % len(theme.colours)],
            linewidth=2.2 if not number else 1.3,
            marker="o" if len(steps) <= 24 else "",
            markersize=3.5,
            label=label(name),
        )
    panel.set_xlabel(f"step of the horizon ({span} each)" if span else "step of the horizon")
    panel.set_ylabel(with_unit(metric, unit))
    panel.set_ylim(bottom=0)
    panel.xaxis.get_major_locator().set_params(integer=True)
    set_title(panel, "Error by step of the horizon")
    add_legend(panel, dark)
    return dress(figure, dark)


def error_by_hour(
    hours: Values,
    errors: Values,
    bias: Values,
    *,
    metric: str = "mae",
    unit: str | None = None,
    zone: str | None = None,
    dark: bool = False,
) -> "Figure":
    """Return the error of each hour of the day as bars, and the mean of forecast minus observed as a line.

    >>> figure = error_by_hour([0, 1, 2], [1.0, None, 3.0], [0.5, None, -0.5], unit="cores", zone="UTC")
    >>> figure.axes[0].get_xlabel()
    'hour of the day (UTC)'
    """
    theme = theme_of(dark)
    figure, (panel,) = new_figure(size=(5.6, 3.6))
    panel.bar(hours, numbers(errors), color=theme.colours[0], width=0.8, label=label(metric))
    panel.plot(
        hours, numbers(bias), color=theme.colours[1], marker="o", markersize=3.5, label="bias: forecast - observed"
    )
    panel.axhline(0, color=theme.muted, linewidth=0.8)
    panel.set_xlabel(f"hour of the day ({label(zone)})" if zone else "hour of the day (as in the data)")
    panel.set_ylabel(with_unit(metric, unit))
    panel.set_xticks(range(0, 24, 3))
    panel.margins(y=0.2)
    set_title(panel, "Error by hour of the day")
    add_legend(panel, dark, loc="upper right", ncols=2)
    return dress(figure, dark, grid="y")


def error_by_series(
    names: Sequence[str],
    errors: Values,
    *,
    beside: Values = (),
    beside_name: str = "",
    metric: str = "mae",
    unit: str | None = None,
    dark: bool = False,
) -> "Figure":
    """Return the error of the worst series as bars, the worst on top; `beside` marks that of another method.

    >>> figure = error_by_series(["a", "b", "c"], [1.0, 3.0, 2.0], beside=[2.0, 2.5, 1.0], beside_name="last")
    >>> figure.axes[0].get_title("left")
    'Error by series: 3 series'
    """
    theme, values = theme_of(dark), numbers(errors)
    known = np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(-values[known], kind="stable")][:MOST]
    figure, (panel,) = new_figure(size=(5.6, max(2.4, 1.2 + 0.21 * len(order))))
    places = list(range(len(order)))
    panel.barh(places, values[order], color=theme.colours[0], height=0.7, label="this run" if len(beside) else None)
    if len(beside):
        other = numbers(beside)[order]
        panel.plot(other, places, "D", color=theme.colours[1], markersize=5, label=label(beside_name), linestyle="none")
        add_legend(panel, dark, loc="lower right")
    panel.set_yticks(places, [label(names[place]) for place in order])
    panel.set_ylim(max(len(order), 3) - 0.4, -0.6)
    panel.set_xlabel(with_unit(metric, unit))
    count = f"{len(known):,} series" if len(order) == len(known) else f"worst {len(order)} of {len(known):,} series"
    panel.set_ylabel("series")
    set_title(panel, f"Error by series: {count}")
    return dress(figure, dark, grid="x")
