"""Matrix products in the type that a model computes in."""

import functools
from collections.abc import Callable
from typing import Any, Literal, get_args

import jax.numpy as jnp
from jaxtyping import Array, Float

from gym_jax.errors import ConfigError, did_you_mean

Dtype = Literal["float32", "bfloat16"]
Product = Callable[..., Array]


def make_product(product: Product, dtype: Dtype) -> Product:
    """Return `product(left, right, ...)` with operands of `dtype` and a float32 answer, its gradient alike.

    Shapes are those of the product itself. `float32` is that on every platform: without a word from us, a GPU would
    round operands to TF32 and a TPU to bfloat16. Raises ConfigError when `dtype` is no type to compute in.

    >>> make_product(jnp.matmul, "bfloat16")(jnp.full((1, 1), 1.001), jnp.ones((1, 1)))
    Array([[1.]], dtype=float32)
    """
    if dtype not in get_args(Dtype):
        raise ConfigError(f"dtype={dtype!r} is no type to compute in", hint=did_you_mean(str(dtype), get_args(Dtype)))
    if dtype == "float32":
        return functools.partial(product, precision="highest")

    def rounded(left: Float[Array, "..."], right: Float[Array, "..."], *args: Any, **kwargs: Any) -> Array:
        return product(left.astype(dtype), right.astype(dtype), *args, **kwargs).astype(jnp.float32)

    return rounded
