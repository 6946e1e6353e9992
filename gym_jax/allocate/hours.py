"""A workload by the hour: what a decision may look at, and what came of it.

All numbers are shares of the workload's own level, the mean of the hourly 95th percentiles of the day before, so that
small and large workloads teach each other.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from gym_jax.allocate.usage import DAY, Workload

LEVEL = 24
"""Hours whose mean is the level."""
WEEK = 168
LAGS = (*range(1, 13), 18, *range(23, 27), *range(47, 50), *range(71, 74), 96, 97, 120, 121, 144, 145, 167, 168, 169)
"""Hours back whose maximum and mean are looked at: the last half day, and the same time of day for a week."""
SPANS = (3, 6, 12, 24, 48, 72, 168, 336)
"""Hours whose maximum, mean, 90th percentile of maxima and deviation are looked at."""
PIECES = 12
"""Means of the last hour."""
ENOUGH = 24
"""Hours of the day before that must have been seen: where some lack, the level is that of another time of day, and the
quantiles may be far too low."""
SOFTEN = 0.05
"""Added to a share before its logarithm: below a twentieth of the level differences do not matter."""
TAIL, BODY = 24, 40
"""How many of the coming values stand alone, the highest, and how many groups the others make."""


class Hours(NamedTuple):
    """Every hour of a workload as a moment of decision; no feature looks at the hour itself or beyond."""

    features: Float[np.ndarray, "hours features"]
    level: Float[np.ndarray, " hours"]
    """In the units of the usage."""
    known: Bool[np.ndarray, " hours"]
    """Whether all of the day before was seen: what is learned from, and what the quantiles are meant for."""
    coming: Float[np.ndarray, "hours values"]
    """Shares of the level that are used until the next decision, NaN where nothing was measured."""
    counts: Float[np.ndarray, "hours values"]
    """How many measurements each stands for."""
    highest: Float[np.ndarray, " hours"]
    """The highest usage of the week before, as a share of the level."""
    lead: int
    """Row of the first hour."""


def by_the_hour(workload: Workload, *, lead: int = 0, every: int = 1, least: float = 1e-3) -> Hours:
    """Return the hours of a workload from row `lead` on, and one behind its end; decisions come each `every` hours.

    `least` is the smallest level there is, in the units of the usage.
    """
    size = workload.per_hour
    count = (len(workload.usage) - lead) // size + 1
    rows = np.full((count, size), np.nan)
    rest = workload.usage[lead : lead + count * size]
    rows.reshape(-1)[: len(rest)] = rest
    seen = ~np.isnan(rows)
    some = seen.any(axis=1)
    top = np.where(some, np.where(seen, rows, -np.inf).max(axis=1), np.nan)
    mean = np.where(some, np.where(seen, rows, 0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1), np.nan)
    high = np.full(count, np.nan)
    high[some] = np.nanquantile(rows[some], 0.95, axis=1)
    level, hours_seen = _level(high, least)
    times = workload.first + (lead + np.arange(count) * size) * workload.step
    features = np.concatenate([_past(rows, top, mean, high, level), _clock(times), np.log(level)[:, None]], axis=1)
    coming, counts = _coming(rows, level, every)
    known = hours_seen >= ENOUGH
    week = pd.Series(top).rolling(WEEK, min_periods=1).max()
    highest = np.nan_to_num(_back(_last_seen(week.to_numpy()), 1) / level)
    return Hours(features.astype(np.float32), level, known, coming, counts, highest, lead)


def _level(high: Float[np.ndarray, " hours"], least: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the level before each hour, and how many hours of the day before were seen."""
    total = np.concatenate([[0.0], np.nancumsum(high)])
    count = np.concatenate([[0], np.cumsum(~np.isnan(high))])
    now = np.arange(len(high))
    before = np.maximum(now - LEVEL, 0)
    hours = count[now] - count[before]
    return np.maximum((total[now] - total[before]) / np.maximum(hours, 1), least), hours


