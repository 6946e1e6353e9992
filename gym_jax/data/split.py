"""Splits by time, per series: a window belongs to the part in which all of its targets lie."""

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Int

from gym_jax.data.panel import Panel
from gym_jax.errors import DataError

Part = Literal["train", "val", "test"]
ROUNDING = 1e-9
"""Rows: 0.29 of 100 rows is 29, although the product of the floats is below it."""


class Span(NamedTuple):
    """Flat rows `begin <= row < end` of every series."""

    begin: Int[np.ndarray, " series"]
    end: Int[np.ndarray, " series"]


class Split(NamedTuple):
    """The rows of every series that each part may forecast."""

    train: Span
    val: Span
    test: Span


def split_by_time(panel: Panel, *, train: float = 0.7, val: float = 0.1, gap: int = 0) -> Split:
    """Cut every series into train, val and test rows, by shares of its own length; test is what is left.

    `gap` rows before val and before test are purged: no window forecasts them.
    """
    begin, end = panel.offsets[:-1], panel.offsets[1:]
    first_cut = begin + np.floor(panel.lengths * train + ROUNDING).astype(np.int64)
    second_cut = begin + np.floor(panel.lengths * min(train + val, 1.0) + ROUNDING).astype(np.int64)
    return Split(
        Span(begin, first_cut),
        Span(np.minimum(first_cut + gap, second_cut), second_cut),
        Span(np.minimum(second_cut + gap, end), end),
    )


def origins(
    panel: Panel, span: Span, *, context: int, horizon: int, stride: int = 1, whole: bool = True
) -> tuple[Int[np.ndarray, " windows"], Int[np.ndarray, " windows"]]:
    """Return the first target row and the series of every window whose targets lie inside `span`.

    `whole` asks for a full context inside the series; otherwise one row is enough and the rest is masked. A window
    needs one observed target and one observed past value of the target channels.
    """
    least = panel.offsets[:-1] + (context if whole else 1)
    begin = np.maximum(span.begin, least)
    counts = np.maximum((span.end - horizon - begin) // stride + 1, 0)
    series = np.repeat(np.arange(len(counts)), counts)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    rows = np.repeat(begin, counts) + within * stride
    seen = panel.seen()
    past = np.maximum(rows - context, panel.offsets[series])
    keep = (seen[rows + horizon] > seen[rows]) & (seen[rows] > seen[past])
    return rows[keep], series[keep]


def refuse_short(
    panel: Panel, *, context: int, horizon: int, train: float, val: float, gap: int, short: Literal["error", "drop"]
) -> Panel:
    """Return the panel without the series too short for a window in each part; raise DataError unless told to drop."""
    split = split_by_time(panel, train=train, val=val, gap=gap)
    fits = split.train.end - split.train.begin >= context + horizon
    for share, span in ((val, split.val), (1 - train - val, split.test)):
        if share > 1e-9:
            fits &= span.end - span.begin >= horizon
    if fits.all():
        return panel
    bad = np.flatnonzero(~fits)
    if short == "drop" and fits.any():
        note = f"{len(bad):,} of {len(panel.series):,} series are too short: dropped"
        return panel.select(np.flatnonzero(fits)).with_note(note)
    need = _length_needed(context, horizon, train, val, gap)
    shown = ", ".join(f"`{panel.series[i]}` ({panel.lengths[i]:,})" for i in bad[:5])
    raise DataError(
        f"{len(bad):,} of {len(panel.series):,} series are too short: {shown}{' ...' if len(bad) > 5 else ''}",
        hint=f"context {context} and horizon {horizon} with these splits need {need:,} rows per series",
        attempt="gymjax train ... data.short=drop"
        if fits.any()
        else f"gymjax train ... --context {max(1, context // 4)} --horizon {max(1, horizon // 4)}",
        code="data.short",
    )


def _length_needed(context: int, horizon: int, train: float, val: float, gap: int) -> int:
    need = [(context + horizon) / train]
    need += [(horizon + gap) / val] if val > 1e-9 else []
    test = 1 - train - val
    need += [(horizon + gap) / test] if test > 1e-9 else []
    return int(np.ceil(max(need))) + 1
