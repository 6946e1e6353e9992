"""Where forecasts fail: errors by horizon step, by hour of the day and by series."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int

from gym_jax.data.panel import Panel
from gym_jax.data.scale import Scaler
from gym_jax.data.windows import Windows
from gym_jax.data.zone import zone_of
from gym_jax.evaluate.score import Forecast, forecasts
from gym_jax.metrics import Totals, measure, plain, summarise

DAY = 86_400 * 10**9


def hours_of(panel: Panel) -> Int[np.ndarray, " rows"] | None:
    """Return the hour of the day of every row, in the calendar's zone where one is set.

    None where times are counts or a step is a day or more.
    """
    if panel.clock == "step" or panel.step >= DAY:
        return None
    owner = np.repeat(np.arange(len(panel.series)), panel.lengths)
    codes, stamps = pd.factorize(panel.stamps(owner, np.arange(len(owner))))
    times = pd.DatetimeIndex(stamps.astype("datetime64[ns]"))
    if panel.calendar_zone:
        times = times.tz_localize("UTC").tz_convert(zone_of(panel.calendar_zone))
    return times.hour.to_numpy()[codes]


def break_down(
    members: Sequence[Forecast],
    windows: Windows,
    panel: Panel,
    scaler: Scaler,
    *,
    channel: int = 0,
    batch_size: int,
) -> dict[str, dict[str, list[Any]]]:
    """Return the errors of the mean of several forecasts, `by_horizon`, `by_hour` and `by_series`, in the data's units.

    Each holds a name for its groups, their count, every metric but MASE, and `bias`: the mean of forecast minus truth.
    There is no `by_hour` where rows have none.
    """
    hours, horizon, series = hours_of(panel), windows.steps, np.asarray(windows.series)
    origins = np.asarray(windows.origins) - windows.room
    sizes = {"by_horizon": horizon, **({} if hours is None else {"by_hour": 24}), "by_series": len(panel.series)}
    totals = {name: Totals.zero(size) for name, size in sizes.items()}
    over = {name: np.zeros(size) for name, size in sizes.items()}
    parts = [forecasts(member, windows, scaler, batch_size=batch_size) for member in members]
    for pieces in zip(*parts, strict=True):
        index, guess = pieces[0][0], np.mean([answer[..., channel] for _, answer in pieces], axis=0)
        rows = origins[index][:, None] + np.arange(horizon)
        truth, seen = panel.values[rows, channel], panel.mask[rows, channel]
        groups = {"by_horizon": np.broadcast_to(np.arange(horizon), rows.shape)}
        groups["by_series"] = np.broadcast_to(series[index][:, None], rows.shape)
        if hours is not None:
            groups["by_hour"] = hours[rows]
        for name, group in groups.items():
            totals[name] = totals[name].merge(measure(guess, truth, seen, group, sizes[name]))
            over[name] += np.bincount(group[seen], (guess - truth)[seen], sizes[name])
    names: dict[str, tuple[str, list[Any]]] = {
        "by_horizon": ("step", list(range(1, horizon + 1))),
        "by_hour": ("hour", list(range(24))),
        "by_series": ("id", list(panel.series)),
    }
    out = {}
    for name in sizes:
        label, groups_named = names[name]
        metrics = {key: plain(value) for key, value in summarise(totals[name]).items() if key != "mase"}
        with np.errstate(invalid="ignore"):
            bias = plain(over[name] / totals[name].count)
        out[name] = {label: groups_named, "count": totals[name].count.astype(int).tolist(), **metrics, "bias": bias}
    return out
