"""Outlying values set to a bound: that of the train rows, or the one that the rows before them lead to expect."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from gym_jax.data.panel import Panel
from gym_jax.data.scale import CELLS, grouped_quantile, row_chunks, rows_inside
from gym_jax.data.split import Span

ClipKind = Literal["none", "quantile", "hampel"]
UNBOUNDED = float(np.finfo(np.float64).max)
"""No bound at all, as a number that JSON can hold."""
NORMAL = 1.4826
"""The standard deviation of a normal distribution in median absolute deviations (Hampel 1974)."""


class Bounds(NamedTuple):
    """The smallest and largest value that is kept, a row per series (or one for all), in the data's units."""

    low: Float[np.ndarray, "series channels"]
    high: Float[np.ndarray, "series channels"]

    def to_json(self) -> dict[str, Any]:
        """Return plain lists; floats keep every bit."""
        return {"low": self.low.tolist(), "high": self.high.tolist()}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "Bounds":
        """Return the bounds that `to_json` wrote."""
        return cls(np.array(document["low"], np.float64), np.array(document["high"], np.float64))


def fit_bounds(panel: Panel, span: Span, *, low: float = 0.0, high: float = 0.999) -> Bounds:
    """Return the quantiles `low` and `high` of each series' observed values in `span` (train rows).

    A series with none takes those of all series together. Known channels, and those without any value, are unbounded.
    """
    shape = len(panel.series), len(panel.channels)
    bounds = Bounds(np.full(shape, -UNBOUNDED), np.full(shape, UNBOUNDED))
    inside = rows_inside(span, len(panel.values))
    for channel in range(len(panel.channels) - panel.known):
        values, used = panel.values[:, channel], inside & panel.mask[:, channel]
        if not used.any():
            continue
        own = grouped_quantile(values, used, panel.offsets, (low, high))
        if np.isnan(own).any():
            whole = grouped_quantile(values, used, np.array([0, len(values)]), (low, high))
            own = np.where(np.isnan(own), whole, own)
        bounds.low[:, channel], bounds.high[:, channel] = own
    return bounds


def clip(panel: Panel, *, bounds: Bounds) -> Panel:
    """Return the panel with its observed values between the bounds of their series; known channels stay."""
    width = len(panel.channels) - panel.known
    low, high = (limit[:, :width] for limit in bounds)
    values, changed = panel.values.copy(), 0
    for rows, owner in row_chunks(panel.offsets):
        row = owner if len(low) > 1 else np.zeros_like(owner)
        part = values[rows, :width]
        kept = np.clip(part, low[row], high[row])
        moved = panel.mask[rows, :width] & (kept != part) & ~np.isnan(part)
        np.copyto(part, kept, where=moved)
        changed += int(moved.sum())
    return _noted(panel, values, changed, "quantile")


def hampel(panel: Panel, *, window: int = 25, deviations: float = 5.0) -> Panel:
    """Return the panel with its outlying values moved to `deviations` standard deviations from their median.

    Median and deviation (1.4826 median absolute deviations) are those of the observed values in the last `window`
    rows up to and including the value's own, so that no value depends on a later one. Where more than half of them are
    equal there is no deviation to compare with and the value stays; known channels stay too (Hampel 1974).
    """
    values, changed = panel.values.copy(), 0
    for channel in range(len(panel.channels) - panel.known):
        seen = panel.mask[:, channel]
        for rows, table in trailing(panel.values[:, channel], seen, panel.offsets, window):
            middle = median(table)
            spread = median(np.abs(table - middle[:, None]))
            limit, away = deviations * NORMAL * spread, panel.values[rows, channel] - middle
            moved = seen[rows] & (spread > 0) & (np.abs(away) > limit)
            np.copyto(values[rows, channel], middle + np.copysign(limit, away), where=moved)
            changed += int(moved.sum())
    return _noted(panel, values, changed, "hampel")


def trailing(
    values: Float[np.ndarray, " rows"],
    seen: Bool[np.ndarray, " rows"],
    offsets: Int[np.ndarray, " series_plus_one"],
    window: int,
) -> Iterator[tuple[slice, Float[np.ndarray, "n window"]]]:
    """Yield slices of rows and for each row its series' last `window` values, itself last; NaN where none was seen."""
    padded = np.full(window - 1 + len(values), np.nan)
    np.copyto(padded[window - 1 :], values, where=seen)
    views = np.lib.stride_tricks.sliding_window_view(padded, window)
    for rows, owner in row_chunks(offsets, max(1, CELLS // 4 // window)):
        outside = window - 1 - (np.arange(rows.start, rows.stop) - offsets[owner])
        if outside.max() > 0:
            yield rows, np.where(np.arange(window) >= outside[:, None], views[rows], np.nan)
        else:
            yield rows, views[rows].copy()


def median(table: Float[np.ndarray, "n window"]) -> Float[np.ndarray, " n"]:
    """Return the median of the numbers of each row, NaN where there is none; the rows are left sorted."""
    table.sort(axis=1)
    count = table.shape[1] - np.isnan(table).sum(axis=1)
    rows = np.arange(len(table))
    return (table[rows, np.maximum(count - 1, 0) // 2] + table[rows, count // 2]) / 2


def _noted(panel: Panel, values: np.ndarray, changed: int, how: ClipKind) -> Panel:
    total = int(panel.mask[:, : len(panel.channels) - panel.known].sum())
    return replace(panel, values=values).with_note(f"{changed:,} of {total:,} values were clipped ({how})")