def _past(
    rows: Float[np.ndarray, "hours size"],
    top: Float[np.ndarray, " hours"],
    mean: Float[np.ndarray, " hours"],
    high: Float[np.ndarray, " hours"],
    level: Float[np.ndarray, " hours"],
) -> Float[np.ndarray, "hours features"]:
    """Return what was used before each hour; 0, which is about the level itself, where nothing is known."""

    def share(values: np.ndarray) -> np.ndarray:
        return np.log(values / level + SOFTEN)

    filled_top, filled_mean, filled_high = map(_last_seen, (top, mean, high))
    out = [share(_back(values, lag)) for lag in LAGS for values in (filled_top, filled_mean)]
    out += [share(_back(filled_high, lag)) for lag in (1, 2, 3, 24, WEEK)]
    tops, means = pd.Series(top), pd.Series(mean)
    for span in SPANS:
        over = tops.rolling(span, min_periods=1)
        for rolled in (over.max(), means.rolling(span, min_periods=1).mean(), over.quantile(0.9)):
            out.append(share(_back(_last_seen(rolled.to_numpy()), 1)))
        spread = _back(_last_seen(tops.rolling(span, min_periods=2).std().to_numpy()), 1)
        out.append(np.log1p(np.nan_to_num(spread) / level))
    out += [share(_back(piece, 1)) for piece in _pieces(rows, mean).T]
    days = np.stack([_back(filled_top, 24 * day) for day in range(1, 8)])
    day_means = np.stack([_back(filled_mean, 24 * day) for day in range(1, 8)])
    known = ~np.isnan(days).all(axis=0)
    for values, of in ((days, np.nanmax), (days, np.nanmedian), (day_means, np.nanmean), (days, np.nanmin)):
        answer = np.full(len(level), np.nan)
        answer[known] = of(values[:, known], axis=0)
        out.append(share(answer))
    return np.nan_to_num(np.stack(out, axis=1), nan=0.0)


def _pieces(rows: Float[np.ndarray, "hours size"], mean: Float[np.ndarray, " hours"]) -> Float[np.ndarray, "hours 12"]:
    """Return an hour in twelve parts, the hour's mean where a part was not seen."""
    size = rows.shape[1]
    edges = np.arange(PIECES + 1) * size // PIECES
    out = np.empty((len(rows), PIECES))
    for piece, begin in enumerate(edges[:-1]):  # a row stands for several parts where there are fewer than twelve
        part = rows[:, begin : max(edges[piece + 1], begin + 1)]
        seen = ~np.isnan(part)
        means = np.where(seen, part, 0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
        out[:, piece] = np.where(seen.any(axis=1), means, mean)
    return out


def _clock(times: np.ndarray) -> Float[np.ndarray, "hours 11"]:
    """Return the time of day as two waves, and the weekday."""
    angle = 2 * np.pi * (times % DAY) / DAY
    weekday = (times // DAY + 3) % 7  # 1970 began on a Thursday
    waves = [np.sin(angle), np.cos(angle), np.sin(2 * angle), np.cos(2 * angle)]
    return np.stack([*waves, *(weekday == day for day in range(7))], axis=1).astype(np.float64)


def _coming(
    rows: Float[np.ndarray, "hours size"], level: Float[np.ndarray, " hours"], every: int
) -> tuple[Float[np.ndarray, "hours values"], Float[np.ndarray, "hours values"]]:
    """Return what is used in the `every` hours from each hour on, as shares of its level, and how often.

    Of long spans the highest values stand alone, the others in groups.
    """
    count, size = rows.shape
    ahead = np.pad(rows, ((0, every - 1), (0, 0)), constant_values=np.nan)
    values = np.concatenate([ahead[hour : hour + count] for hour in range(every)], axis=1) / level[:, None]
    if every * size <= TAIL + BODY:
        return values.astype(np.float32), (~np.isnan(values)).astype(np.float32)
    ordered = np.sort(values, axis=1)[:, ::-1]  # NaN comes first now
    lacking = np.isnan(ordered).sum(axis=1)
    place = (np.arange(every * size)[None] + lacking[:, None]) % (every * size)
    ordered = np.take_along_axis(ordered, place, axis=1)
    tail, body = ordered[:, :TAIL], np.array_split(ordered[:, TAIL:], BODY, axis=1)
    counts = np.stack([(~np.isnan(group)).sum(axis=1) for group in body], axis=1)
    means = np.stack([np.nansum(group, axis=1) for group in body], axis=1) / np.maximum(counts, 1)
    groups = np.where(counts > 0, means, np.nan)
    weights = np.concatenate([~np.isnan(tail), counts], axis=1)
    return np.concatenate([tail, groups], axis=1).astype(np.float32), weights.astype(np.float32)


def _back(values: Float[np.ndarray, " hours"], lag: int) -> Float[np.ndarray, " hours"]:
    """Return the value of `lag` hours before."""
    return np.concatenate([np.full(min(lag, len(values)), np.nan), values[: max(len(values) - lag, 0)]])


def _last_seen(values: Float[np.ndarray, " hours"]) -> Float[np.ndarray, " hours"]:
    """Return the values with gaps closed by the last one before."""
    places = np.maximum.accumulate(np.where(np.isnan(values), -1, np.arange(len(values))))
    return np.where(places >= 0, values[np.maximum(places, 0)], np.nan)
