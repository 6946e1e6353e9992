"""Multilayer perceptron over the flattened window."""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gym_jax.models.normalise import Normalise, normalise, with_side
from gym_jax.types import Inputs, Positive, Share


class MLP(nn.Module):
    """Dense layers with ReLU over the whole window, then one linear head for all steps."""

    horizon: Positive
    targets: Positive = 1
    hidden: Sequence[Positive] = (256, 256)
    dropout: Share = 0.1
    normalise: Normalise = "last"

    @nn.compact
    def __call__(self, inputs: Inputs, *, train: bool = False) -> Float[Array, "batch horizon targets"]:
        past, level = normalise(inputs, self.normalise)
        x = with_side(past.reshape(past.shape[0], -1), inputs)
        for i, width in enumerate(self.hidden):
            x = nn.relu(nn.Dense(width, name=f"layer_{i}")(x))
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
        out = nn.Dense(self.horizon * self.targets, name="head")(x)
        return level.restore(jnp.reshape(out, (-1, self.horizon, self.targets)))
