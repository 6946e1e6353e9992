"""How one process measures itself, and the one line of JSON that it prints."""

import json
import os
import re
import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from scenarios import Scenario

LEAST, SECONDS = 5, 1.0
"""Repetitions and seconds that a measurement takes at least."""


def cores() -> int:
    """Return the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def timed(run: Callable[..., Any], *args: Any) -> float:
    """Return the seconds of one call."""
    began = time.perf_counter()
    run(*args)
    return time.perf_counter() - began


def repeat(run: Callable[[Any], Any], orders: Iterable[Any], *, quick: bool = False) -> list[float]:
    """Return the seconds of each repetition behind one that warms up; orders are made while no clock runs."""
    times: list[float] = []
    rest = iter(orders)
    run(next(rest))
    for order in rest:
        times.append(timed(run, order))
        if enough(times, quick):
            break
    return times


def enough(times: list[float], quick: bool = False) -> bool:
    """Return whether these repetitions are a measurement."""
    return len(times) >= (2 if quick else LEAST) and sum(times) >= (0 if quick else SECONDS)


def status(word: str) -> int:
    """Return a number out of the kernel's facts about this process; `ru_maxrss` would begin with the parent's."""
    found = re.search(rf"{word}:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found
    return int(found[1])


def peak_mb() -> float:
    """Return the most memory that this process has held."""
    return status("VmHWM") / 1e3


def report(
    scenario: Scenario,
    arm: str,
    *,
    imported: float,
    first: float,
    times: list[float],
    losses: list[float],
    peak: float | None = None,
) -> None:
    """Print what an arm found."""
    facts = {
        "scenario": scenario.name,
        "arm": arm,
        "import_seconds": imported,
        "first_seconds": first,
        "ms_per_step": 1e3 * statistics.median(times) / scenario.steps,
        "fastest_ms": 1e3 * min(times) / scenario.steps,
        "repetitions": len(times),
        "steps": scenario.steps,
        "peak_mb": peak or peak_mb(),
        "cores": cores(),
        "threads": status("Threads"),
        "losses": losses,
    }
    print(json.dumps(facts), flush=True)
