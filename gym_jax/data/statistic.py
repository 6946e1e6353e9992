"""The statistic of the coming window as a target: its peak, its 95th percentile, its mean."""

from dataclasses import replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from gym_jax.data.clip import trailing
from gym_jax.data.panel import Panel

WindowStatistic = Literal["none", "max", "p95", "mean"]
OBSERVED = 0.5
"""Share of a window's rows that must be observed for its statistic to be known."""


def coming_statistic(
    panel: Panel, window: int, kind: WindowStatistic
) -> tuple[Float[np.ndarray, "rows targets"], Bool[np.ndarray, "rows targets"]]:
    """Return for every row the statistic of each target over that row and the `window - 1` after it, and where it is
    known.

    Of the observed values; p95 is NumPy's linear quantile. It is not known where less than half of the rows were
    observed, or where the series ends before the window does.
    """
    values, known = np.zeros((len(panel.values), panel.targets)), np.zeros((len(panel.values), panel.targets), bool)
    owner = np.repeat(np.arange(len(panel.series)), panel.lengths)
    for target in range(panel.targets):
        for rows, table in trailing(panel.values[:, target], panel.mask[:, target], panel.offsets, window):
            last = np.arange(rows.start, rows.stop)
            first = last - window + 1
            whole = first >= panel.offsets[owner[last]]
            found, count = reduce_rows(table[whole], kind)
            enough = count >= OBSERVED * window
            values[first[whole][enough], target] = found[enough]
            known[first[whole], target] = enough
    return values, known


def reduce_rows(
    table: Float[np.ndarray, "n window"], kind: WindowStatistic
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Return the statistic of the numbers of each row, and how many there are; NaN does not count."""
    count = table.shape[1] - np.isnan(table).sum(axis=1)
    if kind == "max":
        return np.fmax.reduce(table, axis=1), count
    if kind == "mean":
        return np.nansum(table, axis=1) / np.maximum(count, 1), count
    table = np.sort(table, axis=1)  # NaN comes last
    place = 0.95 * np.maximum(count - 1, 0)
    below = np.floor(place).astype(np.int64)
    rows = np.arange(len(table))
    low, high = table[rows, below], table[rows, np.minimum(below + 1, np.maximum(count - 1, 0))]
    return low + (high - low) * (place - below), count


def statistic_panel(panel: Panel, window: int, kind: WindowStatistic) -> Panel:
    """Return the panel whose targets are the statistic of the window that begins at each row."""
    values, mask = panel.values.copy(), panel.mask.copy()
    values[:, : panel.targets], mask[:, : panel.targets] = coming_statistic(panel, window, kind)
    return replace(panel, values=values, mask=mask)
