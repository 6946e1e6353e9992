"""Losses: elementwise functions of prediction and target, never a mean. The step weighs and divides."""

from collections.abc import Callable
from typing import Annotated

import jax.numpy as jnp
from annotated_types import Gt, Lt
from jaxtyping import Array, Float

Elementwise = Float[Array, "*shape"]


def mse(prediction: Elementwise, target: Elementwise) -> Elementwise:
    """Return the squared error."""
    return jnp.square(prediction - target)


def mae(prediction: Elementwise, target: Elementwise) -> Elementwise:
    """Return the absolute error."""
    return jnp.abs(prediction - target)


def huber(prediction: Elementwise, target: Elementwise, *, delta: Annotated[float, Gt(0)] = 1.0) -> Elementwise:
    """Return half the squared error up to `delta`, linear beyond (Huber 1964)."""
    error = jnp.abs(prediction - target)
    inside = jnp.minimum(error, delta)
    return 0.5 * inside * inside + delta * (error - inside)


def pinball(
    prediction: Elementwise, target: Elementwise, *, quantile: Annotated[float, Gt(0), Lt(1)] = 0.5
) -> Elementwise:
    """Return the quantile loss: `quantile` times what is missing, `1 - quantile` times what is too much."""
    error = target - prediction
    return jnp.maximum(quantile * error, (quantile - 1) * error)


LOSSES: dict[str, Callable[..., Array]] = {"mse": mse, "mae": mae, "huber": huber, "pinball": pinball}
