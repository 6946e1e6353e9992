"""From the rows of series to what a network reads: the same numbers as in training, made by the same functions."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from gym_jax.data.cases import Cases
from gym_jax.data.clip import Bounds
from gym_jax.data.features import extend
from gym_jax.data.impute import ImputeKind, fill_seasonal
from gym_jax.data.learn import with_room
from gym_jax.data.panel import Panel
from gym_jax.data.preprocess import Fitted, fit, make_channels
from gym_jax.data.scale import rows_inside
from gym_jax.data.split import Span, split_panel
from gym_jax.inference.faults import refuse_faults
from gym_jax.inference.spec import Spec


class Series(NamedTuple):
    """One series, or case, that is asked, in the data's units.

    >>> Series("vm-000", values=np.array([[0.2], [np.nan], [0.3]]), last=np.datetime64("2026-01-01T00:10")).values.shape
    (3, 1)
    """

    id: str | None
    """One of the training has its own scale and calibration; any other is scaled by the rows it brings."""
    values: Float[np.ndarray, "rows channels"]
    """Of `spec.channels`; NaN where nothing was observed."""
    last: np.datetime64 | int | None = None
    """When its last row was, in UTC where the data had a zone; needed where `spec.needs_times`, else for answers."""
    future: Float[np.ndarray, "horizon known"] | None = None
    """Of `spec.known`, the rows behind the last."""
    static: Mapping[str, float | str | None] = {}
    """Of `spec.static` and `spec.categories`; what is not there is missing."""


class Window(NamedTuple):
    """What a network reads: scaled, with the batch in front; what a model does not have is None.

    >>> Window(np.zeros((2, 12, 1), np.float32), np.ones((2, 12, 1), bool)).size
    2
    """

    past: Float[np.ndarray, "batch look_back channels"]
    """0 where nothing was observed."""
    mask: Bool[np.ndarray, "batch look_back channels"]
    """True where a value was observed."""
    future: Float[np.ndarray, "batch steps known"] | None = None
    """What is known ahead of time."""
    static: Float[np.ndarray, "batch features"] | None = None
    """Numbers of a series as a whole."""
    categories: Int[np.ndarray, "batch kinds"] | None = None
    """The place of each word in its vocabulary; 0 is unseen or missing."""

    @property
    def size(self) -> int:
        """How many windows these are."""
        return len(self.past)


def prepare(spec: Spec, series: Sequence[Series]) -> Window:
    """Return the windows that begin behind the last row of each series, float32.

    Raises DataError that names series, column and row of everything that is wrong.
    """
    refuse_faults(spec, series)
    return make_window(spec, series)


def make_window(spec: Spec, series: Sequence[Series], fitted: Fitted | None = None) -> Window:
    """Return what `prepare` does of series that nothing is wrong with; `fitted` is what `fitted_for` says of them."""
    if spec.task != "forecast":
        return _of_cases(spec, series)
    return _of_series(spec, series, fitted_for(spec, series) if fitted is None else fitted)


def recent(spec: Spec, one: Series) -> Series:
    """Return a series without rows that have no say; one that the training did not know is scaled by all of its own."""
    fitted = spec.fitted
    known = one.id in spec.places or (fitted is not None and fitted.scaler.shared and fitted.bounds is None)
    return one._replace(values=one.values[-spec.rows_wanted :]) if known and spec.rows_wanted else one


def join(windows: Sequence[Window]) -> Window:
    """Return windows one behind the other.

    >>> one = Window(np.zeros((2, 12, 1), np.float32), np.ones((2, 12, 1), bool))
    >>> join([one, one, one]).size
    6
    """
    joined = [None if parts[0] is None else np.concatenate(parts) for parts in zip(*windows, strict=True)]
    return Window(*joined)  # type: ignore[arg-type]


def pad(window: Window, size: int) -> Window:
    """Return so many windows: the first is repeated behind them.

    >>> pad(Window(np.zeros((2, 12, 1), np.float32), np.ones((2, 12, 1), bool)), 8).past.shape
    (8, 12, 1)
    """
    return chosen(window, np.append(np.arange(window.size), np.zeros(size - window.size, np.int64)))


def chosen(window: Window, places: Int[np.ndarray, " n"]) -> Window:
    """Return the windows at some places."""
    return Window(*(None if part is None else part[places] for part in window))  # type: ignore[arg-type]


def fitted_for(spec: Spec, series: Sequence[Series]) -> Fitted:
    """Return scaler and bounds with a row for each of `series`: of the training, or taught by what a new one brings."""
    saved = spec.fitted
    assert saved is not None
    rows = [spec.places.get(one.id, -1) if one.id is not None else -1 for one in series]
    shared = saved.scaler.shared and saved.bounds is None
    unknown = [] if shared else [place for place, row in enumerate(rows) if row < 0]
    new = _taught(spec, [series[place] for place in unknown]) if unknown else saved

    def each(pick: Callable[[Fitted], np.ndarray]) -> np.ndarray:
        out = pick(saved)[rows]
        if unknown:
            out[unknown] = pick(new)
        return out

    scaler, bounds = saved.scaler, saved.bounds
    if not scaler.shared:
        scaler = scaler._replace(shift=each(lambda part: part.scaler.shift), scale=each(lambda part: part.scaler.scale))
    if bounds is not None:
        bounds = Bounds(each(lambda part: _bounds(part).low), each(lambda part: _bounds(part).high))
    return saved._replace(scaler=scaler, bounds=bounds)


def stamp_of(spec: Spec, one: Series) -> int | None:
    """Return when the last row of a series was, in nanoseconds since 1970 or as a count."""
    if one.last is None:
        return None
    return int(np.asarray(one.last).astype("datetime64[ns]" if spec.clock == "ns" else np.int64).astype(np.int64))


def _taught(spec: Spec, series: Sequence[Series]) -> Fitted:
    """Return what the train share of new series' rows teaches, each by itself; all of its rows, where nothing was
    observed in that.

    Splits by date and by series say nothing of a single new one: it teaches by all of its rows.
    """
    panel = _panel(spec, series)
    begin, end = panel.offsets[:-1], panel.offsets[1:]
    if spec.split.kind in ("share", "steps"):
        cut, seen = np.maximum(split_panel(panel, spec.split, empty="keep").train.end, begin + 1), panel.seen()
        end = np.where(seen[cut] > seen[begin], cut, end)
    span = Span(begin, end)
    fitted, made = fit(panel, span, spec.preprocessing, horizon=spec.horizon)
    if len(series) == 1:
        return fitted
    used = made.mask[:, : len(made.channels) - made.unscaled] & rows_inside(span, len(made.mask))[:, None]
    counts = np.add.reduceat(used, begin, axis=0, dtype=np.int64)
    scaler, bounds = fitted.scaler, fitted.bounds
    asking = np.flatnonzero((counts == 0).any(axis=1))  # of a column without any value `fit` asks the other series
    for place in asking.tolist():
        alone = _taught(spec, [series[place]])
        if not scaler.shared:
            scaler.shift[place], scaler.scale[place] = alone.scaler.shift[0], alone.scaler.scale[0]
        if bounds is not None:
            bounds.low[place], bounds.high[place] = _bounds(alone).low[0], _bounds(alone).high[0]
    return fitted


def _bounds(fitted: Fitted) -> Bounds:
    assert fitted.bounds is not None
    return fitted.bounds


def _panel(spec: Spec, series: Sequence[Series]) -> Panel:
    values = np.concatenate([np.asarray(one.values, np.float64) for one in series])
    lengths, mask = np.array([len(one.values) for one in series]), ~np.isnan(values)
    static, categories = _described(spec, series)
    last = np.array([stamp_of(spec, one) or 0 for one in series], np.int64)
    return Panel(
        series=tuple(str(i) for i in range(len(series))),
        channels=spec.channels,
        targets=len(spec.targets),
        values=np.where(mask, values, 0),
        mask=mask,
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        first=last - (lengths - 1) * spec.step,
        step=spec.step,
        clock=spec.clock,
        known=len(spec.known),
        static=static,
        static_names=spec.static,
        categories=categories,
        category_names=spec.categories,
        calendar_zone=spec.calendar_zone,
    )


def _described(spec: Spec, series: Sequence[Series]) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return the numbers and the words of every series, None where the model reads none."""
    numbers = [[np.nan if (v := one.static.get(name)) is None else v for name in spec.static] for one in series]
    words = [[one.static.get(name) or "" for name in spec.categories] for one in series]
    return (
        np.array(numbers, np.float64) if spec.static else None,
        np.array(words, object) if spec.categories else None,
    )


