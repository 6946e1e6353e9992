"""Dropout whose rate is a setting, or a number that the program is given."""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class Kept(NamedTuple):
    """The share that dropout keeps, where it is no constant of the program; all of it draws masks that drop nothing.

    It is what is kept, because 1 minus a rate rounds another way in float32 and would draw another mask now and then.
    """

    share: Float[Array, ""]


class Dropout(nn.Dropout):
    """Flax's dropout, which takes `Kept` in place of a rate too: the same masks as with the rate itself."""

    def __call__(self, inputs: Float[Array, "*shape"]) -> Float[Array, "*shape"]:  # type: ignore[override]
        """Return the inputs with a random part set to 0 and the rest scaled up; as they are when not training."""
        if not isinstance(self.rate, Kept):
            return super().__call__(inputs)
        if self.deterministic:
            return inputs
        kept = jax.random.bernoulli(self.make_rng(self.rng_collection), self.rate.share, inputs.shape)
        return jnp.where(kept, inputs / self.rate.share.astype(inputs.dtype), jnp.zeros_like(inputs))
