"""Allocation policies: what a workload should get from a moment on, out of what it used before that moment.

A policy is `(workload, decisions, **settings) -> allocation` with one value for each decision, in the units of the
usage; `decisions` are rows, and no row at or after a decision is looked at (`oracle` alone does). NaN is no answer: too
little was seen. Defaults are those of the tools that the policies restate.
"""

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Gt, Le, Lt
from jaxtyping import Float, Int

from gym_jax.allocate.histogram import CPU, MEMORY, decaying
from gym_jax.allocate.histogram import percentile as histogram_percentile
from gym_jax.allocate.usage import DAY, HOUR, Resource, Workload

Decisions = Int[np.ndarray, " decisions"]
Allocation = Float[np.ndarray, " decisions"]
Fraction = Annotated[float, Ge(0), Le(1)]
Duration = Annotated[float, Gt(0), Lt(np.inf)]
Amount = Annotated[float, Ge(0), Lt(np.inf)]

MIB = 2.0**20
MILLI = 1000


def request(workload: Workload, decisions: Decisions) -> Allocation:
    """Return the request that was in force just before each decision; NaN where none is known."""
    if workload.request is None:
        return np.full(len(decisions), np.nan)
    return _each(workload.request, decisions, len(workload.request), lambda seen: seen[-1])


def maximum(workload: Workload, decisions: Decisions, *, days: Duration = 14.0) -> Allocation:
    """Return the highest usage of the last `days`."""
    return _each(workload.usage, decisions, _steps(workload, days), np.max)


def percentile(
    workload: Workload, decisions: Decisions, *, days: Duration = 14.0, share: Fraction = 0.99
) -> Allocation:
    """Return a percentile of the usage of the last `days`, interpolated."""
    return _each(workload.usage, decisions, _steps(workload, days), lambda seen: np.quantile(seen, share))


def hour_of_day(
    workload: Workload, decisions: Decisions, *, days: Annotated[int, Gt(0)] = 7, share: Fraction = 1.0
) -> Allocation:
    """Return a percentile of the usage in the hour after each decision's time of day, over the last `days`.

    A share of 1 is the maximum. It decides anew every hour: a day is a schedule of 24 values.
    """
    hour, day, out = workload.per_hour, DAY // workload.step, np.full(len(decisions), np.nan)
    for place, row in enumerate(decisions):
        starts = [row - back * day for back in range(1, days + 1) if row - back * day + hour > 0]
        seen = np.concatenate([workload.usage[max(start, 0) : start + hour] for start in starts] or [out[:0]])
        seen = seen[~np.isnan(seen)]
        out[place] = np.quantile(seen, share) if len(seen) else np.nan
    return out


def vpa(
    workload: Workload,
    decisions: Decisions,
    *,
    resource: Resource = "cpu",
    share: Fraction = 0.9,
    margin: Amount = 0.15,
    half_life_hours: Annotated[float, Gt(0)] = 24.0,
    containers: Annotated[int, Gt(0)] = 1,
) -> Allocation:
    """Return the target of the Kubernetes vertical pod autoscaler: cores, or bytes of memory.

    A decaying histogram of the usage (of memory: of the peak of each day), its 90th percentile plus 15 %, cut to whole
    millicores or bytes at each step, at least 25 millicores or 250 MB a pod.
    """
    if resource == "cpu":
        usage, unit, least, buckets = np.trunc(workload.usage * MILLI) / MILLI, MILLI, 0.025, CPU
        ages = np.arange(len(usage)) * (workload.step / HOUR / half_life_hours)
        weights = decaying(buckets, usage, ages, decisions)
    else:
        unit, least, buckets = 1, 250e6, MEMORY
        peaks, ends = daily_peaks(workload)
        ages = ends * (workload.step / HOUR / half_life_hours)
        whole = decaying(buckets, peaks, ages, np.searchsorted(ends, decisions, side="right"), weight=1.0)
        weights = _with_today(whole, workload, decisions, half_life_hours)
    base = np.trunc(unit * histogram_percentile(buckets, weights, share))
    answer = np.maximum((base + np.trunc(base * margin)) / unit, least / containers)
    return np.where(weights.any(axis=-1), answer, np.nan)


def _with_today(
    weights: Float[np.ndarray, "decisions buckets"], workload: Workload, decisions: Decisions, half_life_hours: float
) -> Float[np.ndarray, "decisions buckets"]:
    """Return histograms of daily peaks with the peak so far of the day that is not over, stamped with its end."""
    day, out = DAY // workload.step, weights.copy()
    for place, row in enumerate(decisions):
        begin = row // day * day
        today = workload.usage[begin:row]
        if len(today := today[~np.isnan(today)]):
            out[place] *= 2.0 ** (-24 / half_life_hours)
            out[place, MEMORY.find(today.max()[None])[0]] += 1.0
    return out


def daily_peaks(workload: Workload) -> tuple[Float[np.ndarray, " days"], Int[np.ndarray, " days"]]:
    """Return the highest usage of each whole day since the first row, NaN where nothing was seen, and where it ends."""
    day = DAY // workload.step
    count = len(workload.usage) // day
    rows = workload.usage[: count * day].reshape(count, day)
    seen = ~np.isnan(rows)
    peaks = np.where(seen.any(axis=1), np.where(seen, rows, -np.inf).max(axis=1), np.nan)
    return peaks, np.arange(1, count + 1) * day


