"""What a model computes in: matrix products alone may be rounded to bfloat16, their operands and their answers.

Everything between them is float32 without a cast anywhere else (Micikevicius et al. 2018; Kalamkar et al. 2019): the
parameters, their gradients and the sums of those over time, normalisation, softmax, an LSTM's cell state. The last
product of a model, which makes the forecast, is float32 as well: a forecast of eight bits would move in steps.
"""

import functools
from collections.abc import Callable
from typing import Any, Literal, get_args

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gym_jax.errors import ConfigError, did_you_mean
from gym_jax.ops import Kernel, choose, matmul, matmul_plain

Dtype = Literal["float32", "bfloat16"]
Product = Callable[..., Array]


def make_product(product: Product, dtype: Dtype) -> Product:
    """Return `product(left, right, ...)` with operands of `dtype` and a float32 answer, its gradient alike.

    Raises ConfigError when `dtype` is no type to compute in.
    """
    if dtype not in get_args(Dtype):
        raise ConfigError(f"dtype={dtype!r} is no type to compute in", hint=did_you_mean(str(dtype), get_args(Dtype)))
    if dtype == "float32":
        return product

    def rounded(left: Float[Array, "..."], right: Float[Array, "..."], *args: Any, **kwargs: Any) -> Array:
        return product(left.astype(dtype), right.astype(dtype), *args, **kwargs).astype(jnp.float32)

    return rounded


def make_dense(dtype: Dtype, kernel: Kernel = "auto") -> Callable[..., nn.Dense]:
    """Return `nn.Dense` with a product of `make_product`, and what that raises; its bias is added in float32."""
    product, multiply = make_product(jnp.matmul, dtype), matmul if choose(kernel) else matmul_plain

    def dot_general(x: Array, weights: Array, *_: Any, **__: Any) -> Array:
        return multiply(x, weights, product)

    return functools.partial(nn.Dense, dot_general=dot_general)
