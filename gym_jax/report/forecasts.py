"""Forecasts over what came, and beside it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from gym_jax.report.style import (
    Values,
    dress,
    label,
    legend_below,
    new_figure,
    numbers,
    ramp_of,
    set_title,
    theme_of,
    with_unit,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FEW = 300
"""Up to so many points are drawn one by one; of more, how many lie where."""


class View(NamedTuple):
    """Forecasts of one series that follow each other, over what came."""

    name: str
    times: Shaped[np.ndarray, " n"]
    """datetime64, or counts."""
    actual: Float[np.ndarray, " n"]
    """NaN where nothing was observed."""
    point: Float[np.ndarray, " n"]
    begins: Sequence[int]
    """Positions at which a forecast begins: it knows what was before."""
    levels: tuple[float, ...] = ()
    bands: Float[np.ndarray, "n levels 2"] | None = None
    about: str = ""
    """What is said behind the name."""


def forecast_bands(
    views: Sequence[View], *, quantity: str = "value", unit: str | None = None, dark: bool = False
) -> "Figure":
    """Return a panel for each series: what came, forecasts with their bands, a break where a new forecast begins.

    >>> from gym_jax.report.forecasts import View
    >>> view = View("web", np.arange(3), np.array([2.0, 3.0, np.nan]), np.array([2.5, 3.5, 4.5]), (0, 2))
    >>> len(forecast_bands([view], quantity="cpu", unit="cores").axes)
    1
    """
    theme = theme_of(dark)
    figure, panels = new_figure(len(views), 1, size=(11.4, 0.7 + 2.0 * len(views)))
    for panel, view in zip(panels, views, strict=True):
        for place in reversed(range(len(view.levels))):
            assert view.bands is not None
            low, high = (broken(view, view.bands[:, place, end]) for end in (0, 1))
            shade = 0.2 + 0.16 * (len(view.levels) - 1 - place)
            times = broken_times(view)
            panel.fill_between(
                times,
                low,
                high,
                color=theme.colours[0],
                alpha=shade,
                linewidth=0,
                label=f"{100 * view.levels[place]:g} % interval",
            )
        panel.plot(view.times, view.actual, color=theme.ink, linewidth=1.1, label="observed")
        panel.plot(
            broken_times(view), broken(view, view.point), color=theme.colours[1], linewidth=1.4, label="forecast"
        )
        panel.margins(x=0.01)
        panel.set_ylabel(with_unit(quantity, unit), wrap=True)
        if np.issubdtype(view.times.dtype, np.datetime64):
            _date_axis(panel)
        set_title(panel, label(view.name + (f": {view.about}" if view.about else ""), 70))
    if len(views):
        panels[-1].set_xlabel("time" if np.issubdtype(views[-1].times.dtype, np.datetime64) else "time (steps)")
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper right", ncols=len(names), frameon=False, fontsize=8.5)
    return dress(figure, dark)


def broken(view: View, values: np.ndarray) -> np.ndarray:
    """Return values with a NaN before every new forecast, so that lines break there."""
    return np.insert(np.asarray(values, np.float64), [place for place in view.begins if place], np.nan)


def broken_times(view: View) -> np.ndarray:
    """Return the times that go with `broken` values."""
    places = [place for place in view.begins if place]
    return np.insert(view.times, places, view.times[places])


def predicted_actual(
    predicted: Values,
    actual: Values,
    *,
    quantity: str = "value",
    unit: str | None = None,
    dark: bool = False,
) -> "Figure":
    """Return forecasts against what came: the diagonal is right; of many points, how many lie where (log colours).

    >>> figure = predicted_actual([1.0, 2.0, 4.0], [1.5, 2.0, 3.0], quantity="cpu", unit="cores")
    >>> figure.axes[0].get_title("left")
    'Forecast against observed, 3 values'
    """
    from matplotlib.colors import LogNorm

    theme = theme_of(dark)
    x, y = numbers(actual), numbers(predicted)
    keep = np.isfinite(x) & np.isfinite(y)
    x, y = x[keep], y[keep]
    figure, (panel,) = new_figure(size=(5.4, 4.6))
    ends = (float(min(x.min(), y.min())), float(max(x.max(), y.max()))) if len(x) else (0.0, 1.0)
    if ends[0] == ends[1]:
        ends = (ends[0] - 0.5, ends[1] + 0.5)
    if len(x) > FEW:
        found = panel.hexbin(x, y, gridsize=45, norm=LogNorm(), cmap=ramp_of(dark), mincnt=1, extent=(*ends, *ends))
        bar = figure.colorbar(found, ax=panel, pad=0.02)
        bar.set_label("values per cell (log)", fontsize=9.5)
        bar.outline.set_visible(False)
        bar.ax.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        bar.ax.yaxis.set_minor_formatter(lambda value, _: "")
    else:
        panel.plot(x, y, "o", color=theme.colours[0], markersize=4, alpha=0.7, label="a value")
    panel.plot(ends, ends, color=theme.colours[1], linewidth=1.2, linestyle="--", label="forecast = observed")
    panel.set_xlabel(with_unit(f"observed {quantity}", unit))
    panel.set_ylabel(with_unit(f"forecast {quantity}", unit))
    panel.set_aspect("equal", adjustable="box")
    set_title(panel, f"Forecast against observed, {len(x):,} values")
    legend_below(figure, panel)
    dress(figure, dark)
    if len(x) > FEW:
        figure.axes[-1].grid(visible=False, which="both")
    return figure


def _date_axis(panel: Any) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=4, maxticks=9)
    panel.xaxis.set_major_locator(locator)
    panel.xaxis.set_major_formatter(ConciseDateFormatter(locator))
