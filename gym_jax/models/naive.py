"""Baselines without parameters: the last value, and the value of one season ago; both look at the targets alone."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gym_jax.errors import ConfigError
from gym_jax.models.normalise import last_seen
from gym_jax.types import Inputs, Positive


class Last(nn.Module):
    """Repeat the last observed value."""

    horizon: Positive
    targets: Positive = 1

    @nn.compact
    def __call__(self, inputs: Inputs, *, train: bool = False) -> Float[Array, "batch horizon targets"]:
        return jnp.repeat(last_seen(inputs)[..., : self.targets], self.horizon, axis=1)


class Seasonal(nn.Module):
    """Repeat what was observed `season` steps before; where that is missing, the last observed value.

    A horizon longer than the season repeats it. `season` None takes the panel's own: a day, or a week for daily data.
    Raises ConfigError when the window is shorter than a season.
    """

    horizon: Positive
    targets: Positive = 1
    season: Positive | None = None

    @nn.compact
    def __call__(self, inputs: Inputs, *, train: bool = False) -> Float[Array, "batch horizon targets"]:
        assert inputs.past is not None
        assert self.season is not None, "the season is set from the panel before the model is built"
        context = inputs.past.shape[1]
        if self.season > context:
            raise ConfigError(f"a season of {self.season} steps does not fit in a window of {context}")
        lag = context - self.season + jnp.arange(self.horizon) % self.season
        value = inputs.past[:, lag, : self.targets]
        if inputs.mask is None:
            return value
        return jnp.where(inputs.mask[:, lag, : self.targets], value, last_seen(inputs)[..., : self.targets])
