"""What a model computes in: matrix products alone may be rounded to bfloat16, their operands and their answers.

Everything between them is float32 without a cast anywhere else (Micikevicius et al. 2018; Kalamkar et al. 2019): the
parameters, their gradients and the sums of those over time, normalisation, softmax, an LSTM's cell state. The last
product of a model, which makes the forecast, is float32 as well: a forecast of eight bits would move in steps.
"""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array

from gym_jax.ops import Dtype, Kernel, choose, make_product, matmul, matmul_plain

__all__ = ["Dtype", "make_dense", "make_product"]


def make_dense(dtype: Dtype, kernel: Kernel = "auto") -> Callable[..., nn.Dense]:
    """Return `nn.Dense` with a product of `make_product`, and what that raises; its bias is added in float32."""
    multiply = matmul if choose(kernel) else matmul_plain
    make_product(jnp.matmul, dtype)  # raises now, not when the layer is first called

    def dot_general(x: Array, weights: Array, *_: Any, **__: Any) -> Array:
        return multiply(x, weights, dtype)

    return functools.partial(nn.Dense, dot_general=dot_general)
