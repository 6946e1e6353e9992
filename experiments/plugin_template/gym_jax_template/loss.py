"""A loss is elementwise, of prediction and target; its keywords are its settings, `loss.share=0.9`."""

from typing import Annotated

import jax.numpy as jnp
from annotated_types import Gt, Lt
from jaxtyping import Array, Float


def expectile(
    prediction: Float[Array, "*shape"], target: Float[Array, "*shape"], *, share: Annotated[float, Gt(0), Lt(1)] = 0.8
) -> Float[Array, "*shape"]:
    """Return the squared error, `share` of it counted where too little was forecast (Newey and Powell 1987)."""
    error = target - prediction
    return jnp.where(error > 0, share, 1 - share) * jnp.square(error)
