"""LSTM: `nn.scan` over a cell, in layers, one or both directions."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from gym_jax.models.normalise import Form, Normalise, formed, last_axes, normalise
from gym_jax.models.precision import Dtype, make_product
from gym_jax.models.side import Decoder, Side
from gym_jax.types import Inputs, Positive, Share

Carry = tuple[Float[Array, "batch hidden"], Float[Array, "batch hidden"]]


def gates(initialiser: nn.initializers.Initializer) -> nn.initializers.Initializer:
    """Return an initialiser of a [rows, 4 * hidden] kernel that draws each gate on its own."""

    def init(key: Key[Array, ""], shape: tuple[int, int], dtype: Any = jnp.float32) -> Array:
        rows, columns = shape
        parts = [initialiser(k, (rows, columns // 4), dtype) for k in jax.random.split(key, 4)]
        return jnp.concatenate(parts, axis=-1)

    return init


def forget_open(key: Key[Array, ""], shape: tuple[int], dtype: Any = jnp.float32) -> Float[Array, " gates"]:
    """Return the bias: 1 for the forget gate, 0 for the others (Gers et al. 2000)."""
    hidden = shape[0] // 4
    return jnp.zeros(shape, dtype).at[hidden : 2 * hidden].set(1)


class LSTMCell(nn.Module):
    """One step of an LSTM with fused kernels; the gates stand in PyTorch's order: input, forget, cell, output."""

    hidden: int
    dtype: Dtype = "float32"

    @nn.compact
    def __call__(self, carry: Carry, x: Float[Array, "batch features"]) -> tuple[Carry, Float[Array, "batch hidden"]]:
        h, c = carry
        wide = 4 * self.hidden
        kernel = self.param("input_kernel", gates(nn.initializers.glorot_uniform()), (x.shape[-1], wide))
        recurrent = self.param("recurrent_kernel", gates(nn.initializers.orthogonal()), (self.hidden, wide))
        bias = self.param("bias", forget_open, (wide,))
        product = make_product(jnp.matmul, self.dtype)
        i, f, g, o = jnp.split(product(x, kernel) + product(h, recurrent) + bias, 4, axis=-1)
        c = nn.sigmoid(f) * c + nn.sigmoid(i) * nn.tanh(g)
        h = nn.sigmoid(o) * nn.tanh(c)
        return (h, c), h


class LSTMLayer(nn.Module):
    """The cell scanned over time; `reverse` reads the window backwards and answers in the window's order."""

    hidden: int
    reverse: bool = False
    dtype: Dtype = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "batch time features"]) -> Float[Array, "batch time hidden"]:
        scan = nn.scan(
            LSTMCell,
            variable_broadcast="params",
            split_rngs={"params": False},
            in_axes=1,
            out_axes=1,
            reverse=self.reverse,
        )
        zero = jnp.zeros((x.shape[0], self.hidden), x.dtype)
        _, outputs = scan(self.hidden, self.dtype, name="cell")((zero, zero), x)
        return outputs


class LSTM(nn.Module):
    """Stacked LSTM over the window; the last hidden state feeds one linear head for all steps.

    Static numbers and embedded categories stand beside every step of the window; a decoder adds what follows from them
    and the known future. `dropout` acts between layers, before the head and in the decoder. With `outputs` above 1 a
    value has as many answers, such as quantiles; of the `form` rising, each lies above the one before.
    """

    horizon: Positive
    targets: Positive = 1
    categories: tuple[int, ...] = ()
    outputs: Positive = 1
    form: Form = "free"
    dtype: Dtype = "float32"
    hidden: Positive = 64
    layers: Positive = 1
    bidirectional: bool = False
    dropout: Share = 0.0
    normalise: Normalise = "last"

    @nn.compact
    def __call__(self, inputs: Inputs, *, train: bool = False) -> Float[Array, "batch horizon targets *outputs"]:
        x, level = normalise(inputs, self.normalise, self.targets)
        side = Side(self.categories, self.dtype, name="side")(inputs)
        if side is not None:
            x = jnp.concatenate([x, jnp.repeat(side[:, None], x.shape[1], axis=1)], axis=-1)
        last = x
        for i in range(self.layers):
            forward = LSTMLayer(self.hidden, dtype=self.dtype, name=f"layer_{i}")(x)
            last = forward[:, -1]
            if self.bidirectional:
                backward = LSTMLayer(self.hidden, reverse=True, dtype=self.dtype, name=f"layer_{i}_reverse")(x)
                last = jnp.concatenate([last, backward[:, 0]], axis=-1)
                forward = jnp.concatenate([forward, backward], axis=-1)
            x = nn.Dropout(self.dropout, deterministic=not train)(forward) if i + 1 < self.layers else forward
        last = nn.Dropout(self.dropout, deterministic=not train)(last)
        out = nn.Dense(self.horizon * self.targets * self.outputs, name="head")(last)
        out = jnp.reshape(out, (-1, self.horizon, *last_axes(self.targets, self.outputs)))
        if side is not None or inputs.future is not None:
            decoder = Decoder(self.horizon, self.targets, self.dropout, self.outputs, self.dtype, name="decoder")
            out = out + decoder(last, inputs.future, side, train=train)
        return level.restore(formed(out, self.form))
