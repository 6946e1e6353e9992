"""Fully convolutional network: local patterns wherever they stand in the window."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gym_jax.errors import ConfigError
from gym_jax.models.dropout import Dropout
from gym_jax.models.normalise import Form, Normalise, formed, normalise
from gym_jax.models.precision import Dtype, make_dense
from gym_jax.models.side import Side, make_answer
from gym_jax.ops import Kernel
from gym_jax.types import Inputs, Positive, Share


class FCN(nn.Module):
    """Convolutions over time, each behind a norm and a ReLU; their mean over the window feeds one linear head.

    Wang et al. 2017, with a norm over the features of a step in place of the batch's. Layer i has `filters[i]` of
    `sizes[i]` steps. Static numbers and embedded categories are added to every step of the first layer; a decoder adds
    what follows from them and the known future. With `outputs` above 1 a value has as many answers, such as quantiles;
    of the `form` rising, each lies above the one before. Raises ConfigError when filters and sizes are not as many.

    >>> model = FCN(horizon=6, filters=(8, 8), sizes=(5, 3))
    >>> forecast, variables = jax.eval_shape(model.init_with_output, jax.random.key(0), inputs)
    >>> forecast.shape
    (4, 6, 1)
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
    filters: tuple[Positive, ...] = (64, 128, 64)
    """Filters of each layer."""
    sizes: tuple[Positive, ...] = (8, 5, 3)
    """Steps that a filter of each layer spans."""
    dropout: Share = 0.1
    """Share of units that a training step leaves out."""
    normalise: Normalise = "last"
    """How a window is brought to one level: by its last observed value, its mean and deviation (standard), or not."""

    def __post_init__(self) -> None:
        if len(self.filters) != len(self.sizes):
            raise ConfigError(
                f"model.filters has {len(self.filters)} layers, model.sizes {len(self.sizes)}",
                hint="each layer has so many filters of so many steps",
                attempt="gymjax train ... model.filters=[64,128,64] model.sizes=[8,5,3]",
            )
        super().__post_init__()

    @nn.compact
    def __call__(self, inputs: Inputs, *, train: bool = False) -> Float[Array, "batch horizon targets *outputs"]:
        x, level = normalise(inputs, self.normalise, self.targets)
        side = Side(self.categories, self.dtype, name="side")(inputs)
        dense = make_dense(self.dtype, self.kernel)
        for i, (filters, size) in enumerate(zip(self.filters, self.sizes, strict=True)):
            x = dense(filters, name=f"layer_{i}")(with_steps_around(x, size))
            if side is not None and i == 0:
                x = x + dense(filters, use_bias=False, name="embed_side")(side)[:, None]
            x = nn.relu(nn.LayerNorm(name=f"norm_{i}")(x))
        x = Dropout(self.dropout, deterministic=not train)(x.mean(axis=1))
        out = make_answer(self, x, inputs.future, side, train=train)
        return level.restore(formed(out, self.form))


def with_steps_around(x: Float[Array, "batch steps features"], size: int) -> Float[Array, "batch steps wider"]:
    """Return each step beside those around it, `size` in all, 0 outside the window: a convolution is one product."""
    before = (size - 1) // 2
    padded = jnp.pad(x, ((0, 0), (before, size - 1 - before), (0, 0)))
    return jnp.concatenate([padded[:, i : i + x.shape[1]] for i in range(size)], axis=-1)
