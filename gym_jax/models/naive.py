"""Baselines without parameters: the last value, and the value of one season ago; both look at the targets alone."""

from typing import Literal

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gym_jax.errors import ConfigError
from gym_jax.models.normalise import last_seen
from gym_jax.types import Inputs, Positive

Statistic = Literal["none", "max", "p95", "mean"]


class Last(nn.Module):
    """Repeat the last observed value; of a `statistic` of `window` steps, that of the last ones.

    >>> jax.jit(Last(horizon=3).apply)({}, inputs)[0].ravel().tolist()
    [46.0, 46.0, 46.0]
    """

    horizon: Positive
    """Steps that are forecast."""
    targets: Positive = 1
    """How many of the first channels are forecast."""
    statistic: Statistic = "none"
    """What is said of a window instead of its steps."""
    window: Positive = 1
    """Steps that the statistic is of."""

    @nn.compact
    def __call__(self, inputs: Inputs, *, train: bool = False) -> Float[Array, "batch horizon targets"]:
        last = last_seen(inputs)[..., : self.targets]
        if self.statistic != "none":
            assert inputs.past is not None
            lag = jnp.arange(max(inputs.past.shape[1] - self.window, 0), inputs.past.shape[1])
            last = _reduced(inputs, lag, self.targets, self.statistic, last)
        return jnp.repeat(last, self.horizon, axis=1)


class Seasonal(nn.Module):
    """Repeat what was observed `season` steps before; where that is missing, the last observed value.

    A horizon longer than the season repeats it. Of a `statistic` of `window` steps it is that of the steps which began
    one season before; where none of them was observed, of the last ones. `season` None takes the panel's own: a day,
    or a week for daily data. Raises ConfigError when the window is shorter than a season.

    >>> jax.jit(Seasonal(horizon=3, season=12).apply)({}, inputs)[0].ravel().tolist()
    [24.0, 26.0, 28.0]
    """

    horizon: Positive
    """Steps that are forecast."""
    targets: Positive = 1
    """How many of the first channels are forecast."""
    season: Positive | None = None
    """Steps of a season; None takes the panel's own."""
    statistic: Statistic = "none"
    """What is said of a window instead of its steps."""
    window: Positive = 1
    """Steps that the statistic is of."""

    @nn.compact
    def __call__(self, inputs: Inputs, *, train: bool = False) -> Float[Array, "batch horizon targets"]:
        assert inputs.past is not None
        assert self.season is not None, "the season is set from the panel before the model is built"
        context = inputs.past.shape[1]
        if self.season > context:
            raise ConfigError(f"a season of {self.season} steps does not fit in a window of {context}")
        if self.statistic != "none":
            lag = context - self.season + jnp.arange(self.window) % self.season
            last = Last(1, self.targets, self.statistic, self.window)(inputs)
            return jnp.repeat(_reduced(inputs, lag, self.targets, self.statistic, last), self.horizon, axis=1)
        lag = context - self.season + jnp.arange(self.horizon) % self.season
        value = inputs.past[:, lag, : self.targets]
        if inputs.mask is None:
            return value
        return jnp.where(inputs.mask[:, lag, : self.targets], value, last_seen(inputs)[..., : self.targets])


def _reduced(
    inputs: Inputs,
    lag: Int[Array, " window"],
    targets: int,
    kind: Statistic,
    otherwise: Float[Array, "batch 1 targets"],
) -> Float[Array, "batch 1 targets"]:
    """Return the statistic of what was observed at the places `lag` of the past, `otherwise` where nothing was."""
    assert inputs.past is not None
    values = inputs.past[:, lag, :targets]
    seen = jnp.ones_like(values, bool) if inputs.mask is None else inputs.mask[:, lag, :targets]
    count = seen.sum(1, keepdims=True)
    if kind == "mean":
        found = jnp.where(seen, values, 0).sum(1, keepdims=True) / jnp.maximum(count, 1)
    elif kind == "max":
        found = jnp.where(seen, values, -jnp.inf).max(1, keepdims=True)
    else:  # NumPy's linear quantile
        ordered = jnp.sort(jnp.where(seen, values, jnp.inf), axis=1)
        top = jnp.maximum(count - 1, 0)
        place = 0.95 * top
        below = jnp.floor(place).astype(jnp.int32)
        low, high = (jnp.take_along_axis(ordered, at, axis=1) for at in (below, jnp.minimum(below + 1, top)))
        found = low + (high - low) * (place - below)
    return jnp.where(count > 0, found, otherwise)
