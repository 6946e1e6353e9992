"""Windows over a panel: index arithmetic on flat device arrays, never materialised."""

from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from gym_jax.data.impute import ImputeKind, fill_seasonal
from gym_jax.data.panel import Panel
from gym_jax.data.scale import Scaler, row_chunks
from gym_jax.data.statistic import WindowStatistic, coming_statistic
from gym_jax.types import Batch, Inputs


@partial(
    jax.tree_util.register_dataclass,
    data_fields=("values", "mask", "bounds", "origins", "series", "static", "categories", "filled", "coming", "whole"),
    meta_fields=("context", "horizon", "targets", "room", "known", "impute"),
)
@dataclass(frozen=True)
class Windows:
    """Forecasting examples: window `i` forecasts `horizon` rows from `origins[i]` out of the `context` rows before.

    `mask` is None when every value of every window was observed.

    >>> rows, series = origins(panel, split.train, context=24, horizon=12)
    >>> windows = make_windows(panel, fit_scaler(panel, split.train), rows, series, context=24, horizon=12)
    >>> batch = jax.jit(windows.take)(jnp.array([0, 1, -1]))
    >>> batch.inputs.past.shape, batch.targets.shape
    ((3, 24, 1), (3, 12, 1))
    >>> batch.weights.min(axis=(1, 2))
    Array([1., 1., 0.], dtype=float32)
    """

    values: Float[Array, "rows channels"]
    """The panel's, scaled."""
    mask: Bool[Array, "rows channels"] | None
    """True where a value was observed; None when all of them were."""
    bounds: Int[Array, " series_plus_one"]
    """Series `i` is rows `bounds[i]` to `bounds[i + 1]`: what lies outside belongs to another one and is masked."""
    origins: Int[Array, " windows"]
    """The first row that each window forecasts."""
    series: Int[Array, " windows"]
    """The series of each window, by its place in the panel."""
    context: int
    """Rows that a window looks back."""
    horizon: int
    """Rows that it forecasts, or whose statistic it forecasts."""
    targets: int
    """How many of the first channels are forecast."""
    room: int
    """Rows in front of the first series: the longest context there is."""
    known: int = 0
    """How many of the last channels are known ahead of time."""
    static: Float[Array, "series features"] | None = None
    """Scaled numbers of each series as a whole; None when there are none."""
    categories: Int[Array, "series kinds"] | None = None
    """The place of each word in its vocabulary; 0 is unseen or missing."""
    filled: Bool[Array, "rows channels"] | None = None
    """Values that the past may see although they were not observed: taken from seasons before."""
    impute: ImputeKind = "mask"
    """What a model sees in place of missing values."""
    coming: Float[Array, "rows targets"] | None = None
    """What is forecast instead of every row: a statistic of the window that begins at the row."""
    whole: Bool[Array, "rows targets"] | None = None
    """Where that is known."""

    @property
    def steps(self) -> int:
        """How many values are forecast of each target."""
        return self.horizon if self.coming is None else 1

    def __len__(self) -> int:
        return self.origins.shape[0]

    def take(self, indices: Int[Array, " batch"]) -> Batch:
        """Return the windows at `indices`; -1 is padding: some other window, with weight 0."""
        real = indices >= 0
        position = jnp.where(real, indices, jnp.arange(indices.shape[0]) % len(self))
        origin, series = self.origins[position], self.series[position]
        span = self.context + self.horizon

        def cut(rows: Array) -> Array:
            return jax.vmap(lambda start: lax.dynamic_slice_in_dim(rows, start, span))(origin - self.context)

        window = cut(self.values)
        past, future = window[:, : self.context], window[:, self.context :, window.shape[2] - self.known :]
        targets = window[:, self.context :, : self.targets]
        weights = jnp.broadcast_to(real[:, None, None], targets.shape)
        mask = None
        if self.mask is not None:
            rows = origin[:, None] + jnp.arange(-self.context, self.horizon)
            own = (rows >= self.bounds[series][:, None]) & (rows < self.bounds[series + 1][:, None])
            seen = cut(self.mask) & own[..., None]
            mask, ahead = seen[:, : self.context], seen[:, self.context :]
            if self.filled is not None:
                mask = mask | (cut(self.filled) & own[..., None])[:, : self.context]
            past, mask = fill_window(jnp.where(mask, past, 0), mask, kind=self.impute)
            future = jnp.where(ahead[..., ahead.shape[2] - self.known :], future, 0)
            weights = weights & ahead[..., : self.targets]
            targets = jnp.where(ahead[..., : self.targets], targets, 0)
        if self.coming is not None and self.whole is not None:
            known = self.whole[origin][:, None]
            targets = jnp.where(known, self.coming[origin][:, None], 0)
            weights = known & real[:, None, None]
            there = jnp.ones_like(future) if self.mask is None else ahead[..., ahead.shape[2] - self.known :]
            future = future.sum(1, keepdims=True) / jnp.maximum(there.sum(1, keepdims=True), 1)
        inputs = Inputs(
            past=past,
            mask=mask,
            future=future if self.known else None,
            static=None if self.static is None else self.static[series],
            categories=None if self.categories is None else self.categories[series],
            series=series,
        )
        return Batch(inputs, targets, weights.astype(targets.dtype))

    def with_context(self, context: int) -> "Windows":
        """Return the same forecasts with another look-back of at most `room` rows; ValueError when it is longer."""
        if context > self.room:
            raise ValueError(f"context {context} is longer than the room of {self.room} rows")
        return replace(self, context=context)


