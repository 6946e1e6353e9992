"""The recurrence of one LSTM layer (Hochreiter and Schmidhuber 1997), time first."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from gym_jax.ops.product import Dtype, make_product

Past = Float[Array, "time batch features"]
States = Float[Array, "time batch hidden"]
"""Hidden state after every step; one step, the last one read, when only the `last` was asked for."""


def lstm_cell(
    h: Array, c: Array, x: Array, kernel: Array, recurrent: Array, bias: Array, dtype: Dtype = "float32"
) -> tuple[Array, Array]:
    """Return hidden and cell state, both [batch, hidden], after one step (Hochreiter and Schmidhuber 1997).

    `h` and `c` are the states before it and `x` is [batch, features]; `kernel` is [features, gates], `recurrent`
    [hidden, gates] and `bias` [gates], with gates four times the hidden size, in PyTorch's order: input, forget, cell,
    output.

    >>> zero = jnp.zeros((1, 2))
    >>> h, c = jax.eval_shape(lstm_cell, zero, zero, x[0], kernel, recurrent, bias)
    >>> h.shape, c.shape
    ((1, 2), (1, 2))
    """
    product = make_product(jnp.matmul, dtype)
    i, f, g, o = jnp.split(product(x, kernel) + product(h, recurrent) + bias, 4, axis=-1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def lstm_plain(
    x: Past,
    kernel: Float[Array, "features gates"],
    recurrent: Float[Array, "hidden gates"],
    bias: Float[Array, " gates"],
    *,
    reverse: bool = False,
    last: bool = False,
    dtype: Dtype = "float32",
) -> States:
    """Return the hidden states from a state of zero; `reverse` reads backwards, `last` answers with the last alone.

    >>> jax.eval_shape(lstm_plain, x, kernel, recurrent, bias).shape
    (5, 1, 2)
    """

    def step(carry: Any, x: Array) -> Any:
        h, c = carry
        h, c = lstm_cell(h, c, x, kernel, recurrent, bias, dtype)
        return (h, c), h

    zero = jnp.zeros((x.shape[1], recurrent.shape[0]), x.dtype)
    (h, _), states = lax.scan(step, (zero, zero), x, reverse=reverse)
    return h[None] if last else states


def lstm(
    x: Past,
    kernel: Float[Array, "features gates"],
    recurrent: Float[Array, "hidden gates"],
    bias: Float[Array, " gates"],
    *,
    reverse: bool = False,
    last: bool = False,
    dtype: Dtype = "float32",
) -> States:
    """Return what `lstm_plain` does; its gradient is written by hand.

    Of a step are kept what it multiplied and the derivatives of its gates, ready to be multiplied by what comes back:
    the loop backwards has one product and hardly any arithmetic, and the weight gradient is one product behind it.
    All gates are one tanh of [batch, gates], since sigmoid(z) = (tanh(z / 2) + 1) / 2.

    >>> jax.eval_shape(functools.partial(lstm, last=True), x, kernel, recurrent, bias).shape
    (1, 1, 2)
    """
    return _lstm((reverse, last, dtype), x, kernel, recurrent, bias)


Options = tuple[bool, bool, Dtype]


def _forward(options: Options, x: Past, kernel: Array, recurrent: Array, bias: Array) -> tuple[States, Any]:
    reverse, last, dtype = options
    product = make_product(jnp.matmul, dtype)
    hidden = recurrent.shape[0]
    half = jnp.concatenate([jnp.full(2 * hidden, 0.5), jnp.ones(hidden), jnp.full(hidden, 0.5)]).astype(x.dtype)
    weights = jnp.concatenate([kernel, bias[None], recurrent])
    with_one = jnp.concatenate([x, jnp.ones((*x.shape[:2], 1), x.dtype)], axis=-1)

    def step(carry: Any, x: Array) -> Any:
        h, c = carry
        read = jnp.concatenate([x, h], axis=-1)
        ti, tf, g, to = jnp.split(jnp.tanh(half * product(read, weights)), 4, axis=-1)
        i, f, o = 0.5 * ti + 0.5, 0.5 * tf + 0.5, 0.5 * to + 0.5
        new = f * c + i * g
        t = jnp.tanh(new)
        h = o * t
        slopes = g * _slope(ti), c * _slope(tf), i - i * g * g, t * _slope(to)
        return (h, new), (None if last else h, read, (slopes, f, o - o * t * t))

    zero = jnp.zeros((x.shape[1], hidden), x.dtype)
    (h, _), (states, read, slopes) = lax.scan(step, (zero, zero), with_one, reverse=reverse)
    return h[None] if last else states, (kernel, recurrent, read, slopes)


def _backward(options: Options, saved: Any, grads: States) -> tuple[Array, ...]:
    reverse, last, dtype = options
    product = make_product(jnp.matmul, dtype)
    kernel, recurrent, read, slopes = saved
    turned = lax.optimization_barrier(recurrent.T)

    def step(carry: Any, now: Any) -> Any:
        dh, dc = carry
        grad, ((si, sf, sg, so), f, s) = now
        dh = dh if last else dh + grad
        dc = dc + dh * s
        dz = jnp.concatenate([dc * si, dc * sf, dc * sg, dh * so], axis=-1)
        return (product(dz, turned), dc * f), dz

    zero = jnp.zeros((read.shape[1], recurrent.shape[0]), read.dtype)
    begin, each = (grads[0], None) if last else (zero, grads)
    _, dz = lax.scan(step, (begin, zero), (each, slopes), reverse=not reverse)
    # over time and batch at once: merged into one axis, a batch that lies on several devices would be gathered
    together = make_product(lax.dot_general, dtype)(read, dz, (((0, 1), (0, 1)), ((), ())))
    features = kernel.shape[0]
    dkernel, dbias, drecurrent = together[:features], together[features], together[features + 1 :]
    return product(dz, kernel.T), dkernel, drecurrent, dbias


def _slope(t: Array) -> Array:
    """Return the derivative of the sigmoid of z, given the tanh of z / 2."""
    return 0.25 - 0.25 * t * t


_lstm = jax.custom_vjp(
    lambda options, x, kernel, recurrent, bias: _forward(options, x, kernel, recurrent, bias)[0], nondiff_argnums=(0,)
)
_lstm.defvjp(_forward, _backward)
