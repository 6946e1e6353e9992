"""A plot draws forecasts and what came: `gymjax report RUN --draw load_duration --html report.html`."""

from typing import Any

import numpy as np

from gym_jax.report.style import Values, add_legend, dress, new_figure, numbers, set_title, theme_of, with_unit


def load_duration(
    predicted: Values, actual: Values, *, quantity: str = "value", unit: str | None = None, dark: bool = False
) -> Any:
    """Return how long usage is above a level: observed and forecast values, each sorted from the highest down."""
    theme = theme_of(dark)
    figure, (panel,) = new_figure(size=(5.6, 4.0))
    for name, values, colour in (("observed", actual, theme.ink), ("forecast", predicted, theme.colours[1])):
        known = numbers(values)
        known = np.sort(known[np.isfinite(known)])[::-1]
        panel.plot(100 * np.arange(1, len(known) + 1) / max(len(known), 1), known, color=colour, label=name)
    panel.set_xlabel("share of the time (%)")
    panel.set_ylabel(with_unit(quantity, unit))
    set_title(panel, "How long usage is above a level")
    add_legend(panel, dark)
    return dress(figure, dark)
