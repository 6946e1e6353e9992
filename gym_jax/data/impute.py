"""Missing values of the past filled in: what there is to choose from, and what comes from seasons before."""

from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from gym_jax.data.panel import Panel

ImputeKind = Literal["mask", "forward", "linear", "seasonal"]
"""`mask` fills nothing: missing values are 0 and say so."""


def fill_seasonal(
    panel: Panel, season: int
) -> tuple[Float[np.ndarray, "rows channels"], Bool[np.ndarray, "rows channels"]]:
    """Return the values with missing ones taken from the nearest whole number of seasons before, and which were.

    `season` is in rows; only earlier rows of the same series are looked at, and what none of them holds stays missing.
    """
    values, filled = panel.values.copy(), np.zeros(panel.mask.shape, bool)
    source = np.arange(len(values))
    for channel, seen in enumerate(panel.mask.T):
        missing = np.flatnonzero(~seen)
        start = panel.offsets[np.searchsorted(panel.offsets, missing, "right") - 1]
        source[missing] = np.where(missing - season >= start, missing - season, missing)
        # Every round follows a chain of missing rows twice as far, until it ends at a value or in the first season.
        while not np.array_equal(further := source[source[missing]], source[missing]):
            source[missing] = further
        found = seen[further]
        values[missing[found], channel] = panel.values[further[found], channel]
        filled[missing[found], channel] = True
        source[missing] = missing
    return values, filled
