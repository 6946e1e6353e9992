"""Channels made from others: earlier values, statistics of the last rows, and the calendar."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal

import numpy as np

from gym_jax.data.clip import median, trailing
from gym_jax.data.panel import Panel
from gym_jax.data.zone import local_times
from gym_jax.errors import DataError

Statistic = Literal["mean", "std", "min", "max", "median"]
Cycle = Literal["hour", "day", "week", "month", "year"]
NANOSECONDS = {"hour": 3_600 * 10**9, "day": 86_400 * 10**9, "week": 7 * 86_400 * 10**9}
MONDAY = 3 * 86_400 * 10**9
"""Nanoseconds from the last Monday before 1970, a Thursday."""
Channel = tuple[str, Callable[[], tuple[np.ndarray, np.ndarray]]]
"""A name, and the function that makes the channel's values and mask."""


def add_features(
    panel: Panel,
    *,
    lags: Sequence[int] = (),
    rolling: Sequence[tuple[int, Statistic]] = (),
    calendar: Sequence[Cycle] = (),
    horizon: int,
) -> Panel:
    """Return the panel with more channels, in the panel's order: targets, past, known, calendar.

    A lag is a target's value that many rows before, and known ahead of time when it is at least `horizon`. A rolling
    statistic is that of a target's observed values in the last `window` rows, its own included. The calendar is sine
    and cosine of the position in a cycle. Raises DataError when a lag or window is longer than every series, on a name
    that is there already, and when a calendar is asked of times that are counts.
    """
    if not (lags or rolling or calendar):
        return panel
    _refuse_long(panel, lags, [window for window, _ in rolling])
    targets = range(panel.targets)

    def lagged(wanted: Sequence[int]) -> list[Channel]:
        return [(f"{panel.channels[c]}_lag_{k}", partial(_lag, panel, c, k)) for k in wanted for c in targets]

    rolled: list[Channel] = [
        (f"{panel.channels[c]}_{statistic}_{window}", partial(_rolled, panel, c, window, statistic))
        for window, statistic in rolling
        for c in targets
    ]
    old: list[Channel] = [(name, partial(_old, panel, channel)) for channel, name in enumerate(panel.channels)]
    past, scaled = len(old) - panel.known, len(old) - panel.unscaled
    short, ahead = lagged([k for k in lags if k < horizon]), lagged([k for k in lags if k >= horizon])
    cycles = _calendar(panel, calendar)
    channels = [*old[:past], *short, *rolled, *old[past:scaled], *ahead, *old[scaled:], *cycles]
    names = [name for name, _ in channels]
    if twice := [name for name in names if names.count(name) > 1]:
        raise DataError(
            f"there would be two channels `{twice[0]}`",
            hint="name each feature once, and no column like a feature",
            code="data.features",
        )
    values, mask = np.empty((len(panel.values), len(names))), np.empty((len(panel.values), len(names)), bool)
    for channel, (_, make) in enumerate(channels):
        values[:, channel], mask[:, channel] = make()
    return replace(
        panel,
        channels=tuple(names),
        values=values,
        mask=mask,
        known=panel.known + len(ahead) + len(cycles),
        unscaled=panel.unscaled + len(cycles),
    )


def extend(panel: Panel, rows: int) -> Panel:
    """Return the panel with `rows` more rows, wholly missing, at the end of every series."""
    shift = rows * np.arange(len(panel.series) + 1)
    place = np.arange(len(panel.values)) + np.repeat(shift[:-1], panel.lengths)
    total = len(panel.values) + int(shift[-1])
    values, mask = np.zeros((total, len(panel.channels))), np.zeros((total, len(panel.channels)), bool)
    values[place], mask[place] = panel.values, panel.mask
    return replace(panel, values=values, mask=mask, offsets=panel.offsets + shift)


def _old(panel: Panel, channel: int) -> tuple[np.ndarray, np.ndarray]:
    return panel.values[:, channel], panel.mask[:, channel]


def _lag(panel: Panel, channel: int, lag: int) -> tuple[np.ndarray, np.ndarray]:
    values, mask = np.zeros(len(panel.values)), np.zeros(len(panel.values), bool)
    mask[lag:] = panel.mask[:-lag, channel]
    since = np.arange(len(values)) - np.repeat(panel.offsets[:-1], panel.lengths)
    mask &= since >= lag
    np.copyto(values[lag:], panel.values[:-lag, channel], where=mask[lag:])
    return values, mask