def krr(
    workload: Workload,
    decisions: Decisions,
    *,
    resource: Resource = "cpu",
    share: Fraction = 0.95,
    days: Duration = 14.0,
    buffer: Amount = 0.15,
) -> Allocation:
    """Return the request of robusta's krr, strategy `simple`: cores, or bytes of memory.

    CPU: a percentile of the last two weeks, up to the next millicore, at least 10. Memory: the peak plus 15 %, up to
    the next MiB, at least 100. No answer before three hours or 100 values. It reads values of 75 s; coarser ones hide
    bursts.
    """
    window, needed = _steps(workload, days), 3 * workload.per_hour

    def of(seen: Float[np.ndarray, " n"]) -> float:
        if resource == "cpu":
            return float(max(np.ceil(round(MILLI * float(np.quantile(seen, round(share, 2))), 6)) / MILLI, 0.010))
        return float(max(np.ceil(seen.max() * (1 + buffer) / MIB) * MIB, 100 * MIB))

    return _each(workload.usage, decisions, window, of, needed=min(needed, 100))


def autopilot(
    workload: Workload,
    decisions: Decisions,
    *,
    resource: Resource = "cpu",
    share: Fraction | None = None,
    margin: Amount = 0.15,
    half_life_hours: Annotated[float, Gt(0)] | None = None,
    days: Duration = 7.0,
    hold_hours: Amount = 0.0,
) -> Allocation:
    """Return the windowed recommendation after Google's Autopilot (Rzadca et al. 2020), with its margin.

    The level that covers `share` of the work, not of the time, in exponentially weighted usage: 95 % and a half-life of
    12 h for CPU, 98 % and 48 h for memory. With `hold_hours` it is the highest answer of that long before.
    """
    share = share or {"cpu": 0.95}.get(resource, 0.98)
    half_life = half_life_hours or {"cpu": 12.0}.get(resource, 48.0)
    window, rate = _steps(workload, days), workload.step / HOUR / half_life

    def of(seen: Float[np.ndarray, " n"], ages: Float[np.ndarray, " n"]) -> float:
        order = np.argsort(seen)
        load = np.cumsum(seen[order] * 2.0 ** -ages[order])
        return float(seen[order[min(np.searchsorted(load, share * load[-1]), len(order) - 1)]])

    back = np.arange(0, round(hold_hours) + 1) * workload.per_hour
    asked, place = np.unique((decisions[:, None] - back).clip(min=0), return_inverse=True)
    answers = np.full(len(asked), np.nan)
    for i, row in enumerate(asked.tolist()):
        part = workload.usage[max(0, row - window) : row]
        known = ~np.isnan(part)
        if known.any():
            answers[i] = of(part[known], (rate * np.arange(len(part) - 1, -1, -1))[known])
    return (1 + margin) * _highest(answers[place].reshape(len(decisions), len(back)))


def trend(
    workload: Workload,
    decisions: Decisions,
    *,
    days: Duration = 7.0,
    ahead_days: Duration = 7.0,
    margin: Amount = 0.1,
) -> Allocation:
    """Return the highest usage of the last `days`, plus what straight growth adds in `ahead_days`: for disks."""
    window, ahead = _steps(workload, days), _steps(workload, ahead_days)
    out = np.full(len(decisions), np.nan)
    for place, row in enumerate(decisions):
        seen = workload.usage[max(0, row - window) : row]
        rows = np.flatnonzero(~np.isnan(seen))
        if len(rows):
            away = rows - rows.mean()
            slope = (away * seen[rows]).sum() / max((away * away).sum(), 1)
            out[place] = (seen[rows].max() + max(slope, 0.0) * ahead) * (1 + margin)
    return out


def oracle(
    workload: Workload, decisions: Decisions, *, share: Fraction = 0.99, hours: Duration | None = None
) -> Allocation:
    """Return a percentile of the usage until the next decision, or for `hours`: the bound, no policy."""
    ends = np.append(decisions[1:], len(workload.usage))
    if hours is not None:
        ends = np.minimum(decisions + max(1, round(hours * workload.per_hour)), len(workload.usage))
    out = np.full(len(decisions), np.nan)
    for place, (begin, end) in enumerate(zip(decisions, ends, strict=True)):
        coming = workload.usage[begin:end]
        if len(coming := coming[~np.isnan(coming)]):
            out[place] = np.quantile(coming, share)
    return out


def _each(
    values: Float[np.ndarray, " steps"],
    decisions: Decisions,
    window: int,
    of: Callable[[Float[np.ndarray, " n"]], Any],
    needed: int = 1,
) -> Allocation:
    """Return a number out of the values seen in the window before each decision; NaN where there are too few."""
    out = np.full(len(decisions), np.nan)
    for place, row in enumerate(decisions):
        seen = values[max(0, row - window) : row]
        seen = seen[~np.isnan(seen)]
        if len(seen) >= max(needed, 1):
            out[place] = of(seen)
    return out


def _highest(rows: Float[np.ndarray, "decisions n"]) -> Allocation:
    seen = ~np.isnan(rows)
    return np.where(seen.any(axis=1), np.where(seen, rows, -np.inf).max(axis=1), np.nan)


def _steps(workload: Workload, days: float) -> int:
    return max(1, round(days * DAY / workload.step))
