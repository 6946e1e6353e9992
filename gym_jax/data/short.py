"""Series too short for a window in each part."""

from typing import Literal

import numpy as np
from jaxtyping import Bool

from gym_jax.data.panel import Panel
from gym_jax.data.split import Split, Splitting, split_panel
from gym_jax.errors import DataError


def refuse_short(
    panel: Panel,
    splitting: Splitting,
    *,
    context: int,
    horizon: int,
    short: Literal["error", "drop"],
    split: Split | None = None,
) -> Panel:
    """Return the panel without the series that are too short; raise DataError that names them unless told to drop.

    By shares and steps a series needs a window in each part; by date and by series, in one of them.
    """
    split = split_panel(panel, splitting) if split is None else split
    fits = long_enough(split, splitting, context=context, horizon=horizon)
    if fits.all():
        return panel
    bad = np.flatnonzero(~fits)
    if short == "drop" and fits.any():
        note = f"{len(bad):,} of {len(panel.series):,} series are too short: dropped"
        return panel.select(np.flatnonzero(fits)).with_note(note)
    need = _length_needed(context, horizon, splitting)
    shown = ", ".join(f"`{panel.series[i]}` ({panel.lengths[i]:,})" for i in bad[:5])
    raise DataError(
        f"{len(bad):,} of {len(panel.series):,} series are too short: {shown}{' ...' if len(bad) > 5 else ''}",
        hint=f"context {context} and horizon {horizon} with these splits need {need:,} rows per series",
        attempt="gymjax train ... data.policy.short=drop"
        if fits.any()
        else f"gymjax train ... --context {max(1, context // 4)} --horizon {max(1, horizon // 4)}",
        code="data.short",
    )


def long_enough(split: Split, splitting: Splitting, *, context: int, horizon: int) -> Bool[np.ndarray, " series"]:
    """Return which series have a window in each part; by date and by series, in one of them."""
    fits = split.train.lengths >= context + horizon
    if splitting.kind in ("share", "steps"):
        for wanted, span in zip(_wanted(splitting), (split.val, split.test), strict=True):
            if wanted:
                fits &= span.lengths >= horizon
    else:
        for span in (split.val, split.test):
            fits |= span.lengths > horizon  # one row of past at least
    return np.asarray(fits)


def _wanted(splitting: Splitting) -> tuple[bool, bool]:
    """Return whether there is to be a val and a test part."""
    if splitting.kind == "steps":
        return splitting.val_steps > 0, splitting.test_steps > 0
    return splitting.val > 1e-9, 1 - splitting.train - splitting.val > 1e-9


def _length_needed(context: int, horizon: int, splitting: Splitting) -> int:
    val, test = _wanted(splitting)
    gap = splitting.gap
    if splitting.kind == "steps":
        val_rows = max(splitting.val_steps, horizon) + gap if val else 0
        return context + horizon + val_rows + max(splitting.test_steps, horizon) + gap
    if splitting.kind in ("date", "series"):
        return context + horizon
    need = [(context + horizon) / splitting.train]
    need += [(horizon + gap) / splitting.val] if val else []
    need += [(horizon + gap) / (1 - splitting.train - splitting.val)] if test else []
    return int(np.ceil(max(need))) + 1
