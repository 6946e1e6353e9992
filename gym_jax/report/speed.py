"""Speed as bars: a group for each batch, a colour for each way to train, a panel for each model."""

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from gym_jax.report.style import dress, label, legend_below, new_figure, theme_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HATCHES = ("", "///", "...", "xxx")
"""More ways than colours are hatched."""


class Speed(NamedTuple):
    """How fast a model trained one way."""

    model: str
    group: str
    way: str
    windows_per_second: float | None
    """None: it failed."""


def speeds(found: Sequence[Speed], *, dark: bool = False) -> "Figure":
    """Return windows per second, a panel for each model with an axis of its own, because their speeds lie far apart.

    What failed has a cross on the axis.

    >>> from gym_jax.report.speed import Speed
    >>> found = [Speed("mlp", "batch 64", "one, safe", 1200.0), Speed("mlp", "batch 64", "cores", None)]
    >>> speeds(found).axes[0].get_title()
    'mlp'
    """
    models, ways = (list(dict.fromkeys(getattr(one, what) for one in found)) for what in ("model", "way"))
    groups = len(dict.fromkeys(one.group for one in found))
    width = max(3.2, 0.9 + 0.26 * groups * (len(ways) + 1))
    figure, panels = new_figure(1, len(models), size=(width * len(models), 4.2))
    for panel, model in zip(panels, models, strict=True):
        _draw_model(panel, [one for one in found if one.model == model], ways, dark)
        panel.set_title(label(model), fontsize=10.5)
    panels[0].set_ylabel("windows per second (higher is better)")
    legend_below(figure, *panels)
    return dress(figure, dark, grid="y")


def _draw_model(panel: Any, rows: Sequence[Speed], ways: Sequence[str], dark: bool) -> None:
    theme = theme_of(dark)
    groups = list(dict.fromkeys(one.group for one in rows))
    styles = list(itertools.product(HATCHES, theme.colours))
    step = 0.84 / len(ways)
    for one in rows:
        number = ways.index(one.way)
        x = groups.index(one.group) + (number - (len(ways) - 1) / 2) * step
        if one.windows_per_second is None:
            panel.plot([x], [0], "x", color=theme.muted, clip_on=False, zorder=3)
            continue
        hatch, colour = styles[number % len(styles)]
        settings = {"color": colour, "hatch": hatch, "edgecolor": theme.paper, "linewidth": 0.5}
        bar = panel.bar(x, one.windows_per_second, 0.9 * step, label=label(one.way), **settings)
        panel.bar_label(bar, [short(one.windows_per_second)], rotation=90, fontsize=7, padding=2)
    panel.set_xticks(range(len(groups)), groups)
    highest = max((one.windows_per_second or 0 for one in rows), default=0)
    panel.set_ylim(0, 1.18 * highest or 1)
    panel.yaxis.set_major_formatter(lambda value, _: short(value))


def short(value: float) -> str:
    """Return a number with three digits and k, M or G."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if float(f"{value:.3g}") >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"
