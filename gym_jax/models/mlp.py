"""Multilayer perceptron over the flattened window."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gym_jax.models.dropout import Dropout
from gym_jax.models.normalise import Form, Normalise, formed, normalise
from gym_jax.models.precision import Dtype, make_dense
from gym_jax.models.side import Side, make_answer
from gym_jax.ops import Kernel
from gym_jax.types import Inputs, Positive, Share


class MLP(nn.Module):
    """Dense layers with ReLU over the whole window, then one linear head for all steps.

    Known future, static numbers and embedded categories stand behind the window, and a decoder adds what follows from
    them step by step. With `outputs` above 1 a value has as many answers, such as quantiles; of the `form`
    rising, each lies above the one before.

    >>> model = MLP(horizon=6, hidden=(32,))
    >>> forecast, variables = jax.eval_shape(model.init_with_output, jax.random.key(0), inputs)
    >>> forecast.shape, variables["params"]["layer_0"]["kernel"].shape
    ((4, 6, 1), (48, 32))
    """

    horizon: Positive
    """Steps that are forecast."""
    targets: Positive = 1
    """How many of the first channels are forecast."""
    categories: tuple[int, ...] = ()
    """How many words each kind of category has; each kind has an embedding."""
    outputs: Positive = 1
    """Answers to a value, such as quantiles; of several they are a last axis."""
    form: Form = "free"
    """Whether the answers to a value stand free, rise, or rise from the middle outwards (around)."""
    dtype: Dtype = "float32"
    """What products are computed in; all else is float32."""
    kernel: Kernel = "auto"
    """Plain, or written by hand (fast); auto chooses by platform."""
    hidden: tuple[Positive, ...] = (256, 256)
    """Units of each layer, from the past to the head."""
    dropout: Share = 0.1
    """Share of units that a training step leaves out."""
    normalise: Normalise = "last"
    """How a window is brought to one level: by its last observed value, its mean and deviation (standard), or not."""

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
        out = make_answer(self, x, inputs.future, side, train=train)
        return level.restore(formed(out, self.form))
