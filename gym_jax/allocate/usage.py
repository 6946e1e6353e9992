"""What was used: one workload's series of a resource, with gaps, and the request it ran under."""

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from gym_jax.data.panel import Panel
from gym_jax.errors import DataError

Resource = Literal["cpu", "memory", "disk"]
"""cpu may be throttled and is judged by percentiles; memory and disk must hold their peak."""

SECOND = 10**9
HOUR, DAY, WEEK = 3_600 * SECOND, 86_400 * SECOND, 7 * 86_400 * SECOND
"""Nanoseconds."""


class Workload(NamedTuple):
    """One container, pod or machine; `usage` is NaN where nothing was measured, at `first + k * step` nanoseconds.

    >>> web.per_hour, web.row(90 * 60 * 10**9)
    (1, 2)
    """

    name: str
    """As recommendations name it."""
    usage: Float[np.ndarray, " steps"]
    """In cores or bytes, as the data have it."""
    first: int
    """The time of the first step, in nanoseconds since 1970 UTC."""
    step: int
    """Nanoseconds from a step to the next; an hour is a whole number of them."""
    request: Float[np.ndarray, " steps"] | None = None
    """What it was given at the time, where that is known."""

    @property
    def per_hour(self) -> int:
        """Steps of an hour."""
        return HOUR // self.step

    def row(self, time: int) -> int:
        """Return the first step at or after a time."""
        return -((self.first - time) // self.step)


def workloads(panel: Panel, channel: str | None = None, request: str | None = None) -> list[Workload]:
    """Return every series of a panel as a workload; `channel` is the first target when None.

    Raises DataError when the times are counts, an hour is no whole number of steps, a channel is unknown, or a usage is
    below 0.

    >>> panel = gym_jax.data.generate_panel(series=2, days=1, gaps=0)
    >>> [(one.name, one.usage.shape) for one in workloads(panel)]
    [('vm-000', (288,)), ('vm-001', (288,))]
    """
    if panel.clock != "ns" or panel.step > HOUR or HOUR % panel.step:
        raise DataError(
            f"an allocation is decided by the hour, the data have a step of {panel.describe_step()}",
            hint="give times, in steps of which an hour is a whole number: 1min, 5min, 15min, 1h",
            attempt="gymjax allocate simulate DATA data.resample.step=5min",
            code="allocate.step",
        )
    of = {name: place for place, name in enumerate(panel.channels)}
    if unknown := [name for name in (channel, request) if name is not None and name not in of]:
        raise DataError(
            f"no column `{unknown[0]}`",
            hint=f"there are {', '.join(panel.channels)}",
            code="data.unknown_column",
        )
    place = 0 if channel is None else of[channel]
    values = np.where(panel.mask[:, place], panel.values[:, place], np.nan)
    if (values < 0).any():
        raise DataError(
            f"`{panel.channels[place]}` is below 0 in {int((values < 0).sum()):,} rows: that is no usage",
            hint="name the column that holds what was used",
            attempt="gymjax allocate simulate DATA --target COLUMN",
            code="allocate.negative",
        )
    given = None
    if request is not None:
        given = np.where(panel.mask[:, of[request]], panel.values[:, of[request]], np.nan)
    spans = [slice(a, b) for a, b in zip(panel.offsets[:-1], panel.offsets[1:], strict=True)]
    return [
        Workload(name, values[span], int(first), panel.step, None if given is None else given[span])
        for name, span, first in zip(panel.series, spans, panel.first, strict=True)
    ]
