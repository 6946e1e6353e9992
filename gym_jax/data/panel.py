"""A panel: many series on one regular time step, of different length and span, with gaps as a mask."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from gym_jax.errors import DataError

Clock = Literal["ns", "step"]
"""`ns`: times are nanoseconds since 1970; `step`: times are plain counts."""
LARGEST_GRID = 50
"""A grid with more than this many slots per row read is a stray timestamp, not a gap."""


@dataclass(frozen=True)
class Panel:
    """Series laid end to end in flat arrays; row `offsets[i] + k` is series `i` at `first[i] + k * step`.

    Values are float64 in the data's own units and 0 where `mask` is False; targets are the first channels.
    """

    series: tuple[str, ...]
    channels: tuple[str, ...]
    targets: int
    values: Float[np.ndarray, "rows channels"]
    mask: Bool[np.ndarray, "rows channels"]
    offsets: Int[np.ndarray, " series_plus_one"]
    first: Int[np.ndarray, " series"]
    step: int
    clock: Clock = "ns"
    zone: str | None = None
    id_name: str = "unique_id"
    time_name: str = "ds"
    known: int = 0
    """How many of the last channels are known ahead of time: models see their future too."""
    static: Float[np.ndarray, "series features"] | None = None
    categories: Int[np.ndarray, "series kinds"] | None = None
    notes: tuple[str, ...] = field(default=())
    """What was repaired or assumed while reading, a sentence each."""

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
        if self.clock == "step":
            return f"{self.step} step" if self.step == 1 else f"{self.step} steps"
        for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
            if self.step % (size * 10**9) == 0:
                return f"{self.step // (size * 10**9)}{unit}"
        return f"{self.step}ns"

    def season(self) -> int:
        """Return the natural season in steps: a day, or a week for daily data, or 1."""
        if self.clock == "step":
            return 1
        day, week = 86_400 * 10**9, 7 * 86_400 * 10**9
        return next((whole // self.step for whole in (day, week) if self.step < whole and whole % self.step == 0), 1)


def make_panel(
    codes: Int[np.ndarray, " rows"],
    ids: Sequence[str],
    times: Int[np.ndarray, " rows"],
    values: Float[np.ndarray, "rows channels"],
    **facts: Any,
) -> Panel:
    """Lay rows in any order on a regular grid.

    `codes` is the position of each row's series in `ids`; `times` are nanoseconds or counts; NaN means missing.
    Raises DataError on duplicate times, on times off the grid, and on infinite or wholly missing values.
    """
    notes = list(facts.pop("notes", ()))
    channels, targets = facts["channels"], facts["targets"]
    clock = facts.get("clock", "ns")
    if not len(times):
        raise DataError("the data hold no rows", hint="the file has a header at most", code="data.empty")
    same = codes[1:] == codes[:-1]
    gaps = times[1:] - times[:-1]
    if (codes[1:] < codes[:-1]).any() or (gaps[same] < 0).any():
        order = np.lexsort((times, codes))
        notes.append("rows were not sorted by series and time: sorted")
        codes, times, values = codes[order], times[order], values[order]
        same, gaps = codes[1:] == codes[:-1], times[1:] - times[:-1]
    _refuse_duplicates(codes, ids, times, same & (gaps == 0), clock)
    _refuse_infinite(codes, ids, times, values, channels, clock)

    steps, counts = np.unique(gaps[same], return_counts=True)
    step = int(steps[np.argmax(counts)]) if len(steps) else 1
    starts = np.concatenate([[0], np.flatnonzero(~same) + 1])
    present = codes[starts]
    first = times[starts]
    since = times - np.repeat(first, np.diff(np.append(starts, len(times))))
    off = since % step != 0
    if off.any():
        row = int(np.flatnonzero(off)[0])
        raise DataError(
            f"{off.sum():,} of {len(times):,} timestamps are off the regular step of "
            f"{_span(step, clock)}: series `{ids[codes[row]]}` at {_stamp(times[row], clock)}",
            hint="every series needs one time step throughout; round or resample the times first",
            attempt="pandas: df.groupby(id).resample(step, on=time).mean()",
            code="data.irregular",
        )
    position = since // step
    lengths = position[np.append(starts[1:], len(times)) - 1] + 1
    if lengths.sum() > LARGEST_GRID * len(times) + 1000:
        worst = int(np.argmax(lengths))
        raise DataError(
            f"series `{ids[present[worst]]}` spans {lengths[worst]:,} steps of {_span(step, clock)} "
            f"from {_stamp(first[worst], clock)}, but the data hold {len(times):,} rows in all",
            hint="one stray timestamp far from the others is the usual cause",
            code="data.sparse",
        )
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    rows = position + np.repeat(offsets[:-1], np.diff(np.append(starts, len(times))))
    observed = ~np.isnan(values)
    grid = np.zeros((offsets[-1], values.shape[1]), np.float64)
    mask = np.zeros(grid.shape, bool)
    grid[rows] = np.where(observed, values, 0.0)
    mask[rows] = observed
    if missing := int(grid.shape[0] - len(times)):
        notes.append(f"{missing:,} of {grid.shape[0]:,} time slots are missing: masked")
    if blank := int((~observed[:, :targets]).sum()):
        notes.append(f"{blank:,} target values are missing (NaN): masked")
    for channel in range(targets):
        if not observed[:, channel].any():
            raise DataError(
                f"target `{channels[channel]}` has no value in any row",
                hint="every value is missing",
                code="data.blank",
            )
    return Panel(
        series=tuple(str(ids[code]) for code in present),
        values=grid,
        mask=mask,
        offsets=offsets,
        first=first.astype(np.int64),
        step=step,
        notes=tuple(notes),
        **facts,
    )


def _refuse_duplicates(codes: np.ndarray, ids: Sequence[str], times: np.ndarray, again: np.ndarray, clock: str) -> None:
    if again.any():
        row = int(np.flatnonzero(again)[0])
        raise DataError(
            f"{again.sum():,} rows repeat the time of another row of their series: "
            f"series `{ids[codes[row]]}` at {_stamp(times[row], clock)}",
            hint="keep one row per series and time, or name the column that tells the series apart",
            attempt="gymjax train ... data.id=COLUMN",
            code="data.duplicates",
        )


def _refuse_infinite(
    codes: np.ndarray,
    ids: Sequence[str],
    times: np.ndarray,
    values: np.ndarray,
    channels: Sequence[str],
    clock: str,
) -> None:
    infinite = np.isinf(values)
    if infinite.any():
        row, channel = (int(i[0]) for i in np.nonzero(infinite))
        raise DataError(
            f"{infinite.sum():,} values are infinite: `{channels[channel]}` of series `{ids[codes[row]]}` "
            f"at {_stamp(times[row], clock)}",
            hint="write missing values as empty cells or NaN: they are masked",
            code="data.infinite",
        )


def _stamp(time: int, clock: str) -> str:
    return str(np.datetime64(int(time), "ns"))[:19] if clock == "ns" else str(time)


def _span(step: int, clock: str) -> str:
    return f"{step / 1e9:g} s" if clock == "ns" else f"{step} steps"
