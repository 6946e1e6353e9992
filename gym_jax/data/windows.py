"""Windows over a panel: index arithmetic on flat device arrays, never materialised."""

from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from gym_jax.data.panel import Panel
from gym_jax.data.scale import Scaler
from gym_jax.types import Batch, Inputs


@partial(
    jax.tree_util.register_dataclass,
    data_fields=("values", "mask", "bounds", "origins", "series", "static", "categories"),
    meta_fields=("context", "horizon", "targets", "room", "known"),
)
@dataclass(frozen=True)
class Windows:
    """Forecasting examples: window `i` forecasts `horizon` rows from `origins[i]` out of the `context` rows before.

    `mask` is None when every value of every window was observed.
    """

    values: Float[Array, "rows channels"]
    mask: Bool[Array, "rows channels"] | None
    bounds: Int[Array, " series_plus_one"]
    """Series `i` is rows `bounds[i]` to `bounds[i + 1]`: what lies outside belongs to another one and is masked."""
    origins: Int[Array, " windows"]
    series: Int[Array, " windows"]
    context: int
    horizon: int
    targets: int
    room: int
    """Rows in front of the first series: the longest context there is."""
    known: int = 0
    """How many of the last channels are known ahead of time."""
    static: Float[Array, "series features"] | None = None
    categories: Int[Array, "series kinds"] | None = None

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
        past, targets = window[:, : self.context], window[:, self.context :, : self.targets]
        weights = jnp.broadcast_to(real[:, None, None], targets.shape)
        mask = None
        if self.mask is not None:
            seen = cut(self.mask)
            rows = origin[:, None] + jnp.arange(-self.context, self.horizon)
            own = (rows >= self.bounds[series][:, None]) & (rows < self.bounds[series + 1][:, None])
            seen = seen & own[..., None]
            mask = seen[:, : self.context]
            past = jnp.where(mask, past, 0)
            weights = weights & seen[:, self.context :, : self.targets]
            targets = jnp.where(own[:, self.context :, None], targets, 0)
        inputs = Inputs(
            past=past,
            mask=mask,
            future=window[:, self.context :, -self.known :] if self.known else None,
            static=None if self.static is None else self.static[series],
            categories=None if self.categories is None else self.categories[series],
            series=series,
        )
        return Batch(inputs, targets, weights.astype(targets.dtype))

    def with_context(self, context: int) -> "Windows":
        """Return the same forecasts with another look-back of at most `room` rows."""
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
) -> Windows:
    """Scale the panel to float32 and lay it out for slicing, with `max(context, room)` masked rows in front.

    Rows past the end of a series are masked too, so that a window may forecast the future.
    """
    before = max(context, room)
    owner = np.repeat(np.arange(len(panel.series)), panel.lengths)
    scaled = np.where(panel.mask, scaler.transform(panel.values, owner), np.float32(0))
    values = np.pad(scaled, ((before, horizon), (0, 0)))
    mask = np.pad(panel.mask, ((before, horizon), (0, 0)))
    padded = len(origins) and (
        (origins - before < panel.offsets[series]).any() or (origins + horizon > panel.offsets[series + 1]).any()
    )
    gapless = bool(panel.mask.all()) and not padded
    return Windows(
        values=jnp.asarray(values),
        mask=None if gapless else jnp.asarray(mask),
        bounds=jnp.asarray(panel.offsets + before, jnp.int32),
        origins=jnp.asarray(origins + before, jnp.int32),
        series=jnp.asarray(series, jnp.int32),
        context=context,
        horizon=horizon,
        targets=panel.targets,
        room=before,
        known=panel.known,
        static=None if panel.static is None else jnp.asarray(panel.static, jnp.float32),
        categories=None if panel.categories is None else jnp.asarray(panel.categories, jnp.int32),
    )
