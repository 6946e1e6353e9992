"""A metric is made of totals, a value for each group; less is better. `evaluate.metrics=[wape]` asks for it."""

import numpy as np
from jaxtyping import Float

from gym_jax.metrics import Totals


def wape(totals: Totals, naive: Float[np.ndarray, " groups"] | None = None) -> Float[np.ndarray, " groups"]:
    """Return the sum of absolute errors over the sum of what came, for usage, which is never below 0."""
    return totals.absolute / (totals.count * totals.mean)
