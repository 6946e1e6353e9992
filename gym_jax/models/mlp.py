"""Multilayer perceptron over the flattened window."""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gym_jax.models.normalise import Normalise, normalise
from gym_jax.models.side import Decoder, Side
from gym_jax.types import Inputs, Positive, Share


class MLP(nn.Module):
    """Dense layers with ReLU over the whole window, then one linear head for all steps.

    Known future, static numbers and embedded categories stand behind the window, and a decoder adds what follows from
    them step by step.
    """

    horizon: Positive
    targets: Positive = 1
    categories: tuple[int, ...] = ()
    hidden: Sequence[Positive] = (256, 256)
    dropout: Share = 0.1
    normalise: Normalise = "last"

    @nn.compact
    def __call__(self, inputs: Inputs, *, train: bool = False) -> Float[Array, "batch horizon targets"]:
        past, level = normalise(inputs, self.normalise, self.targets)
        side = Side(self.categories, name="side")(inputs)
        parts = [past, inputs.future, side]
        x = jnp.concatenate([part.reshape(past.shape[0], -1) for part in parts if part is not None], axis=-1)
        for i, width in enumerate(self.hidden):
            x = nn.relu(nn.Dense(width, name=f"layer_{i}")(x))
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
        out = jnp.reshape(nn.Dense(self.horizon * self.targets, name="head")(x), (-1, self.horizon, self.targets))
        if side is not None or inputs.future is not None:
            decoder = Decoder(self.horizon, self.targets, self.dropout, name="decoder")
            out = out + decoder(x, inputs.future, side, train=train)
        return level.restore(out)
