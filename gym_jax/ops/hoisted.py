"""The recurrence of one LSTM layer for platforms on which every product costs a launch: few and large ones."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from gym_jax.ops.kernel import Kernel, choose
from gym_jax.ops.lstm import Options, Past, States, lstm, lstm_plain
from gym_jax.ops.product import Dtype, make_product

UNROLL = 4
"""Steps in one turn of the loop: an H200 takes half the time of one step a turn, and gains 3 % by 10."""


def lstm_hoisted(
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

    What the inputs add to the gates is one product before the loop, and their gradients and those of the weights are
    one each behind it: a step has a single product, forwards and backwards.

    >>> jax.eval_shape(functools.partial(lstm_hoisted, last=True), x, kernel, recurrent, bias).shape
    (1, 1, 2)
    """
    return _hoisted((reverse, last, dtype), x, kernel, recurrent, bias)


def choose_lstm(kernel: Kernel) -> Callable[..., States]:
    """Return the recurrence of a kernel; fast is `lstm` on a CPU and `lstm_hoisted` on other platforms.

    Raises ConfigError for an unknown word.

    >>> choose_lstm("plain").__name__
    'lstm_plain'
    """
    if not choose(kernel, faster_on=("cpu", "gpu")):
        return lstm_plain
    return lstm if jax.default_backend() == "cpu" else lstm_hoisted


def _forward(options: Options, x: Past, kernel: Array, recurrent: Array, bias: Array) -> tuple[States, Any]:
    reverse, last, dtype = options
    product = make_product(jnp.matmul, dtype)

    def step(carry: Any, driven: Array) -> Any:
        h, c = carry
        i, f, g, o = jnp.split(driven + product(h, recurrent), 4, axis=-1)
        i, f, g, o = jax.nn.sigmoid(i), jax.nn.sigmoid(f), jnp.tanh(g), jax.nn.sigmoid(o)
        new = f * c + i * g
        t = jnp.tanh(new)
        slopes = g * i * (1 - i), c * f * (1 - f), i * (1 - g * g), t * o * (1 - o)
        return (o * t, new), (o * t, (jnp.concatenate(slopes, axis=-1), f, o * (1 - t * t)))

    zero = jnp.zeros((x.shape[1], recurrent.shape[0]), x.dtype)
    driven = product(x, kernel) + bias
    (h, _), (states, slopes) = lax.scan(step, (zero, zero), driven, reverse=reverse, unroll=UNROLL)
    before = [states[1:], zero[None]] if reverse else [zero[None], states[:-1]]
    return h[None] if last else states, (x, kernel, recurrent, jnp.concatenate(before), slopes)


def _backward(options: Options, saved: Any, grads: States) -> tuple[Array, ...]:
    reverse, last, dtype = options
    product = make_product(jnp.matmul, dtype)
    x, kernel, recurrent, before, slopes = saved

    def step(carry: Any, now: Any) -> Any:
        dh, dc = carry
        grad, (gates, f, s) = now
        dh = dh if last else dh + grad
        dc = dc + dh * s
        dz = jnp.concatenate([dc, dc, dc, dh], axis=-1) * gates
        return (product(dz, recurrent.T), dc * f), dz

    zero = jnp.zeros((x.shape[1], recurrent.shape[0]), x.dtype)
    begin, each = (grads[0], None) if last else (zero, grads)
    _, dz = lax.scan(step, (begin, zero), (each, slopes), reverse=not reverse, unroll=UNROLL)
    # over time and batch at once: merged into one axis, a batch that lies on several devices would be gathered
    over_all = make_product(lax.dot_general, dtype)
    dkernel, drecurrent = (over_all(read, dz, (((0, 1), (0, 1)), ((), ()))) for read in (x, before))
    return product(dz, kernel.T), dkernel, drecurrent, dz.sum((0, 1))


_hoisted = jax.custom_vjp(
    lambda options, x, kernel, recurrent, bias: _forward(options, x, kernel, recurrent, bias)[0], nondiff_argnums=(0,)
)
_hoisted.defvjp(_forward, _backward)
