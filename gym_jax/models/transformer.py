"""Pre-norm Transformer encoder over patches of the window."""

from typing import Literal

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gym_jax.errors import ConfigError
from gym_jax.models.dropout import Dropout
from gym_jax.models.normalise import Form, Normalise, formed, known_channels, normalise
from gym_jax.models.patches import in_patches
from gym_jax.models.precision import Dtype, make_dense
from gym_jax.models.side import Side, make_answer
from gym_jax.ops import Kernel, choose_attention
from gym_jax.types import Inputs, Positive, Share


class Attention(nn.Module):
    """Multi-head self-attention with one fused projection for queries, keys and values.

    It has no bias: a key bias has no gradient but rounding, which Adam would blow up to full steps.
    """

    heads: int
    dtype: Dtype = "float32"
    kernel: Kernel = "auto"

    @nn.compact
    def __call__(self, x: Float[Array, "batch tokens width"]) -> Float[Array, "batch tokens width"]:
        width = x.shape[-1]
        dense = make_dense(self.dtype, self.kernel)
        qkv = dense(3 * width, use_bias=False, name="qkv")(x)
        qkv = qkv.reshape(*x.shape[:-1], self.heads, 3 * width // self.heads)
        mixed = choose_attention(self.kernel)(qkv, self.dtype)
        return dense(width, name="out")(mixed.reshape(x.shape))


class Block(nn.Module):
    """Attention and feed-forward, each behind a norm and beside a skip (Xiong et al. 2020)."""

    heads: int
    feedforward: int
    dropout: float
    dtype: Dtype = "float32"
    kernel: Kernel = "auto"

    @nn.compact
    def __call__(self, x: Float[Array, "batch tokens width"], *, train: bool) -> Float[Array, "batch tokens width"]:
        drop = Dropout(self.dropout, deterministic=not train)
        dense = make_dense(self.dtype, self.kernel)
        x = x + drop(
            Attention(self.heads, self.dtype, self.kernel, name="attention")(nn.LayerNorm(name="norm_attention")(x))
        )
        y = nn.gelu(dense(self.feedforward, name="up")(nn.LayerNorm(name="norm_feedforward")(x)))
        return x + drop(dense(x.shape[-1], name="down")(y))


class Transformer(nn.Module):
    """Patches of `patch` steps become tokens (PatchTST, Nie et al. 2023); all tokens feed one linear head.

    `channels="separate"` forecasts each target channel out of its own past and the known channels with shared weights;
    `"mixed"` puts all channels into each token. Static numbers and embedded categories are added to every token, and a
    decoder adds what follows from them and the known future. With `outputs` above 1 a value has as many answers,
    such as quantiles; of the `form` rising, each lies above the one before. Raises ConfigError when `heads` does not
    divide `width`.

    >>> model = Transformer(horizon=6, targets=2, layers=1)
    >>> forecast, variables = jax.eval_shape(model.init_with_output, jax.random.key(0), inputs)
    >>> forecast.shape
    (4, 6, 2)
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
    width: Positive = 64
    """Numbers of a token; `heads` divides it."""
    heads: Positive = 4
    """Heads of the attention."""
    layers: Positive = 2
    """Blocks of attention and feed-forward layer."""
    feedforward: Positive = 128
    """Units of a block's feed-forward layer."""
    patch: Positive = 8
    """Rows that become a token."""
    channels: Literal["mixed", "separate"] = "mixed"
    """Whether a token holds all channels, or each target channel is forecast by itself."""
    dropout: Share = 0.1
    """Share of units that a training step leaves out."""
    normalise: Normalise = "last"
    """How a window is brought to one level: by its last observed value, its mean and deviation (standard), or not."""

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ConfigError(
                f"model.heads={self.heads} does not divide model.width={self.width}",
                hint="every head gets an equal share of the width",
                attempt=f"gymjax train ... model.width={max(1, round(self.width / self.heads)) * self.heads}",
            )
        super().__post_init__()

    @nn.compact
    def __call__(self, inputs: Inputs, *, train: bool = False) -> Float[Array, "batch horizon targets *outputs"]:
        x, level = normalise(inputs, self.normalise, self.targets)
        batch, future, side = x.shape[0], inputs.future, Side(self.categories, self.dtype, name="side")(inputs)
        dense = make_dense(self.dtype, self.kernel)
        separate = self.channels == "separate"
        if separate:
            own = jnp.moveaxis(x[..., : self.targets], 2, 1).reshape(batch * self.targets, -1, 1)
            known = jnp.repeat(x[..., x.shape[-1] - known_channels(inputs) :], self.targets, axis=0)
            future, side = (None if part is None else jnp.repeat(part, self.targets, axis=0) for part in (future, side))
            x = jnp.concatenate([own, known], axis=-1)
        x = in_patches(x, self.patch)
        x = dense(self.width, name="embed")(x)
        x = x + self.param("position", nn.initializers.normal(0.02), x.shape[1:])
        if side is not None:
            x = x + dense(self.width, use_bias=False, name="embed_side")(side)[:, None]
        for i in range(self.layers):
            x = Block(self.heads, self.feedforward, self.dropout, self.dtype, self.kernel, name=f"block_{i}")(
                x, train=train
            )
        x = nn.LayerNorm(name="norm")(x).reshape(x.shape[0], -1)
        targets = 1 if separate else self.targets
        out = make_answer(self, x, future, side, targets=targets, train=train)
        if separate:
            out = jnp.moveaxis(out.reshape(batch, self.targets, self.horizon, *out.shape[3:]), 1, 2)
        return level.restore(formed(out, self.form))
