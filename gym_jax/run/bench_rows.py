"""What a comparison is made of: the case that is measured, and the row that it becomes. Numbers in, numbers out."""

import statistics
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

OWN = "gym_jax"
"""The arm that is this library; the others are peers."""


class Case(NamedTuple):
    """One thing to measure: training steps of a model, by someone, somewhere."""

    by: str
    model: str
    batch_size: int
    dtype: str
    placement: str | None = None
    """None for peers, which place and compile as they do."""
    compile: str | None = None


class Ready(NamedTuple):
    """A case that can be timed."""

    call: Callable[[], object]
    """Trains `steps` steps and waits for them; the first call compiles."""
    steps: int
    devices: str = ""
    """Platform and number of its devices, such as `cpu:2`: names the peak that it is held against."""
    flops: int | None = None
    """Operations of the matrix products of one step; None when the arm does not count."""


class Bench(NamedTuple):
    """An arm, opened: what it measures, and how."""

    cases: Sequence[Case]
    facts: dict[str, Any]
    """About data and devices, as plain JSON."""
    prepare: Callable[[Case], Ready]
    gauge: Callable[[], Callable[[], int | None]]
    """Begins to watch memory; what it returns says by how many bytes the peak rose."""
    peaks: Callable[[], dict[str, float]]
    """Measures the sgemm peak of every set of devices in use, in FLOP/s."""


class Row(NamedTuple):
    """A case and what was seen; everything measured is None where there is a `fault`.

    A peer that is not installed has one row, without a case.
    """

    by: str
    model: str | None = None
    batch_size: int | None = None
    """Windows of one optimiser step."""
    dtype: str | None = None
    placement: str | None = None
    compile: str | None = None
    devices: str | None = None
    """Platform and number, such as `cpu:2`."""
    windows_per_second: float | None = None
    step_ms: float | None = None
    """Milliseconds of one optimiser step, the median of the repetitions."""
    spread: float | None = None
    """Width of the middle half of the repetitions, as a share of the median."""
    compile_seconds: float | None = None
    """What the first call took longer than a later one."""
    first_seconds: float | None = None
    """The first call: compilation and `steps` steps."""
    memory_bytes: int | None = None
    """How far the peak rose while it was built, compiled and run: resident memory, or that of a device."""
    steps: int | None = None
    """Optimiser steps of one call."""
    repetitions: int | None = None
    """Calls that were timed."""
    flops: int | None = None
    """Operations of the matrix products of one step, as our plain program counts them; peers are given the same."""
    flops_per_second: float | None = None
    peak_flops_per_second: float | None = None
    """The best square float32 product on the same devices, in the same run."""
    peak_share: float | None = None
    fault: str | None = None
    """Why there is nothing to see."""


def row_of(
    case: Case,
    *,
    times: Sequence[float],
    first: float,
    steps: int,
    devices: str | None = None,
    memory: int | None = None,
    flops: int | None = None,
    peak: float | None = None,
) -> Row:
    """Return the row of a case out of the seconds of its calls, each of `steps` steps, and of the first one."""
    call = statistics.median(times)
    rate = None if not flops else flops * steps / call
    return Row(
        *case,
        devices=devices,
        windows_per_second=case.batch_size * steps / call,
        step_ms=1e3 * call / steps,
        spread=spread(times),
        compile_seconds=max(0.0, first - call),
        first_seconds=first,
        memory_bytes=memory,
        steps=steps,
        repetitions=len(times),
        flops=flops,
        flops_per_second=rate,
        peak_flops_per_second=peak,
        peak_share=rate / peak if rate and peak else None,
    )


def spread(times: Sequence[float]) -> float:
    """Return the distance of the quartiles as a share of the median; 0 of a single time."""
    if len(times) < 2:
        return 0.0
    low, middle, high = statistics.quantiles(times, n=4, method="inclusive")
    return (high - low) / middle


def repetitions(call: Callable[[], object], seconds: float, clock: Callable[[], float]) -> list[float]:
    """Return the seconds of each call until `seconds` have passed, at least one."""
    out: list[float] = []
    begin = now = clock()
    while not out or now - begin < seconds:
        last = now
        call()
        now = clock()
        out.append(now - last)
    return out
