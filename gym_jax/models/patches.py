"""Several rows of a window read at once."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def in_patches(x: Float[Array, "batch time channels"], patch: int) -> Float[Array, "batch patches features"]:
    """Return every `patch` rows side by side; the first ones are filled up with zeros before the window."""
    x = jnp.pad(x, ((0, 0), (-x.shape[1] % patch, 0), (0, 0)))
    return x.reshape(x.shape[0], x.shape[1] // patch, -1)
