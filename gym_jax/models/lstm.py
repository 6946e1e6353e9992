"""LSTM: `nn.scan` over a cell, in layers, one or both directions."""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from gym_jax.models.dropout import Dropout
from gym_jax.models.normalise import Form, Normalise, formed, normalise
from gym_jax.models.patches import in_patches
from gym_jax.models.side import Side, make_answer
from gym_jax.ops import Dtype, Kernel, choose_lstm, lstm_cell, lstm_plain
from gym_jax.types import Inputs, Positive, Share

Carry = tuple[Float[Array, "batch hidden"], Float[Array, "batch hidden"]]
Weights = tuple[Float[Array, "features gates"], Float[Array, "hidden gates"], Float[Array, " gates"]]


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
    """One step of an LSTM with fused kernels; the gates stand in PyTorch's order: input, forget, cell, output.

    >>> carry = jnp.zeros((4, 8)), jnp.zeros((4, 8))
    >>> (_, state), _ = jax.eval_shape(LSTMCell(8).init_with_output, jax.random.key(0), carry, jnp.ones((4, 2)))
    >>> state.shape
    (4, 8)
    """

    hidden: int
    """Size of the state."""
    dtype: Dtype = "float32"
    """What products are computed in; all else is float32."""

    @nn.compact
    def __call__(self, carry: Carry, x: Float[Array, "batch features"]) -> tuple[Carry, Float[Array, "batch hidden"]]:
        weights = cell_weights(self, x.shape[-1])
        h, c = lstm_cell(*carry, x, *weights, self.dtype)
        return (h, c), h


class CellWeights(nn.Module):
    """The parameters of a cell, by the same names, for a recurrence that does not go through it step by step."""

    hidden: int

    @nn.compact
    def __call__(self, features: int) -> Weights:
        return cell_weights(self, features)


def cell_weights(cell: LSTMCell | CellWeights, features: int) -> Weights:
    """Return input kernel, recurrent kernel and bias, the gates fused."""
    wide = 4 * cell.hidden
    kernel = cell.param("input_kernel", gates(nn.initializers.glorot_uniform()), (features, wide))
    recurrent = cell.param("recurrent_kernel", gates(nn.initializers.orthogonal()), (cell.hidden, wide))
    return kernel, recurrent, cell.param("bias", forget_open, (wide,))


class LSTMLayer(nn.Module):
    """The cell scanned over time; `reverse` reads the window backwards and answers in the window's order.

    With `last` it answers with the last state alone. The fast kernel takes the parameters of the cell.

    >>> states, _ = jax.eval_shape(LSTMLayer(8).init_with_output, jax.random.key(0), jnp.ones((24, 4, 2)))
    >>> states.shape
    (24, 4, 8)
    """

    hidden: int
    """Size of the state."""
    reverse: bool = False
    """Whether the window is read backwards."""
    last: bool = False
    """Whether the last state alone is the answer."""
    dtype: Dtype = "float32"
    """What products are computed in; all else is float32."""
    kernel: Kernel = "auto"
    """The plain cell, or one written by hand (fast); auto chooses by platform."""

    @nn.compact
    def __call__(self, x: Float[Array, "time batch features"]) -> Float[Array, "steps batch hidden"]:
        x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        recurrence = choose_lstm(self.kernel)
        if recurrence is not lstm_plain:
            weights = CellWeights(self.hidden, name="cell")(x.shape[-1])
            return recurrence(x, *weights, reverse=self.reverse, last=self.last, dtype=self.dtype)
        scan = nn.scan(
            LSTMCell,
            variable_broadcast="params",
            split_rngs={"params": False},
            reverse=self.reverse,
        )
        zero = jnp.zeros((x.shape[1], self.hidden), x.dtype)
        (h, _), states = scan(self.hidden, self.dtype, name="cell")((zero, zero), x)
        return h[None] if self.last else states


class LSTM(nn.Module):
    """Stacked LSTM over the window; the last hidden state feeds one linear head for all steps.

    It reads `patch` rows at a step (Lin et al. 2023, SegRNN), the oldest filled up with zeros: fewer steps reach
    further back and are faster. Static numbers and embedded categories stand beside every step; a decoder adds what
    follows from them and the known future. `dropout` acts between layers, before the head and in the decoder. With
    `outputs` above 1 a value has as many answers, such as quantiles; of the `form` rising, each lies above the one
    before.

    >>> model = LSTM(horizon=6, outputs=3)
    >>> forecast, variables = jax.eval_shape(model.init_with_output, jax.random.key(0), inputs)
    >>> forecast.shape
    (4, 6, 1, 3)
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
    hidden: Positive = 64
    """Size of the state."""
    layers: Positive = 1
    """How many are stacked."""
    bidirectional: bool = False
    """Whether a second layer reads each window backwards."""
    patch: Positive = 1
    """Rows that are read at a step."""
    dropout: Share = 0.0
    """Share of units that a training step leaves out."""
    normalise: Normalise = "last"
    """How a window is brought to one level: by its last observed value, its mean and deviation (standard), or not."""

    @nn.compact
    def __call__(self, inputs: Inputs, *, train: bool = False) -> Float[Array, "batch horizon targets *outputs"]:
        x, level = normalise(inputs, self.normalise, self.targets)
        side = Side(self.categories, self.dtype, name="side")(inputs)
        x = in_patches(x, self.patch)
        if side is not None:
            x = jnp.concatenate([x, jnp.repeat(side[:, None], x.shape[1], axis=1)], axis=-1)
        x = jnp.swapaxes(x, 0, 1)
        directions = {"": False, "_reverse": True} if self.bidirectional else {"": False}
        for i in range(self.layers):
            layer = functools.partial(
                LSTMLayer, self.hidden, last=i + 1 == self.layers, dtype=self.dtype, kernel=self.kernel
            )
            read = [layer(reverse=back, name=f"layer_{i}{ending}")(x) for ending, back in directions.items()]
            x = Dropout(self.dropout, deterministic=not train)(jnp.concatenate(read, axis=-1))
        out = make_answer(self, x[0], inputs.future, side, train=train)
        return level.restore(formed(out, self.form))
