"""Reversible normalisation of each window, an option of every model: it matters more than the architecture.

Last-value subtraction is NLinear's (Zeng et al. 2023); mean and deviation per window is RevIN's (Kim et al. 2022),
without its learnt affine part.
"""

from typing import Literal, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from gym_jax.types import Inputs

Normalise = Literal["none", "last", "standard"]
FLOOR = 1e-5
"""Added to the variance of a window, in scaled units squared."""


class Level(NamedTuple):
    """What was taken out of each window, per channel."""

    shift: Float[Array, "batch 1 channels"]
    scale: Float[Array, "batch 1 channels"]

    def restore(self, prediction: Float[Array, "batch horizon targets"]) -> Float[Array, "batch horizon targets"]:
        """Put it back into a prediction of the first channels."""
        targets = prediction.shape[-1]
        return prediction * self.scale[..., :targets] + self.shift[..., :targets]


def normalise(inputs: Inputs, kind: Normalise) -> tuple[Float[Array, "batch context channels"], Level]:
    """Return the normalised past, 0 where it was not observed, and what was taken out."""
    past = inputs.past
    assert past is not None, "the model needs `inputs.past`"
    seen = jnp.ones_like(past)
    if inputs.mask is not None:
        seen, past = inputs.mask.astype(past.dtype), jnp.where(inputs.mask, past, 0)  # even NaN is no value there
    shift = jnp.zeros_like(past[:, :1])
    scale = jnp.ones_like(shift)
    if kind == "last":
        shift = last_seen(inputs)
    elif kind == "standard":
        count = jnp.maximum(seen.sum(1, keepdims=True), 1)
        shift = (past * seen).sum(1, keepdims=True) / count
        scale = jnp.sqrt((jnp.square(past - shift) * seen).sum(1, keepdims=True) / count + FLOOR)
    return (past - shift) / scale * seen, Level(shift, scale)


def last_seen(inputs: Inputs) -> Float[Array, "batch 1 channels"]:
    """Return the last observed value of each channel, 0 where none was."""
    past, mask = inputs.past, inputs.mask
    assert past is not None
    if mask is None:
        return past[:, -1:]
    age = jnp.argmax(mask[:, ::-1], axis=1, keepdims=True)
    last = jnp.take_along_axis(past, past.shape[1] - 1 - age, axis=1)
    return jnp.where(mask.any(axis=1, keepdims=True), last, 0)


def side_features(inputs: Inputs) -> Float[Array, "batch features"] | None:
    """Return static features and known-future covariates side by side, for a model's head; None when there are none."""
    parts = [part.reshape(part.shape[0], -1) for part in (inputs.static, inputs.future) if part is not None]
    return jnp.concatenate(parts, axis=-1) if parts else None


def with_side(hidden: Float[Array, "batch features"], inputs: Inputs) -> Float[Array, "batch wider"]:
    """Return `hidden` with the side features behind it."""
    side = side_features(inputs)
    return hidden if side is None else jnp.concatenate([hidden, side], axis=-1)
