"""What forecasts leave over: how it is spread, and whether it hangs together in time."""

from typing import TYPE_CHECKING

import numpy as np

from gym_jax.report.style import Values, add_legend, dress, new_figure, numbers, set_title, theme_of, with_unit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BINS = 60
INNER = (0.5, 99.5)
"""Per cent between which residuals are drawn; what lies outside is counted."""


def residual_distribution(
    residuals: Values, *, quantity: str = "value", unit: str | None = None, dark: bool = False
) -> "Figure":
    """Return the histogram of forecast minus observed, within 99 % of them, with mean and median.

    >>> residual_distribution([-1.0, 0.0, 4.0], quantity="cpu", unit="cores").axes[0].get_title("left")
    '3 residuals'
    """
    theme, values = theme_of(dark), numbers(residuals)
    values = values[np.isfinite(values)]
    figure, (panel,) = new_figure(size=(5.6, 3.6))
    title = "Residuals"
    if len(values):
        low, high = np.percentile(values, INNER) if len(values) > 200 else (values.min(), values.max())
        inside = values[(values >= low) & (values <= high)]
        panel.hist(inside, bins=min(BINS, max(5, len(inside) // 5)), color=theme.colours[0])
        panel.axvline(0, color=theme.ink, linewidth=1.0)
        for value, name, line, colour in (
            (values.mean(), "mean", "-", theme.colours[1]),
            (float(np.median(values)), "median", "--", theme.colours[2]),
        ):
            panel.axvline(value, color=colour, linestyle=line, linewidth=1.6, label=f"{name} {value:.3g}")
        outside = len(values) - len(inside)
        title = f"{len(inside):,} residuals" + (f"; {outside:,} lie beyond" if outside else "")
    panel.set_xlabel(with_unit(f"forecast - observed {quantity}", unit))
    panel.set_ylabel("values per bin")
    panel.yaxis.get_major_locator().set_params(integer=True)
    panel.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    set_title(panel, title)
    add_legend(panel, dark)
    return dress(figure, dark, grid="y")


def residual_autocorrelation(
    lags: Values, correlation: Values, *, count: int, span: str = "", dark: bool = False
) -> "Figure":
    """Return the correlation of residuals with those so many steps before; beyond the band it is no chance (95 %).

    `count` is how many residuals it rests on, `span` how long a step is, in words. The band is Bartlett's of no
    correlation, `1.96 / sqrt(count)` to either side (Box and Jenkins 1970).

    >>> figure = residual_autocorrelation([1, 2, 3], [0.5, -0.2, 0.1], count=100, span="5min")
    >>> figure.axes[0].get_xlabel()
    'lag (steps of 5min)'
    """
    theme, values = theme_of(dark), numbers(correlation)
    figure, (panel,) = new_figure(size=(5.6, 3.6))
    limit = 1.96 / np.sqrt(max(count, 1))
    panel.axhspan(-limit, limit, color=theme.colours[0], alpha=0.2, label="95 % band of no correlation")
    panel.vlines(lags, 0, values, color=theme.colours[0], linewidth=1.6)
    panel.plot(lags, values, "o", color=theme.colours[0], markersize=4)
    panel.axhline(0, color=theme.muted, linewidth=0.8)
    panel.set_xlabel(f"lag (steps of {span})" if span else "lag (steps)")
    panel.set_ylabel("correlation (-1 to 1)")
    panel.xaxis.get_major_locator().set_params(integer=True)
    panel.margins(y=0.3)
    set_title(panel, "Autocorrelation of one-step residuals")
    add_legend(panel, dark, loc="upper right")
    return dress(figure, dark)
