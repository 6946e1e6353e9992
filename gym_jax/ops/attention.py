"""Scaled dot-product self-attention (Vaswani et al. 2017)."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gym_jax.ops.dense import apart
from gym_jax.ops.kernel import Kernel, choose
from gym_jax.ops.product import Dtype, make_product

QKV = Float[Array, "batch tokens heads three_widths"]
"""Queries, keys and values of each head, one behind the other."""
Mixed = Float[Array, "batch tokens heads width"]
LONG = 512
"""Tokens from which cuDNN's attention is faster than XLA's."""


def attention_plain(qkv: QKV, dtype: Dtype = "float32") -> Mixed:
    """Return the values, mixed by the softmax of queries times keys over the root of their width.

    >>> jax.eval_shape(attention_plain, qkv).shape
    (1, 4, 2, 8)
    """
    q, k, v = _heads_first(qkv)
    product = make_product(jnp.matmul, dtype)
    scores = product(q, _turned(k)) * q.shape[-1] ** -0.5
    return jnp.swapaxes(product(jax.nn.softmax(scores), v), 1, 2)


def attention(qkv: QKV, dtype: Dtype = "float32") -> Mixed:
    """Return what `attention_plain` does; its gradient is written by hand.

    The exponentials are kept undivided beside their sums, so that no pass over [tokens, tokens] divides, and the
    softmax is of base 2, whose exponential is cheaper. `D = sum(do * o)` is FlashAttention's (Dao et al. 2022).

    >>> jax.eval_shape(attention, qkv).shape
    (1, 4, 2, 8)
    """
    return _attention(dtype, qkv)


def attention_fused(qkv: QKV, dtype: Dtype = "float32") -> Mixed:
    """Return what `attention_plain` does; of long windows in bfloat16 on a GPU by cuDNN's kernel.

    It takes heads of a multiple of 8; windows shorter than `LONG` tokens gain nothing by it.

    >>> jax.eval_shape(attention_fused, qkv).shape
    (1, 4, 2, 8)
    """
    suits = dtype == "bfloat16" and qkv.shape[1] >= LONG and qkv.shape[-1] % 24 == 0
    if not suits or jax.default_backend() != "gpu":
        return attention_plain(qkv, dtype)
    q, k, v = jnp.split(qkv.astype(dtype), 3, axis=-1)
    return jax.nn.dot_product_attention(q, k, v, implementation="cudnn").astype(qkv.dtype)


def choose_attention(kernel: Kernel) -> Callable[[QKV, Dtype], Mixed]:
    """Return the attention of a kernel: fast is by hand on a CPU, cuDNN's where it gains on other platforms.

    Raises ConfigError for an unknown word.

    >>> choose_attention("plain").__name__
    'attention_plain'
    """
    fast, platform = choose(kernel), jax.default_backend()
    if platform == "cpu":
        return attention if fast else attention_plain
    return attention_plain if kernel == "plain" else attention_fused


def _forward(dtype: Dtype, qkv: QKV) -> tuple[Mixed, tuple[Array, ...]]:
    q, k, v = _heads_first(qkv)
    product = make_product(jnp.matmul, dtype)
    q = q * (q.shape[-1] ** -0.5 / math.log(2))
    scores = product(q, _turned(k))
    weights = jnp.exp2(scores - scores.max(-1, keepdims=True))
    share = 1 / weights.sum(-1, keepdims=True)  # said once: where a compiler makes it of a division, others may not
    out = product(weights, v) * share
    return jnp.swapaxes(out, 1, 2), (q, k, v, weights, share, out)


def _backward(dtype: Dtype, saved: tuple[Array, ...], grad: Mixed) -> tuple[QKV]:
    q, k, v, weights, share, out = saved
    product = make_product(jnp.matmul, dtype)
    grad = jnp.swapaxes(grad, 1, 2) * share
    dv = _turned(apart(product(_turned(grad), weights)))
    dscores = weights * (product(grad, _turned(v)) - (grad * out).sum(-1, keepdims=True))
    dq = product(dscores, k) * q.shape[-1] ** -0.5
    dk = _turned(apart(product(_turned(q), dscores))) * math.log(2)
    return (jnp.swapaxes(jnp.concatenate([dq, dk, dv], axis=-1), 1, 2),)


def _heads_first(qkv: QKV) -> tuple[Array, Array, Array]:
    q, k, v = (jnp.swapaxes(part, 1, 2) for part in jnp.split(qkv, 3, axis=-1))
    return q, k, v


def _turned(x: Float[Array, "*batch rows columns"]) -> Float[Array, "*batch columns rows"]:
    return jnp.swapaxes(x, -1, -2)


_attention = jax.custom_vjp(lambda dtype, qkv: _forward(dtype, qkv)[0], nondiff_argnums=(0,))
_attention.defvjp(_forward, _backward)