def _of_series(spec: Spec, series: Sequence[Series], fitted: Fitted) -> Window:
    horizon = spec.horizon
    panel = extend(_panel(spec, series), horizon)
    ends, first = panel.offsets[1:] - horizon, panel.offsets[:-1]
    for end, one in zip(ends, series, strict=True):
        if spec.known:
            panel.values[end : end + horizon, -len(spec.known) :] = one.future
            panel.mask[end : end + horizon, -len(spec.known) :] = True
    made = make_channels(panel, spec.preprocessing, fitted.bounds, horizon=horizon)
    values, filled = made.values, np.zeros_like(made.mask)
    if spec.preprocessing.impute == "seasonal":
        values, filled = fill_seasonal(made, spec.season)
    rows = ends[:, None] + np.arange(-spec.look_back, horizon)
    own = (rows >= first[:, None])[..., None]
    rows = np.maximum(rows, first[:, None])
    owner = np.repeat(np.arange(len(series)), rows.shape[1])
    scaled = fitted.scaler.transform(values[rows.reshape(-1)], owner).reshape(*rows.shape, -1)
    seen, mask = (part[rows] & own for part in (made.mask, made.mask | filled))
    ahead, mask = seen[:, spec.look_back :, seen.shape[2] - made.known :], mask[:, : spec.look_back]
    past = np.where(mask, scaled[:, : spec.look_back], np.float32(0))
    past, mask = fill_gaps(past, mask, kind=spec.preprocessing.impute)
    future = np.where(ahead, scaled[:, spec.look_back :, scaled.shape[2] - made.known :], np.float32(0))
    if spec.statistic != "none":
        future = future.sum(1, keepdims=True) / np.maximum(ahead.sum(1, keepdims=True), 1).astype(np.float32)
    static, categories = fitted.encoder.encode(panel)
    return Window(past, mask, future if made.known else None, static, categories)


