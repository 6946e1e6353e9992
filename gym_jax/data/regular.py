"""Rows by series and time: in order, one a time, on one step."""

import shlex
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gym_jax.data.findings import Report
from gym_jax.data.panel import Clock, describe_span, stamp_of
from gym_jax.data.reading import Policy
from gym_jax.data.words import listed, shown
from gym_jax.errors import DataError

MIXED = 0.9
"""A series is on another step when this share of its gaps is one other length, and hardly any is the common one."""


class Sorted(NamedTuple):
    """Rows by series and time."""

    codes: np.ndarray
    times: np.ndarray
    values: np.ndarray

    @property
    def same(self) -> np.ndarray:
        """Whether a row and the next are of one series."""
        return self.codes[1:] == self.codes[:-1]

    @property
    def starts(self) -> np.ndarray:
        """The first row of each series that is there."""
        return np.concatenate([[0], np.flatnonzero(~self.same) + 1])

    @property
    def gaps(self) -> np.ndarray:
        """The time from a row to the next, also across series."""
        return self.times[1:] - self.times[:-1]


def sort_rows(rows: Sorted, ids: Sequence[str], clock: Clock, policy: Policy, report: Report) -> Sorted:
    """Return the rows in the order of series and time; equal times keep the order of the data."""
    same, gaps = rows.same, rows.gaps
    back = (rows.codes[1:] < rows.codes[:-1]) | (same & (gaps < 0))
    count = int(back.sum())
    later = int(np.argmax(back)) + 1 if count else 0
    report.add(
        "unsorted",
        policy.unsorted,
        count,
        len(rows.times),
        "rows",
        error=DataError(
            f"{count:,} rows are not sorted by series and time, first series `{shown(ids[rows.codes[later]])}` "
            f"at {stamp_of(rows.times[later], clock)}",
            hint="the policy unsorted=error refuses them",
            attempt="gymjax train ... data.policy.unsorted=sort",
            code="data.unsorted",
        ),
        done="rows were not sorted by series and time: sorted",
    )
    if not count:
        return rows
    order = np.lexsort((rows.times, rows.codes))  # stable
    return Sorted(*(part[order] for part in rows))


def drop_duplicates(
    rows: Sorted,
    ids: Sequence[str],
    clock: Clock,
    policy: Policy,
    report: Report,
    *,
    rounded: bool = False,
    apart: Sequence[str] = (),
    alone: str | None = None,
) -> Sorted:
    """Return one row for each series and time, as the policy says; rows come sorted. `apart`, `alone`: `make_panel`."""
    again = rows.same & (rows.gaps == 0)
    count = int(again.sum())
    row = int(np.argmax(again)) if count else 0
    where = f"series `{shown(ids[rows.codes[row]])}` at {stamp_of(rows.times[row], clock)}"
    mixed = 2 * count >= len(rows.times) and not rounded  # two series or more have become one
    column = shlex.quote(apart[0]) if apart else "COLUMN"
    became = " once rounded to the step" if rounded else ""
    report.add(
        "duplicates",
        policy.duplicates,
        count,
        len(rows.times),
        "rows",
        error=DataError(
            f"{count:,} rows repeat the time of another row of their series{became}: {where}",
            hint=f"does `{shown(alone)}` tell them apart alone? "
            f"If not, write a column that joins it with {listed(apart)}; "
            "else keep one row per series and time (data.policy.duplicates=first, last or mean)"
            if apart and alone
            else f"no column was found that tells the series apart; is it one of these? {listed(apart)}"
            if mixed and apart
            else "keep one row per series and time (data.policy.duplicates=first, last or mean), "
            "or name the column that tells the series apart (data.id)",
            attempt="gymjax explain data.duplicates"
            if apart and alone
            else f"gymjax train ... {f'data.id={column}' if mixed else 'data.policy.duplicates=first'}",
            code="data.duplicates",
        ),
        done=f"{count:,} rows repeat the time of another row of their series{became}: "
        + {"first": "the first is kept", "last": "the last is kept", "mean": "their mean is taken"}.get(
            policy.duplicates, ""
        ),
    )
    if not count:
        return rows
    first = np.concatenate([[True], ~again])
    if policy.duplicates == "mean":
        starts = np.flatnonzero(first)
        seen = ~np.isnan(rows.values)
        totals = np.add.reduceat(np.where(seen, rows.values, 0.0), starts, axis=0)
        counts = np.add.reduceat(seen.astype(np.int64), starts, axis=0)
        means = np.where(counts > 0, totals / np.maximum(counts, 1), np.nan)
        return Sorted(rows.codes[first], rows.times[first], means)
    keep = np.concatenate([~again, [True]]) if policy.duplicates == "last" else first
    return Sorted(*(part[keep] for part in rows))


