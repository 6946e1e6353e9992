"""Missing values of the past filled in: on the host from seasons before, on the device inside the window."""

from typing import Literal

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float

from gym_jax.data.panel import Panel

ImputeKind = Literal["mask", "forward", "linear", "seasonal"]
"""`mask` fills nothing: missing values are 0 and say so."""


def fill_seasonal(
    panel: Panel, season: int
) -> tuple[Float[np.ndarray, "rows channels"], Bool[np.ndarray, "rows channels"]]:
    """Return the values with missing ones taken from the nearest whole number of seasons before, and which were.

    `season` is in rows; only earlier rows of the same series are looked at, and what none of them holds stays missing.
    """
    values, filled = panel.values.copy(), np.zeros(panel.mask.shape, bool)
    source = np.arange(len(values))
    for channel, seen in enumerate(panel.mask.T):
        missing = np.flatnonzero(~seen)
        start = panel.offsets[np.searchsorted(panel.offsets, missing, "right") - 1]
        source[missing] = np.where(missing - season >= start, missing - season, missing)
        # Every round follows a chain of missing rows twice as far, until it ends at a value or in the first season.
        while not np.array_equal(further := source[source[missing]], source[missing]):
            source[missing] = further
        found = seen[further]
        values[missing[found], channel] = panel.values[further[found], channel]
        filled[missing[found], channel] = True
        source[missing] = missing
    return values, filled


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