def _of_cases(spec: Spec, series: Sequence[Series]) -> Window:
    learnt = spec.learnt
    assert learnt is not None
    shape = len(series), max(len(one.values) for one in series), len(spec.past)
    values = np.full(shape, np.nan)
    for row, one in enumerate(series):
        values[row, shape[1] - len(one.values) :] = one.values if spec.channels else 0  # words alone have a constant
    static, categories = _described(spec, series)
    mask = ~np.isnan(values)
    cases = Cases(
        channels=spec.past,
        values=np.where(mask, values, 0),
        mask=mask,
        target_names=spec.targets,
        static=static,
        static_names=spec.static,
        categories=categories,
        category_names=spec.categories,
    )
    past, mask = with_room(*learnt.scaled(cases), 1 if learnt.classes else len(spec.targets))
    return Window(past, mask, None, *learnt.encoder.encode(cases))


def fill_gaps(
    past: Float[np.ndarray, "batch rows channels"], mask: Bool[np.ndarray, "batch rows channels"], *, kind: ImputeKind
) -> tuple[Float[np.ndarray, "batch rows channels"], Bool[np.ndarray, "batch rows channels"]]:
    """Return what `gym_jax.data.windows.fill_window` does, in NumPy."""
    if kind not in ("forward", "linear"):
        return past, mask
    rows = past.shape[1]
    step = np.arange(rows)[None, :, None]
    before = np.maximum.accumulate(np.where(mask, step, -1), axis=1)
    after = np.minimum.accumulate(np.where(mask, step, rows)[:, ::-1], axis=1)[:, ::-1]
    left = np.where(before < 0, after, before)
    filled = np.take_along_axis(past, np.minimum(left, rows - 1), axis=1)
    if kind == "linear":
        right = np.where(after == rows, left, after)
        other = np.take_along_axis(past, np.minimum(right, rows - 1), axis=1)
        share = (step - left).astype(np.float32) / np.maximum(right - left, 1).astype(np.float32)
        filled = np.where(right > left, filled + (other - filled) * share, filled)
    some = np.broadcast_to(mask.any(axis=1, keepdims=True), mask.shape)
    return np.where(some, filled, np.float32(0)), some
