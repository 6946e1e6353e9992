"""The product of a dense layer, whose weight gradient is the slow one on a CPU."""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from gym_jax.ops.kernel import Product

MANY = 4
"""Rows, as a multiple of the kernel's longer side, from which a transpose of the small result pays."""


def matmul_plain(
    x: Float[Array, "*rows inputs"], kernel: Float[Array, "inputs outputs"], product: Product = jnp.matmul
) -> Float[Array, "*rows outputs"]:
    """Return `x @ kernel`."""
    return product(x, kernel)


def matmul(
    x: Float[Array, "*rows inputs"], kernel: Float[Array, "inputs outputs"], product: Product = jnp.matmul
) -> Float[Array, "*rows outputs"]:
    """Return `x @ kernel`; its weight gradient is a product that XLA's fast library takes.

    That library (YNNPACK) multiplies only what is contracted over the last axis of the left side. What autodiff makes,
    `x.T @ dy` with the transpose folded in, goes to a routine of half its speed. A transpose of its own, of the
    narrower side, costs less.
    """
    return _matmul(product, x, kernel)


def weight_gradient(
    x: Float[Array, "*rows inputs"], dy: Float[Array, "*rows outputs"], product: Product = jnp.matmul
) -> Float[Array, "inputs outputs"]:
    """Return `x.T @ dy` over all rows."""
    x, dy = x.reshape(-1, x.shape[-1]), dy.reshape(-1, dy.shape[-1])
    if len(x) < MANY * max(x.shape[1], dy.shape[1]) or x.shape[1] <= dy.shape[1]:
        return product(x.T, dy)
    return apart(product(dy.T, x)).T


def apart(x: Array) -> Array:
    """Return the array, kept from being folded into what uses it."""
    return lax.optimization_barrier(x)


def _forward(product: Product, x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return product(x, kernel), (x, kernel)


def _backward(product: Product, saved: tuple[Array, Array], dy: Array) -> tuple[Array, Array]:
    x, kernel = saved
    return product(dy, kernel.T), weight_gradient(x, dy, product)


_matmul = jax.custom_vjp(lambda product, x, kernel: product(x, kernel), nondiff_argnums=(0,))
_matmul.defvjp(_forward, _backward)
