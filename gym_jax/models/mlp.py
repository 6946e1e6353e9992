"""Multilayer perceptron over the flattened window."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gym_jax.models.dropout import Dropout
from gym_jax.models.normalise import Form, Normalise, formed, last_axes, normalise
from gym_jax.models.precision import Dtype, make_dense
from gym_jax.models.side import Decoder, Side
from gym_jax.ops import Kernel
from gym_jax.types import Inputs, Positive, Share


class MLP(nn.Module):
    """Dense layers with ReLU over the whole window, then one linear head for all steps.

    Known future, static numbers and embedded categories stand behind the window, and a decoder adds what follows from
    them step by step. With `outputs` above 1 a value has as many answers, such as quantiles; of the `form`
    rising, each lies above the one before.
    """

    horizon: Positive
    targets: Positive = 1
    categories: tuple[int, ...] = ()
    outputs: Positive = 1
    form: Form = "free"
    dtype: Dtype = "float32"
    kernel: Kernel = "auto"
    hidden: tuple[Positive, ...] = (256, 256)
    dropout: Share = 0.1
    normalise: Normalise = "last"

    @nn.compact
    def __call__(self, inputs: Inputs, *, train: bool = False) -> Float[Array, "batch horizon targets *outputs"]:
        past, level = normalise(inputs, self.normalise, self.targets)
        side = Side(self.categories, self.dtype, name="side")(inputs)
        dense = make_dense(self.dtype, self.kernel)
        parts = [past, inputs.future, side]
        x = jnp.concatenate([part.reshape(past.shape[0], -1) for part in parts if part is not None], axis=-1)
        for i, width in enumerate(self.hidden):
            x = nn.relu(dense(width, name=f"layer_{i}")(x))
            x = Dropout(self.dropout, deterministic=not train)(x)
        out = make_dense("float32", self.kernel)(self.horizon * self.targets * self.outputs, name="head")(x)
        out = jnp.reshape(out, (-1, self.horizon, *last_axes(self.targets, self.outputs)))
        if side is not None or inputs.future is not None:
            decoder = Decoder(
                self.horizon, self.targets, self.dropout, self.outputs, self.dtype, self.kernel, name="decoder"
            )
            out = out + decoder(x, inputs.future, side, train=train)
        return level.restore(formed(out, self.form))