def make_windows(
    panel: Panel,
    scaler: Scaler,
    origins: Int[np.ndarray, " windows"],
    series: Int[np.ndarray, " windows"],
    *,
    context: int,
    horizon: int,
    room: int = 0,
    impute: ImputeKind = "mask",
    season: int | None = None,
    static: Float[np.ndarray, "series features"] | None = None,
    categories: Int[np.ndarray, "series kinds"] | None = None,
    statistic: WindowStatistic = "none",
) -> Windows:
    """Scale the panel to float32 and lay it out for slicing, with `max(context, room)` masked rows in front.

    Rows past the end of a series are masked too, so that a window may forecast the future. `season` is the rows that
    `impute="seasonal"` goes back, the panel's own when None; `static` and `categories` are encoded already. With a
    `statistic` each window has one target, that of its `horizon` rows, and the mean of what is known ahead of them.

    >>> rows, series = origins(panel, split.test, context=24, horizon=12, stride=12)
    >>> len(make_windows(panel, fit_scaler(panel, split.train), rows, series, context=24, horizon=12))
    18
    """
    before, rows = max(context, room), len(panel.values)
    values, filled = panel.values, None
    if impute == "seasonal":
        values, filled = fill_seasonal(panel, season or panel.season())
    scaled = np.zeros((before + rows + horizon, len(panel.channels)), np.float32)
    for part, owner in row_chunks(panel.offsets):  # in portions: float64 copies of the whole would be four times this
        present = panel.mask[part] if filled is None else panel.mask[part] | filled[part]
        into = scaled[before + part.start : before + part.stop]
        np.copyto(into, scaler.transform(values[part], owner), where=present)
    padding = ((before, horizon), (0, 0))
    coming = whole = None
    if statistic != "none":
        found, known = coming_statistic(panel, horizon, statistic)
        owner = np.repeat(np.arange(len(panel.series)), panel.lengths)
        found = np.where(known, scaler.rescale(found[:, None, :, None], owner)[:, 0, :, 0], 0).astype(np.float32)
        coming, whole = jnp.asarray(np.pad(found, padding)), jnp.asarray(np.pad(known, padding))
    observed = all_observed(panel, origins, series, before, horizon)
    return Windows(
        values=jnp.asarray(scaled),
        mask=None if observed else jnp.asarray(np.pad(panel.mask, padding)),
        bounds=jnp.asarray(panel.offsets + before, jnp.int32),
        origins=jnp.asarray(origins + before, jnp.int32),
        series=jnp.asarray(series, jnp.int32),
        context=context,
        horizon=horizon,
        targets=panel.targets,
        room=before,
        known=panel.known,
        static=None if static is None else jnp.asarray(static, jnp.float32),
        categories=None if categories is None else jnp.asarray(categories, jnp.int32),
        filled=None if observed or filled is None or not filled.any() else jnp.asarray(np.pad(filled, padding)),
        impute=impute,
        coming=coming,
        whole=whole,
    )


def all_observed(
    panel: Panel,
    origins: Int[np.ndarray, " windows"],
    series: Int[np.ndarray, " windows"],
    before: int,
    horizon: int,
) -> bool:
    """Return whether every value of every window was observed; rows that no window sees have no say."""
    begin, end = origins - before, origins + horizon
    if (begin < panel.offsets[series]).any() or (end > panel.offsets[series + 1]).any():
        return False
    gaps = np.zeros(len(panel.mask) + 1, np.int32)
    np.cumsum(~panel.mask.all(axis=1), out=gaps[1:])
    return bool((gaps[end] == gaps[begin]).all())


def fill_window(
    past: Float[Array, "batch context channels"], mask: Bool[Array, "batch context channels"], *, kind: ImputeKind
) -> tuple[Float[Array, "batch context channels"], Bool[Array, "batch context channels"]]:
    """Return the window with missing values filled from observed ones of the same window and channel, and its mask.

    `forward` repeats the last one before; `linear` draws a line between the neighbours and repeats the last one after
    them. What lies before the first observed value takes that value; a channel without any stays masked and 0.
    """
    if kind not in ("forward", "linear"):
        return past, mask
    context = past.shape[1]
    step = jnp.arange(context)[None, :, None]
    before = lax.cummax(jnp.where(mask, step, -1), axis=1)
    after = lax.cummin(jnp.where(mask, step, context), axis=1, reverse=True)
    left = jnp.where(before < 0, after, before)
    filled = jnp.take_along_axis(past, jnp.minimum(left, context - 1), axis=1)
    if kind == "linear":
        right = jnp.where(after == context, left, after)
        other = jnp.take_along_axis(past, jnp.minimum(right, context - 1), axis=1)
        share = (step - left) / jnp.maximum(right - left, 1)
        filled = jnp.where(right > left, filled + (other - filled) * share, filled)
    some = jnp.broadcast_to(mask.any(axis=1, keepdims=True), mask.shape)
    return jnp.where(some, filled, 0).astype(past.dtype), some
