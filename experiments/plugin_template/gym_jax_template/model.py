"""A model is a Flax Linen module; its fields are its settings, `model.smooth=25`."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gym_jax.models.normalise import Normalise, normalise
from gym_jax.types import Inputs, Positive


class DLinear(nn.Module):
    """Two linear maps from the past of a channel to its future: of its moving average, and of the rest.

    Zeng et al. 2023. It looks at the target channels only. `smooth` is how many steps the average is over.
    """

    horizon: Positive
    targets: Positive = 1
    smooth: Positive = 13
    normalise: Normalise = "last"

    @nn.compact
    def __call__(self, inputs: Inputs, *, train: bool = False) -> Float[Array, "batch horizon targets"]:
        past, level = normalise(inputs, self.normalise, self.targets)
        x = jnp.moveaxis(past[..., : self.targets], 2, 1)
        trend = moving_average(x, self.smooth)
        out = nn.Dense(self.horizon, name="trend")(trend) + nn.Dense(self.horizon, name="rest")(x - trend)
        return level.restore(jnp.moveaxis(out, 1, 2))


def moving_average(x: Float[Array, "*rows steps"], width: int) -> Float[Array, "*rows steps"]:
    """Return the mean of `width` steps around each; before the first and after the last one they are repeated."""
    before = (width - 1) // 2
    padded = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(before, width - 1 - before)], mode="edge")
    return sum(padded[..., k : k + x.shape[-1]] for k in range(width)) / width
