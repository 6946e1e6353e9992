"""The scaler: fitted on train rows only, in float64, reversible."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from gym_jax.data.panel import Panel
from gym_jax.data.split import Span
from gym_jax.errors import DataError

ScaleKind = Literal["standard", "robust", "minmax", "none"]
Scope = Literal["series", "global"]
SMALLEST = 1e-12
"""A spread below this share of the middle is rounding, not variation: such a channel is only shifted."""
LEAST = float(np.nextafter(-1.0, 0.0))
"""The smallest number that has a log1p (-36.7); later values at or below -1 are taken as this one."""
CELLS = 1 << 20
"""Numbers worked on at once; bounds the memory, not the result."""


class Scaler(NamedTuple):
    """`scaled = (value - shift) / scale`, one row per series (one row in all when global), in the data's units.

    The first `log` channels are log1p'd before; their shift and scale are in units of the logarithm.

    >>> scaler = Scaler(shift=np.array([[10.0]]), scale=np.array([[2.0]]), shared=True)
    >>> scaled = scaler.transform(np.array([[8.0], [14.0]]), np.array([0, 1]))
    >>> scaled.tolist()
    [[-1.0], [2.0]]
    >>> scaler.restore(scaled[:, :, None], np.array([0, 1])).ravel().tolist()
    [8.0, 14.0]
    """

    shift: Float[np.ndarray, "series channels"]
    """What is taken off, in the data's units."""
    scale: Float[np.ndarray, "series channels"]
    """What is divided by, in the data's units."""
    shared: bool = False
    """Whether its one row serves every series."""
    log: int = 0
    """How many of the first channels are log1p'd."""

    def row(self, series: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        """Return the row of the scaler that each series uses."""
        return np.zeros_like(series) if self.shared else series

    def transform(
        self, values: Float[np.ndarray, "n channels"], series: Int[np.ndarray, " n"]
    ) -> Float[np.ndarray, "n channels"]:
        """Return scaled float32 values; the arithmetic is float64. A value without a log1p counts as `LEAST`."""
        row = self.row(series)
        scaled = values.copy()
        if self.log:
            scaled[:, : self.log] = np.log1p(np.maximum(scaled[:, : self.log], LEAST))
        scaled -= self.shift[row]
        scaled /= self.scale[row]
        return scaled.astype(np.float32)

    def restore(
        self, scaled: Float[np.ndarray, "n horizon targets *outputs"], series: Int[np.ndarray, " n"]
    ) -> Float[np.ndarray, "n horizon targets *outputs"]:
        """Return float64 values of the target channels in the data's units, infinite where a logarithm is too large.

        All outputs of a target, such as quantiles or the ends of intervals, alike.
        """
        shift, scale = self._of_targets(scaled, series)
        values = scaled.astype(np.float64) * scale + shift
        with np.errstate(over="ignore"):
            values[:, :, : self.log] = np.expm1(values[:, :, : self.log])
        return values

    def rescale(
        self, values: Float[np.ndarray, "n horizon targets outputs"], series: Int[np.ndarray, " n"]
    ) -> Float[np.ndarray, "n horizon targets outputs"]:
        """Return values of the target channels, each with several outputs, in scaled units, float64."""
        shift, scale = self._of_targets(values, series)
        values = values.astype(np.float64)
        values[:, :, : self.log] = np.log1p(np.maximum(values[:, :, : self.log], LEAST))
        return (values - shift) / scale

    def _of_targets(self, values: np.ndarray, series: Int[np.ndarray, " n"]) -> tuple[np.ndarray, np.ndarray]:
        """Return shift and scale of the target channels in the shape of values with so many axes behind them."""
        row, targets, behind = self.row(series), values.shape[2], (1,) * (values.ndim - 3)
        shift, scale = (part[row, :targets].reshape(len(row), 1, targets, *behind) for part in (self.shift, self.scale))
        return shift, scale

    def select(self, keep: Sequence[int] | Int[np.ndarray, " kept"]) -> "Scaler":
        """Return the scaler of the series at positions `keep`."""
        keep = np.asarray(keep)
        return self if self.shared else self._replace(shift=self.shift[keep], scale=self.scale[keep])

    def merge(self, series: Sequence[str], known: Sequence[str], fresh: "Scaler") -> "Scaler":
        """Return the scaler of `series`: its own rows for those among `known`, those of `fresh` for the others."""
        if self.shared:
            return self
        shift = rows_for(series, known, self.shift, fresh.shift)
        return self._replace(shift=shift, scale=rows_for(series, known, self.scale, fresh.scale))

    def to_json(self) -> dict[str, Any]:
        """Return plain lists; floats keep every bit."""
        return {"shift": self.shift.tolist(), "scale": self.scale.tolist(), "shared": self.shared, "log": self.log}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "Scaler":
        """Return the scaler that `to_json` wrote."""
        shift, scale = (np.array(document[key], np.float64) for key in ("shift", "scale"))
        return cls(shift, scale, bool(document["shared"]), int(document.get("log", 0)))


def fit_scaler(
    panel: Panel, span: Span, *, kind: ScaleKind = "standard", scope: Scope = "series", log1p: bool = False
) -> Scaler:
    """Fit on the observed values of `span` (train rows), in float64.

    `standard` is mean and population deviation; `robust` median and interquartile range, or the deviation where that
    range is 0; `minmax` minimum and range. A constant channel keeps scale 1, the panel's `unscaled` channels stay as
    they are, and a series with no observed value takes the global statistics. With `log1p` the targets are log1p'd
    first; raises DataError when one is not above -1.

    >>> scaler = fit_scaler(panel, split.train, kind="minmax")
    >>> bool((scaler.shift[0] == panel.values[split.train.begin[0] : split.train.end[0]].min(axis=0)).all())
    True
    """
    channels, log = len(panel.channels), panel.targets if log1p else 0
    shared = kind == "none" or scope == "global"
    groups = np.array([0, len(panel.values)]) if shared else panel.offsets
    shift, scale = np.zeros((len(groups) - 1, channels)), np.ones((len(groups) - 1, channels))
    inside = rows_inside(span, len(panel.values))
    for channel in range(log if kind == "none" else channels - panel.unscaled):
        values, offsets = observed(panel.values[:, channel], inside & panel.mask[:, channel], groups)
        if channel < log:
            values = logarithm(values, panel.channels[channel])
        if kind != "none" and len(values):
            blank = offsets[1:] == offsets[:-1]
            middle, spread = STATISTICS[kind](values, offsets)
            if blank.any():
                whole = STATISTICS[kind](values, np.array([0, len(values)]))
                middle, spread = np.where(blank, whole[0], middle), np.where(blank, whole[1], spread)
            shift[:, channel], scale[:, channel] = middle, spread
    return Scaler(shift, scale, shared, log)


def fit_columns(
    values: Float[np.ndarray, "rows columns"],
    mask: Bool[np.ndarray, "rows columns"],
    names: Sequence[str],
    *,
    kind: ScaleKind = "standard",
    log1p: bool = False,
) -> Scaler:
    """Fit one row for all rows, on the observed values of each column; else as `fit_scaler`."""
    shift, scale = np.zeros((1, len(names))), np.ones((1, len(names)))
    for column, name in enumerate(names):
        seen = values[mask[:, column], column]
        seen = logarithm(seen, name) if log1p else seen
        if kind != "none" and len(seen):
            middle, spread = STATISTICS[kind](seen, np.array([0, len(seen)]))
            shift[0, column], scale[0, column] = middle[0], spread[0]
    return Scaler(shift, scale, True, len(names) if log1p else 0)


def rows_inside(span: Span, rows: int) -> Bool[np.ndarray, " rows"]:
    """Return which flat rows lie in the span of their series."""
    change = np.zeros(rows + 1, np.int8)
    np.add.at(change, span.begin, 1)
    np.add.at(change, span.end, -1)
    return np.cumsum(change[:-1], dtype=np.int8) > 0


def rows_for(
    series: Sequence[str],
    known: Sequence[str],
    saved: Float[np.ndarray, "known channels"],
    fresh: Float[np.ndarray, "rows channels"],
) -> Float[np.ndarray, "series channels"]:
    """Return a row per series: the saved one of a series among `known`, the `fresh` one of any other."""
    place = {name: row for row, name in enumerate(known)}
    index = np.array([place.get(name, -1) for name in series])
    return np.where((index >= 0)[:, None], saved[np.maximum(index, 0)], fresh)


def row_chunks(
    offsets: Int[np.ndarray, " series_plus_one"], size: int = CELLS // 16
) -> Iterator[tuple[slice, Int[np.ndarray, " n"]]]:
    """Yield all flat rows in slices of at most `size`, with the series of each row."""
    for begin in range(0, int(offsets[-1]), size):
        end = min(begin + size, int(offsets[-1]))
        first, last = np.searchsorted(offsets, begin, "right") - 1, np.searchsorted(offsets, end)
        counts = np.diff(np.clip(offsets[first : last + 1], begin, end))
        yield slice(begin, end), np.repeat(np.arange(first, last), counts)


def grouped_quantile(
    values: Float[np.ndarray, " rows"],
    used: Bool[np.ndarray, " rows"],
    offsets: Int[np.ndarray, " groups_plus_one"],
    q: Sequence[float],
) -> Float[np.ndarray, "quantiles groups"]:
    """Return NumPy's linear quantiles of the used values of each group, NaN where a group has none."""
    return _quantiles(*observed(values, used, offsets), q)


def observed(
    values: Float[np.ndarray, " rows"],
    used: Bool[np.ndarray, " rows"],
    offsets: Int[np.ndarray, " groups_plus_one"],
) -> tuple[Float[np.ndarray, " used"], Int[np.ndarray, " groups_plus_one"]]:
    """Return the used values alone, and where the groups lie among them."""
    rows = np.flatnonzero(used)
    return values[rows], np.searchsorted(rows, offsets)


def logarithm(values: np.ndarray, name: str) -> np.ndarray:
    """Return log1p of train values of a target. Raises DataError where it is not defined."""
    if bad := int((values <= -1).sum()):
        raise DataError(
            f"log1p of `{name}` is not defined: {bad:,} of {len(values):,} train values are not above -1",
            hint="log1p suits counts and sizes, which are never negative; leave it off for this target",
            attempt="gymjax train ... data.scale.log1p=false",
            code="data.log1p",
        )
    return np.log1p(values)


def reduced(ufunc: np.ufunc, values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Reduce every group; an empty one is 0 (reduceat itself would give it the next group's first value)."""
    out, full = np.zeros(len(offsets) - 1), offsets[1:] > offsets[:-1]
    out[full] = ufunc.reduceat(values, offsets[:-1][full])
    return out


def without_rounding(spread: np.ndarray, middle: np.ndarray, otherwise: Any) -> np.ndarray:
    """Return spreads, `otherwise` where one is no more than rounding."""
    flat = spread <= SMALLEST * np.maximum(np.abs(middle), np.finfo(np.float64).tiny)
    return np.where(flat, otherwise, spread)


def _standard(values: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and population deviation in two passes: one pass loses the variance of bytes near 1e9."""
    counts = np.diff(offsets)
    safe = np.maximum(counts, 1)
    mean = reduced(np.add, values, offsets) / safe
    squares = np.repeat(mean, counts)
    np.subtract(values, squares, out=squares)
    squares *= squares
    return mean, without_rounding(np.sqrt(reduced(np.add, squares, offsets) / safe), mean, 1.0)


def _robust(values: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    low, median, high = _quantiles(values, offsets, (0.25, 0.5, 0.75))
    return median, without_rounding(high - low, median, _standard(values, offsets)[1])


def _minmax(values: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    low, high = reduced(np.minimum, values, offsets), reduced(np.maximum, values, offsets)
    return low, without_rounding(high - low, np.maximum(np.abs(low), np.abs(high)), 1.0)


STATISTICS: dict[str, Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]] = {
    "standard": _standard,
    "robust": _robust,
    "minmax": _minmax,
}


def _quantiles(values: np.ndarray, offsets: np.ndarray, q: Sequence[float]) -> np.ndarray:
    """Sort groups of alike size as the rows of one matrix: 50 times faster than one sort by group and value."""
    counts = np.diff(offsets)
    out = np.full((len(q), len(counts)), np.nan)
    size = np.ceil(np.log2(np.maximum(counts, 1))).astype(np.int64)
    for power in np.unique(size[counts > 0]):
        groups = np.flatnonzero((size == power) & (counts > 0))
        portion = max(1, CELLS >> int(power))
        for part in np.split(groups, range(portion, len(groups), portion)):
            last = counts[part] - 1
            column = np.arange(last.max() + 1)
            cells = np.minimum(offsets[part][:, None] + column, len(values) - 1)
            table = np.where(column <= last[:, None], values[cells], np.inf)
            table.sort(axis=1)
            for i, share in enumerate(q):
                place = last * share
                below = np.floor(place).astype(np.int64)
                t, rows = place - below, np.arange(len(part))
                a, b = table[rows, below], table[rows, np.minimum(below + 1, last)]
                out[i, part] = np.where(t < 0.5, a + (b - a) * t, b - (b - a) * (1 - t))
    return out
