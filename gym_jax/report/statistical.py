"""Statistical plots of tables, drawn by seaborn (extra `viz`): joint and pairwise distributions, a heat map.

Only seaborn's functions of single panels are called, on figures made here: pyplot gets no figure.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gym_jax.report.extra import need
from gym_jax.report.style import Values, dress, label, new_figure, numbers, ramp_of, set_title, theme_of

MOST = 6
"""Columns that are paired."""
WRITTEN = 15
"""Rows or columns up to which values stand in the cells of a heat map."""


def joint(table: Mapping[str, Values], x: str, y: str, *, units: Mapping[str, str] = {}, dark: bool = False) -> Any:
    """Return two columns against each other as density, with the distribution of each beside it."""
    seaborn, theme = need("seaborn"), theme_of(dark)
    figure, (above, corner, panel, beside) = new_figure(
        2, 2, size=(5.6, 5.2), height_ratios=(1, 4), width_ratios=(4, 1), sharex="col", sharey="row"
    )
    own, other = numbers(table[x]), numbers(table[y])
    known = np.isfinite(own) & np.isfinite(other)
    own, other = own[known], other[known]
    seaborn.histplot(x=own, y=other, ax=panel, cmap=ramp_of(dark), bins=40)
    seaborn.histplot(x=own, ax=above, color=theme.colours[0], bins=40, edgecolor=theme.paper)
    seaborn.histplot(y=other, ax=beside, color=theme.colours[0], bins=40, edgecolor=theme.paper)
    corner.set_axis_off()
    above.set_ylabel("values")
    beside.set_xlabel("values")
    panel.set_xlabel(_named(x, units))
    panel.set_ylabel(_named(y, units))
    figure.suptitle(f"{label(x)} and {label(y)}, {len(own):,} values", fontsize=10.5)
    return dress(figure, dark)


def pairs(
    table: Mapping[str, Values],
    columns: Sequence[str] | None = None,
    *,
    units: Mapping[str, str] = {},
    dark: bool = False,
) -> Any:
    """Return every one of at most six columns against every other, and its own distribution on the diagonal."""
    seaborn, theme = need("seaborn"), theme_of(dark)
    names = list(columns or table)[:MOST]
    count = len(names)
    figure, panels = new_figure(count, count, size=(1.4 + 1.7 * count, 1.2 + 1.7 * count))
    values = {name: numbers(table[name]) for name in names}
    for place, panel in enumerate(panels):
        row, column = divmod(place, count)
        x, y = values[names[column]], values[names[row]]
        if row == column:
            seaborn.histplot(x=x[np.isfinite(x)], ax=panel, color=theme.colours[0], bins=30, edgecolor=theme.paper)
        else:
            known = np.isfinite(x) & np.isfinite(y)
            seaborn.histplot(x=x[known], y=y[known], ax=panel, cmap=ramp_of(dark), bins=30)
        panel.set_xlabel(_named(names[column], units) if row == count - 1 else "")
        panel.set_ylabel(_named(names[row], units) if not column else "")
        if row == column == 0:
            panel.set_ylabel("values")
    return dress(figure, dark, grid="none")


def heat_map(
    rows: Sequence[str],
    columns: Sequence[str],
    values: Any,
    *,
    what: str = "value",
    unit: str | None = None,
    dark: bool = False,
) -> Any:
    """Return a table of numbers as colours: errors of series by hour, runs by metric."""
    seaborn = need("seaborn")
    table = np.array([numbers(row) for row in values]).reshape(len(rows), len(columns))
    figure, (panel,) = new_figure(size=(2.6 + 0.42 * len(columns), 1.6 + 0.32 * len(rows)))
    written = len(rows) <= WRITTEN and len(columns) <= WRITTEN
    bar = {"label": label(f"{what} ({unit})" if unit else what, 40)}
    seaborn.heatmap(
        table, ax=panel, cmap=ramp_of(dark), annot=written, fmt=".3g", cbar_kws=bar, annot_kws={"fontsize": 7.5}
    )
    inks = [text.get_color() for text in panel.texts]
    panel.set_xticks(np.arange(len(columns)) + 0.5, [label(name, 14) for name in columns], rotation=40, ha="right")
    panel.set_yticks(np.arange(len(rows)) + 0.5, [label(name) for name in rows], rotation=0)
    panel.set_xlabel("column")
    panel.set_ylabel("row")
    set_title(panel, label(what, 60))
    dress(figure, dark, grid="none")
    for text, ink in zip(panel.texts, inks, strict=True):  # seaborn has seen to the contrast within the cells
        text.set_color(ink)
    return figure


def _named(name: str, units: Mapping[str, str]) -> str:
    return label(f"{name} ({units[name]})" if name in units else name, 36)


STATISTICAL: dict[str, Callable[..., Any]] = {"joint": joint, "pairs": pairs, "heat_map": heat_map}
"""Plots by name that need seaborn; each returns a matplotlib figure."""
