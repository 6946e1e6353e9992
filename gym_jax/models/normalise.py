"""Reversible normalisation of each window, an option of every model: it matters more than the architecture.

Last-value subtraction is NLinear's (Zeng et al. 2023); mean and deviation per window is RevIN's (Kim et al. 2022),
without its learnt affine part.
"""

from typing import Literal, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from gym_jax.types import Inputs

Normalise = Literal["none", "last", "standard"]
Form = Literal["free", "rising", "around"]
"""What a head makes of the outputs of a value: nothing, each above the one before, or so from the middle outwards."""
FLOOR = 1e-5
"""Added to the variance of a window, in scaled units squared."""


class Level(NamedTuple):
    """What was taken out of each window, per channel."""

    shift: Float[Array, "batch 1 channels"]
    scale: Float[Array, "batch 1 channels"]

    def restore(
        self, prediction: Float[Array, "batch horizon targets *outputs"]
    ) -> Float[Array, "batch horizon targets *outputs"]:
        """Put it back into a prediction of the first channels: into each output of a value alike."""
        targets, behind = prediction.shape[2], (1,) * (prediction.ndim - 3)

        def of_targets(part: Array) -> Array:
            return part[..., :targets].reshape(-1, 1, targets, *behind)

        return prediction * of_targets(self.scale) + of_targets(self.shift)


def formed(outputs: Float[Array, "*shape outputs"], form: Form) -> Float[Array, "*shape outputs"]:
    """Return the outputs of each value as a head made them, or rising: each above the one before by a softplus.

    `around` begins at the middle one and goes both ways. What the others cost does not move the middle: it learns as if
    it were alone.
    """
    if form == "free":
        return outputs
    place = 0 if form == "rising" else (outputs.shape[-1] - 1) // 2
    first, away = outputs[..., place : place + 1], nn.softplus(outputs)
    start = first if form == "rising" else lax.stop_gradient(first)
    below = jnp.flip(jnp.cumsum(jnp.flip(away[..., :place], -1), axis=-1), -1)
    return jnp.concatenate([start - below, first, start + jnp.cumsum(away[..., place + 1 :], axis=-1)], axis=-1)


def last_axes(targets: int, outputs: int) -> tuple[int, ...]:
    """Return the axes of a forecast behind the horizon: outputs have one when there are several."""
    return (targets,) if outputs == 1 else (targets, outputs)


def normalise(
    inputs: Inputs, kind: Normalise, targets: int = 1
) -> tuple[Float[Array, "batch context channels"], Level]:
    """Return the normalised past, 0 where it was not observed, and what was taken out.

    The known channels stay as they are: a calendar phase or a flag means something by its value, not by its change.
    Raises ValueError when the past does not hold the targets and, behind them, the known channels.
    """
    past = inputs.past
    assert past is not None, "the model needs `inputs.past`"
    known = known_channels(inputs)
    if past.shape[-1] < targets + known:
        raise ValueError(
            f"a past of {past.shape[-1]} channels has no room for {targets} targets and {known} known channels: "
            "what `future` continues are the last channels of `past`"
        )
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
    if known:
        shift, scale = shift.at[..., -known:].set(0), scale.at[..., -known:].set(1)
    return (past - shift) / scale * seen, Level(shift, scale)


def known_channels(inputs: Inputs) -> int:
    """Return how many of the last channels of the past are known ahead of time: those that `future` continues."""
    return 0 if inputs.future is None else inputs.future.shape[-1]


def last_seen(inputs: Inputs) -> Float[Array, "batch 1 channels"]:
    """Return the last observed value of each channel, 0 where none was."""
    past, mask = inputs.past, inputs.mask
    assert past is not None
    if mask is None:
        return past[:, -1:]
    age = jnp.argmax(mask[:, ::-1], axis=1, keepdims=True)
    last = jnp.take_along_axis(past, past.shape[1] - 1 - age, axis=1)
    return jnp.where(mask.any(axis=1, keepdims=True), last, 0)
