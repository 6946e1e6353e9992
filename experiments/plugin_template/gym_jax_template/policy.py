"""A policy answers each decision out of what was used before it; its keywords are its settings, `deviations:days=7`."""

from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt
from jaxtyping import Float, Int

from gym_jax.allocate.usage import DAY, Workload


def deviations(
    workload: Workload,
    decisions: Int[np.ndarray, " decisions"],
    *,
    days: Annotated[float, Gt(0)] = 14.0,
    many: Annotated[float, Ge(0)] = 3.0,
) -> Float[np.ndarray, " decisions"]:
    """Return the mean usage of the last `days` and `many` standard deviations; NaN where nothing was seen."""
    window, out = max(1, round(days * DAY / workload.step)), np.full(len(decisions), np.nan)
    for place, row in enumerate(decisions):
        seen = workload.usage[max(0, row - window) : row]
        seen = seen[~np.isnan(seen)]
        if len(seen):
            out[place] = seen.mean() + many * seen.std()
    return out
