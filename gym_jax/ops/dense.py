"""The product of a dense layer, whose weight gradient is the slow one on a CPU."""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from gym_jax.ops.product import Dtype, make_product

MANY = 4
"""Rows, as a multiple of the kernel's longer side, from which a transpose of the small result pays."""
SMALL = 4e6
"""Operations of a product up to which transposing its operand apart pays too."""


def matmul_plain(
    x: Float[Array, "*rows inputs"], kernel: Float[Array, "inputs outputs"], dtype: Dtype = "float32"
) -> Float[Array, "*rows outputs"]:
    """Return `x @ kernel`.

    >>> matmul_plain(jnp.array([[1.0, 2.0]]), jnp.array([[3.0], [4.0]]))
    Array([[11.]], dtype=float32)
    """
    return make_product(jnp.matmul, dtype)(x, kernel)


def matmul(
    x: Float[Array, "*rows inputs"], kernel: Float[Array, "inputs outputs"], dtype: Dtype = "float32"
) -> Float[Array, "*rows outputs"]:
    """Return `x @ kernel`; its weight gradient is a product that XLA's fast library takes.

    That library (YNNPACK) multiplies only what is contracted over the last axis of the left side. What autodiff makes,
    `x.T @ dy` with the transpose folded in, goes to a routine of half its speed. A transpose of its own, of the
    narrower side, costs less.

    >>> matmul(jnp.array([[1.0, 2.0]]), jnp.array([[3.0], [4.0]]))
    Array([[11.]], dtype=float32)
    """
    return _matmul(dtype, x, kernel)


def weight_gradient(
    x: Float[Array, "*rows inputs"], dy: Float[Array, "*rows outputs"], dtype: Dtype = "float32"
) -> Float[Array, "inputs outputs"]:
    """Return `x.T @ dy` over all rows."""
    product = make_product(jnp.matmul, dtype)
    x, dy = x.reshape(-1, x.shape[-1]), dy.reshape(-1, dy.shape[-1])
    rows, inputs, outputs = len(x), x.shape[1], dy.shape[1]
    small = 2 * rows * inputs * outputs < SMALL
    if rows < MANY * max(inputs, outputs) and not small:
        return product(x.T, dy)
    turned = apart if small else lambda turned: turned
    return product(turned(x.T), dy) if inputs <= outputs else apart(product(turned(dy.T), x)).T


def apart(x: Array) -> Array:
    """Return the array, kept from being folded into what uses it."""
    return lax.optimization_barrier(x)


def _forward(dtype: Dtype, x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return matmul_plain(x, kernel, dtype), (x, kernel)


def _backward(dtype: Dtype, saved: tuple[Array, Array], dy: Array) -> tuple[Array, Array]:
    x, kernel = saved
    return matmul_plain(dy, kernel.T, dtype), weight_gradient(x, dy, dtype)


_matmul = jax.custom_vjp(lambda dtype, x, kernel: matmul_plain(x, kernel, dtype), nondiff_argnums=(0,))
_matmul.defvjp(_forward, _backward)