def refuse_span(times: np.ndarray, clock: Clock, report: Report) -> None:
    """Raise DataError when times lie so far apart that their difference has no place in 64 bits."""
    low, high = int(times.min()), int(times.max())
    if high - low >= 2**62:
        report.refuse(
            DataError(
                f"times reach from {stamp_of(low, clock)} to {stamp_of(high, clock)}",
                hint="one stray timestamp far from the others is the usual cause",
                code="data.sparse",
            )
        )
        report.settle()


def common_gap(rows: Sorted, clock: Clock, report: Report) -> int:
    """Return the most common time between two rows. Raises DataError when no series has two."""
    steps, counts = np.unique(rows.gaps[rows.same], return_counts=True)
    if not len(steps):
        report.refuse(
            DataError(
                "no series has two rows: the time step can not be told",
                hint="declare it; or is the column of the times, or of the series' ids, another one?",
                attempt=f"gymjax train ... data.step={'5min' if clock == 'ns' else '1'}",
                code="data.no_step",
            )
        )
        report.settle()
    return int(steps[np.argmax(counts)])


def keep_step(
    rows: Sorted,
    step: int,
    ids: Sequence[str],
    clock: Clock,
    policy: Policy,
    report: Report,
    *,
    declared: bool,
) -> Sorted:
    """Return rows whose times are all on the step of their series, counted from its first row."""
    starts = rows.starts
    first = np.repeat(rows.times[starts], np.diff(np.append(starts, len(rows.times))))
    off = (rows.times - first) % step != 0
    count, row = int(off.sum()), int(np.argmax(off))
    word = describe_span(step, clock)
    attempt = f"gymjax data resample FILE --step {word.split()[0] if clock == 'step' else word} --out REGULAR.parquet"
    message = (
        f"{count:,} of {len(rows.times):,} timestamps are off the regular step of {word}: "
        f"series `{shown(ids[rows.codes[row]])}` at {stamp_of(rows.times[row], clock)}"
    )
    hint = "every series needs one time step throughout: resample, or round to it with data.policy.irregular=round"
    if not count and not declared:
        other = _mixed(rows, starts, step)
        if other:
            worst, gap = other[0]
            count = len(other)
            message = (
                f"{count:,} of {len(starts):,} series {'has' if count == 1 else 'have'} another time step than {word}: "
                f"`{shown(ids[rows.codes[starts[worst]]])}` has {describe_span(gap, clock)}"
            )
            hint = "series that are read together need one time step: resample, or declare it with data.step"
    report.add(
        "irregular",
        policy.irregular,
        count,
        len(rows.times),
        "timestamps",
        error=DataError(message, hint=hint, attempt=attempt, code="data.irregular"),
        done=f"{message.partition(':')[0]}: {'rounded to it' if off.any() else 'read on that step'}",
    )
    if not off.any():
        return rows
    if policy.irregular == "error":
        report.settle()
    phase = np.repeat(_phases(rows, step), np.diff(np.append(starts, len(rows.times))))
    moved = rows._replace(times=(rows.times - phase + step // 2) // step * step + phase)
    return drop_duplicates(moved, ids, clock, policy, report, rounded=True)


def _phases(rows: Sorted, step: int) -> np.ndarray:
    """Return the most common remainder of each series' times, so that regular series stay where they are."""
    phases, place = np.unique(rows.times % step, return_inverse=True)
    pairs, often = np.unique(rows.codes * len(phases) + place, return_counts=True)
    order = np.lexsort((-often, pairs // len(phases)))
    _, first = np.unique(pairs[order] // len(phases), return_index=True)
    return phases[pairs[order][first] % len(phases)]


def _mixed(rows: Sorted, starts: np.ndarray, step: int) -> list[tuple[int, int]]:
    """Return the series (by their place in `starts`) that keep another step throughout, with that step."""
    gaps = np.append(rows.gaps, 0)
    gaps[np.append(starts[1:], len(gaps)) - 1] = 0  # the gap to the next series
    sizes = np.diff(np.append(starts, len(gaps))) - 1
    usual = np.add.reduceat((gaps == step).astype(np.int64), starts)
    out = []
    for i in np.flatnonzero((sizes >= 4) & (usual < (1 - MIXED) * sizes)):
        own = gaps[starts[i] : starts[i] + sizes[i]]
        lengths, counts = np.unique(own, return_counts=True)
        if counts.max() >= MIXED * sizes[i]:
            out.append((int(i), int(lengths[np.argmax(counts)])))
    return out
