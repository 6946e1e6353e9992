"""A panel: many series on one regular time step, of different length and span, with gaps as a mask."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from gym_jax.data.findings import Finding
from gym_jax.data.words import shown
from gym_jax.errors import DataError

Clock = Literal["ns", "step"]
"""`ns`: times are nanoseconds since 1970; `step`: times are plain counts."""


@dataclass(frozen=True, repr=False)
class Panel:
    """Series laid end to end in flat arrays; row `offsets[i] + k` is series `i` at `first[i] + k * step`.

    Values are float64 in the data's own units and 0 where `mask` is False; targets are the first channels.

    >>> panel.series, panel.channels, panel.describe_step()
    (('vm-000', 'vm-001'), ('cpu_cores',), '5min')
    >>> panel.values.shape, panel.offsets.tolist()
    ((1152, 1), [0, 576, 1152])
    >>> panel.select([1]).lengths.tolist()
    [576]
    >>> panel.times(np.array([1]), panel.offsets[[1]]).astype(str).tolist()
    ['2026-01-05T00:00:00.000000000']
    """

    series: tuple[str, ...]
    """The ids, in the order of their rows."""
    channels: tuple[str, ...]
    """The names of the columns: targets, then further pasts, then what is known ahead."""
    targets: int
    """How many of the first channels are forecast."""
    values: Float[np.ndarray, "rows channels"]
    """0 where nothing was observed."""
    mask: Bool[np.ndarray, "rows channels"]
    """True where a value was observed."""
    offsets: Int[np.ndarray, " series_plus_one"]
    """Series `i` is rows `offsets[i]` to `offsets[i + 1]`."""
    first: Int[np.ndarray, " series"]
    """The time of each series' first row, in nanoseconds since 1970 UTC or in counts, as `clock` says."""
    step: int
    """From a row to the next, in the same units."""
    clock: Clock = "ns"
    """`ns`: times are nanoseconds; `step`: they are counts."""
    zone: str | None = None
    """The time zone in which times are written; None when the data carried none."""
    id_name: str = "unique_id"
    """What the ids are called in tables of forecasts."""
    time_name: str = "ds"
    """What the times are called there."""
    known: int = 0
    """How many of the last channels are known ahead of time: models see their future too."""
    unscaled: int = 0
    """How many of the last channels are between -1 and 1 by nature (calendar) and stay as they are."""
    static: Float[np.ndarray, "series features"] | None = None
    """Numbers that belong to a series as a whole, in their own units; NaN where missing."""
    static_names: tuple[str, ...] = ()
    """The names of the static numbers."""
    categories: Shaped[np.ndarray, "series kinds"] | None = None
    """Words that belong to a series as a whole (dtype object, str); the empty word where missing."""
    category_names: tuple[str, ...] = ()
    """The names of the kinds of words."""
    calendar_zone: str | None = None
    """The zone whose clock the calendar follows; None takes the times as they are."""
    notes: tuple[str, ...] = field(default=())
    """What was repaired or assumed while reading, a sentence each."""
    findings: tuple[Finding, ...] = ()
    """What reading looked for, with its counts."""

    def __repr__(self) -> str:
        """Return what a session shows: no values."""
        size = f"{len(self.series):,} series, {len(self.values):,} rows of {self.describe_step()}"
        return f"<Panel: {size}, channels {', '.join(self.channels)}; {self.targets} to forecast>"

    @property
    def lengths(self) -> Int[np.ndarray, " series"]:
        """Rows per series, gaps included."""
        return np.diff(self.offsets)

    def stamps(self, series: Int[np.ndarray, " n"], rows: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        """Return the times of flat `rows` (they may lie past the end) of `series`, in nanoseconds or counts."""
        return self.first[series] + (rows - self.offsets[series]) * self.step

    def times(self, series: Int[np.ndarray, " n"], rows: Int[np.ndarray, " n"]) -> np.ndarray:
        """Return `stamps` as datetime64[ns], or as they are when they are counts."""
        stamps = self.stamps(series, rows)
        return stamps.astype("datetime64[ns]") if self.clock == "ns" else stamps

    def seen(self) -> Int[np.ndarray, " rows_plus_one"]:
        """Return how many rows before each row hold an observed target: `seen[b] - seen[a]` of rows a to b."""
        return np.concatenate([[0], np.cumsum(self.mask[:, : self.targets].any(axis=1))])

    def with_note(self, note: str) -> "Panel":
        """Return the panel with one more note."""
        return replace(self, notes=(*self.notes, note))

    def with_findings(self, notes: Sequence[str], findings: Sequence[Finding]) -> "Panel":
        """Return the panel with what reading found."""
        return replace(self, notes=tuple(dict.fromkeys(notes)), findings=tuple(findings))

    def without_channels(self, drop: Sequence[int]) -> "Panel":
        """Return the panel without the channels at positions `drop`."""
        keep = [c for c in range(len(self.channels)) if c not in drop]
        known = len(self.channels) - self.known
        return replace(
            self,
            channels=tuple(self.channels[c] for c in keep),
            targets=sum(c < self.targets for c in keep),
            values=self.values[:, keep],
            mask=self.mask[:, keep],
            known=sum(c >= known for c in keep),
        )

    def select(self, keep: Sequence[int] | Int[np.ndarray, " kept"]) -> "Panel":
        """Return the panel of the series at positions `keep`."""
        keep = np.asarray(keep)
        spans = [slice(self.offsets[i], self.offsets[i + 1]) for i in keep]
        return replace(
            self,
            series=tuple(self.series[i] for i in keep),
            values=np.concatenate([self.values[s] for s in spans]),
            mask=np.concatenate([self.mask[s] for s in spans]),
            offsets=np.concatenate([[0], np.cumsum(self.lengths[keep])]),
            first=self.first[keep],
            static=None if self.static is None else self.static[keep],
            categories=None if self.categories is None else self.categories[keep],
        )

    def describe_step(self) -> str:
        """Return the time step in words, such as `5min`."""
        return describe_span(self.step, self.clock)

    def season(self) -> int:
        """Return the natural season in steps: a day, or a week for daily data, or 1."""
        if self.clock == "step":
            return 1
        day, week = 86_400 * 10**9, 7 * 86_400 * 10**9
        return next((whole // self.step for whole in (day, week) if self.step < whole and whole % self.step == 0), 1)


def join_panels(panels: Sequence[Panel]) -> Panel:
    """Return panels with different series and the same columns as one; the rest is as in the first."""
    first = panels[0]

    def all_of(name: str) -> np.ndarray | None:
        parts = [getattr(panel, name) for panel in panels]
        return None if parts[0] is None else np.concatenate(parts)

    arrays: dict[str, Any] = {name: all_of(name) for name in ("values", "mask", "first", "static", "categories")}
    lengths = np.concatenate([panel.lengths for panel in panels])
    names = tuple(name for panel in panels for name in panel.series)
    return replace(first, series=names, offsets=np.concatenate([[0], np.cumsum(lengths)]), **arrays)


def refuse_other_step(first: Panel, other: Panel, command: str) -> None:
    """Raise DataError when two panels of the same data do not count time alike; `command` is whose step may be said."""
    if (other.step, other.clock, other.zone) != (first.step, first.clock, first.zone):
        raise DataError(
            f"series `{shown(other.series[0])}` and others have a step of {other.describe_step()}, "
            f"those before it one of {first.describe_step()}",
            hint="series that are read together need one time step: declare it, or resample",
            attempt=f"{command} ... data.step={first.describe_step().split()[0]}",
            code="data.irregular",
        )


def describe_span(step: int, clock: Clock) -> str:
    """Return a time step in words, such as `5min`."""
    if clock == "step":
        return f"{step} step" if step == 1 else f"{step} steps"
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        if step % (size * 10**9) == 0:
            return f"{step // (size * 10**9)}{unit}"
    return f"{step}ns"


def stamp_of(time: int | np.integer, clock: Clock) -> str:
    """Return a time as it stands in messages: to the second, or the count."""
    return str(np.datetime64(int(time), "ns"))[:19] if clock == "ns" else str(time)
