"""Whether intervals hold what they promise, and how wide they are."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

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


def calibration(
    nominal: Mapping[str, Values],
    empirical: Mapping[str, Values],
    *,
    what: str = "interval",
    part: str = "test part",
    dark: bool = False,
) -> "Figure":
    """Return how often intervals (or quantiles) held against how often they should: the diagonal is right.

    `nominal` and `empirical` hold for each name shares of 1, level by level; `what` is `interval` or `quantile`.

    >>> figure = calibration({"adaptive": [0.5, 0.8, 0.95]}, {"adaptive": [0.6, 0.8, 0.9]})
    >>> figure.axes[0].get_title("left")
    'Calibration on the test part'
    """
    theme = theme_of(dark)
    figure, (panel,) = new_figure(size=(4.8, 4.4))
    panel.plot([0, 100], [0, 100], color=theme.muted, linewidth=1.0, linestyle="--", label="as promised")
    for number, (name, levels) in enumerate(nominal.items()):
        panel.plot(
            100 * numbers(levels),
            100 * numbers(empirical[name]),
            LINES[number % len(LINES)],
            color=theme.colours[number % len(theme.colours)],
            marker="o",
            label=label(name),
        )
    panel.set_xlim(0, 100)
    panel.set_ylim(0, 100)
    panel.set_aspect("equal")
    said = (
        "share that should lie within" if what == "interval" else "level of the quantile: share that should lie below"
    )
    seen = "share that lay within" if what == "interval" else "share that lay at or below"
    panel.set_xlabel(f"{said} (%)")
    panel.set_ylabel(f"{seen} (%)")
    set_title(panel, f"Calibration on the {part}")
    add_legend(panel, dark, loc="upper left")
    return dress(figure, dark)


def interval_width(
    steps: Values,
    widths: Mapping[str, Values],
    *,
    unit: str | None = None,
    span: str = "",
    dark: bool = False,
) -> "Figure":
    """Return the mean width of intervals over the steps of the horizon, a line a level.

    >>> figure = interval_width([1, 2, 3], {"80 %": [1.0, 2.0, 3.0]}, unit="cores", span="5min")
    >>> figure.axes[0].get_ylabel()
    'mean width of the interval (cores)'
    """
    theme = theme_of(dark)
    figure, (panel,) = new_figure(size=(5.6, 3.6))
    for number, (name, values) in enumerate(widths.items()):
        panel.plot(
            steps,
            numbers(values),
            LINES[number % len(LINES)],
            color=theme.colours[number % len(theme.colours)],
            marker="o" if len(steps) <= 24 else "",
            markersize=3.5,
            label=label(name),
        )
    panel.set_ylim(bottom=0)
    panel.set_xlabel(f"step of the horizon ({span} each)" if span else "step of the horizon")
    panel.set_ylabel(with_unit("mean width of the interval", unit))
    panel.xaxis.get_major_locator().set_params(integer=True)
    set_title(panel, "Width of the intervals")
    add_legend(panel, dark)
    return dress(figure, dark)