def _rolled(panel: Panel, channel: int, window: int, statistic: Statistic) -> tuple[np.ndarray, np.ndarray]:
    """Every row is computed from its own window alone: nothing is carried on from row to row, no rounding either."""
    values = np.empty(len(panel.values))
    for rows, table in trailing(panel.values[:, channel], panel.mask[:, channel], panel.offsets, window):
        values[rows] = STATISTICS[statistic](table)
    mask = ~np.isnan(values)
    return np.where(mask, values, 0.0), mask


def _moments(table: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean, values without it (0 where none was seen) and how many were seen.

    Taking the smallest value out first makes equal values exactly their mean: idle machines have no deviation at all.
    """
    least = np.fmin.reduce(table, axis=1)
    table -= least[:, None]
    blank = np.isnan(table)
    table[blank] = 0
    count = np.maximum(table.shape[1] - blank.sum(axis=1), 1)
    mean = table.sum(axis=1) / count
    table -= mean[:, None]
    table[blank] = 0
    return least + mean, table, count


def _mean(table: np.ndarray) -> np.ndarray:
    return _moments(table)[0]


def _std(table: np.ndarray) -> np.ndarray:
    mean, centred, count = _moments(table)
    centred *= centred
    return np.where(np.isnan(mean), np.nan, np.sqrt(centred.sum(axis=1) / count))


STATISTICS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mean": _mean,
    "std": _std,
    "min": partial(np.fmin.reduce, axis=1),
    "max": partial(np.fmax.reduce, axis=1),
    "median": median,
}


def _calendar(panel: Panel, calendar: Sequence[Cycle]) -> list[Channel]:
    if not calendar:
        return []
    if panel.clock == "step":
        raise DataError(
            "a calendar was asked for, but the times are plain counts",
            hint="give times as dates or as numbers since 1970, or leave the calendar out",
            code="data.calendar",
        )
    times, codes = _distinct_times(panel)
    local = (local_times(times, panel.calendar_zone) if panel.calendar_zone else times).astype("datetime64[ns]")
    everywhere = np.ones(len(codes), bool)

    def wave(shape: np.ufunc, cycle: Cycle) -> tuple[np.ndarray, np.ndarray]:
        return shape(2 * np.pi * _phase(local, cycle))[codes], everywhere

    return [
        (f"{cycle}_{name}", partial(wave, shape, cycle))
        for cycle in calendar
        for name, shape in (("sin", np.sin), ("cos", np.cos))
    ]


def _distinct_times(panel: Panel) -> tuple[np.ndarray, np.ndarray]:
    """Return times that hold those of all rows, once each, and the place of each row's."""
    owner = np.repeat(np.arange(len(panel.series)), panel.lengths)
    stamps, begin = panel.stamps(owner, np.arange(len(owner))), int(panel.first.min())
    places, beside = np.divmod(stamps - begin, panel.step)
    if not beside.any() and (count := int(places.max()) + 1) <= len(stamps):
        return begin + panel.step * np.arange(count), places
    return np.unique(stamps, return_inverse=True)


def _phase(times: np.ndarray, cycle: Cycle) -> np.ndarray:
    """Return the position of datetime64[ns] in their cycle, from 0 to 1; months and years have their real length."""
    if cycle in NANOSECONDS:
        return (times.astype(np.int64) + MONDAY) % NANOSECONDS[cycle] / NANOSECONDS[cycle]
    unit: Literal["M", "Y"] = "M" if cycle == "month" else "Y"
    begin = times.astype(f"datetime64[{unit}]")
    ends = (begin, begin + np.timedelta64(1, unit))
    first, last = (end.astype("datetime64[ns]").astype(np.int64) for end in ends)
    return (times.astype(np.int64) - first) / (last - first)


def _refuse_long(panel: Panel, lags: Sequence[int], windows: Sequence[int]) -> None:
    longest = int(panel.lengths.max())
    if wrong := [size for size in (*lags, *windows) if size < 1]:
        raise DataError(
            f"a lag or window of {wrong[0]} rows",
            hint="features look back: lags and windows are 1 row or more",
            code="data.features",
        )
    for name, sizes, most in (("lag", lags, longest - 1), ("window", windows, longest)):
        if long := [size for size in sizes if size > most]:
            raise DataError(
                f"a {name} of {long[0]:,} rows is longer than every series: they have {longest:,} rows at most",
                hint=f"a row is {panel.describe_step()}: take a shorter {name}, or longer data",
                code="data.features",
            )
