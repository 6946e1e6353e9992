"""Rows in any order to a Panel on a regular grid, judged on the way."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from gym_jax.data.findings import Report
from gym_jax.data.judge import judge_values
from gym_jax.data.panel import Clock, Panel, describe_span, stamp_of
from gym_jax.data.reading import Policy, Resample
from gym_jax.data.regular import Sorted, common_gap, drop_duplicates, keep_step, refuse_span, sort_rows
from gym_jax.data.resample import parse_step, resample_rows
from gym_jax.data.words import listed, shown
from gym_jax.errors import DataError

LARGEST_GRID = 50
"""A grid with more than this many slots per row read is a stray timestamp, not a gap."""


def make_panel(
    codes: Int[np.ndarray, " rows"],
    ids: Sequence[str],
    times: Int[np.ndarray, " rows"],
    values: Float[np.ndarray, "rows channels"],
    *,
    channels: Sequence[str],
    targets: int,
    policy: Policy | None = None,
    step: str | None = None,
    resample: Resample | None = None,
    partial: bool = False,
    apart: Sequence[str] = (),
    alone: str | None = None,
    usage: Sequence[str] | Mapping[str, Bool[np.ndarray, " rows"] | bool] = (),
    capacity: Mapping[str, Float[np.ndarray, " rows"] | float] | None = None,
    **facts: Any,
) -> Panel:
    """Lay rows in any order on a regular grid; `facts` are further fields of Panel, static ones a row per id.

    `codes` is the position of each row's series in `ids`; `times` are nanoseconds, or counts with `clock="step"`; NaN
    means missing. `channels` names the columns of `values`, of which the first `targets` are forecast.
    `step` declares the time step. Rows are `partial` when there are more elsewhere: a column may then be blank here.
    `apart` names columns that may tell series apart and were not read, `alone` the one that was, for the error of a
    time that is there twice. Raises DataError with everything that the policy refuses.

    >>> made = make_panel(
    ...     np.array([0, 0, 0]), ["web"], np.array([0, 1, 3]), np.array([[1.0], [2.0], [4.0]]),
    ...     channels=("load",), targets=1, clock="step",
    ... )
    >>> made.values.ravel().tolist(), made.mask.ravel().tolist()
    ([1.0, 2.0, 0.0, 4.0], [True, True, False, True])
    """
    policy, report = policy or Policy(), Report()
    facts |= {"channels": tuple(channels), "targets": targets}
    clock = facts.get("clock", "ns")
    if not len(times):
        raise DataError("the data hold no rows", hint="the file has a header at most", code="data.empty")

    def place(row: int) -> str:
        return f"series `{shown(ids[codes[row]])}` at {stamp_of(times[row], clock)}"

    values = judge_values(
        values, place, report, channels=channels, targets=targets, policy=policy, usage=usage, capacity=capacity
    )
    refuse_span(times, clock, report)
    rows = sort_rows(Sorted(codes, times, values), ids, clock, policy, report)
    rows = drop_duplicates(rows, ids, clock, policy, report, apart=apart, alone=alone)
    declared = step
    if resample is not None and resample.step is not None:
        size, declared = parse_step(resample.step, clock), step or resample.step
        rows = Sorted(*resample_rows(*rows, size, resample.aggregate))
        done = f"rows are resampled to {describe_span(size, clock)} ({resample.aggregate})"
        facts["notes"] = (*facts.get("notes", ()), done)
    size = parse_step(declared, clock) if declared is not None else common_gap(rows, clock, report)
    rows = keep_step(rows, size, ids, clock, policy, report, declared=declared is not None)
    panel = _lay(rows, size, ids, clock, policy, report, facts)
    report.settle()
    panel = _without_blank(panel, policy, report, partial)
    report.settle()
    notes = (*facts.get("notes", ()), *report.notes)
    return panel.with_findings(notes, tuple(report.findings))


def _lay(
    rows: Sorted,
    step: int,
    ids: Sequence[str],
    clock: Clock,
    policy: Policy,
    report: Report,
    facts: dict[str, Any],
) -> Panel:
    starts = rows.starts
    counts = np.diff(np.append(starts, len(rows.times)))
    first, present = rows.times[starts], rows.codes[starts]
    position = (rows.times - np.repeat(first, counts)) // step
    lengths = position[np.append(starts[1:], len(rows.times)) - 1] + 1
    slots = sum(lengths.tolist())
    if slots > LARGEST_GRID * len(rows.times) + 1000:
        worst = int(np.argmax(lengths))
        report.refuse(
            DataError(
                f"series `{shown(ids[present[worst]])}` spans {lengths[worst]:,} steps of {describe_span(step, clock)} "
                f"from {stamp_of(first[worst], clock)}, but the data hold {len(rows.times):,} rows in all",
                hint="one stray timestamp far from the others is the usual cause, or a step that is too short",
                code="data.sparse",
            )
        )
        report.settle()
    thin = np.flatnonzero(lengths > LARGEST_GRID * counts + 1000)
    if len(thin):
        worst = int(thin[np.argmax(lengths[thin] / counts[thin])])
        facts["notes"] = (
            *facts.get("notes", ()),
            f"{len(thin):,} series have less than a row in {LARGEST_GRID} steps, such as "
            f"`{shown(ids[present[worst]])}`: {counts[worst]:,} in {lengths[worst]:,}",
        )
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    missing = slots - len(rows.times)
    wide = np.flatnonzero(rows.same & (rows.gaps > step))
    first_gap = int(wide[0]) if len(wide) else 0
    report.add(
        "gaps",
        policy.gaps,
        missing,
        slots,
        "time slots",
        error=DataError(
            f"{missing:,} of {slots:,} time slots are missing: series `{shown(ids[rows.codes[first_gap]])}` "
            f"after {stamp_of(rows.times[first_gap], clock)}",
            hint="the policy gaps=error refuses them",
            attempt="gymjax train ... data.policy.gaps=mask",
            code="data.gaps",
        ),
        done=f"{missing:,} of {slots:,} time slots are missing: masked",
    )
    seen = ~np.isnan(rows.values)
    if missing:
        grid = np.zeros((slots, rows.values.shape[1]), np.float64)
        mask = np.zeros(grid.shape, bool)
        at = position + np.repeat(offsets[:-1], counts)
        grid[at], mask[at] = rows.values, seen
        grid[~mask] = 0.0
    else:
        grid, mask = np.where(seen, rows.values, 0.0), seen
    for name in ("static", "categories"):
        if facts.get(name) is not None:
            facts[name] = facts[name][present]
    return Panel(
        series=tuple(ids[i] for i in present), values=grid, mask=mask, offsets=offsets, first=first, step=step, **facts
    )


def _without_blank(panel: Panel, policy: Policy, report: Report, partial: bool) -> Panel:
    """Return the panel without columns and series that hold no value, where the policy drops them."""
    columns = [c for c in range(len(panel.channels)) if not partial and not panel.mask[:, c].any()]
    for c in columns:
        if c < panel.targets:
            report.refuse(
                DataError(
                    f"target `{shown(panel.channels[c])}` has no value in any row",
                    hint="every value is missing",
                    code="data.blank",
                )
            )
    seen = panel.seen()
    series = np.flatnonzero(seen[panel.offsets[1:]] == seen[panel.offsets[:-1]])
    blank = [c for c in columns if c >= panel.targets]
    every = len(series) == len(panel.series)
    names = [f"column `{shown(panel.channels[c])}`" for c in blank]
    names += [] if every and not partial else [f"series `{shown(panel.series[i])}`" for i in series]
    count, some = len(names), listed(names)
    report.add(
        "blank",
        policy.blank,
        count,
        len(panel.series) + (0 if partial else len(panel.channels)),
        "series and columns",
        error=DataError(
            f"{some} {'has' if count == 1 else 'have'} no value in any row",
            hint="leave them out, or let data.policy.blank=drop do it",
            attempt="gymjax train ... data.policy.blank=drop",
            code="data.blank",
        ),
        done=f"{some} {'has' if count == 1 else 'have'} no value in any row: dropped",
    )
    if not count or policy.blank == "error":
        return panel
    kept = panel.without_channels(blank) if blank else panel
    return kept.select(np.setdiff1d(np.arange(len(panel.series)), series)) if len(series) and not every else kept
