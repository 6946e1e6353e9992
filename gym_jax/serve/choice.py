"""What a workload would be given for the coming window by a plain rule, and how that would have done."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from gym_jax.metrics import plain


class Band(NamedTuple):
    """An interval of forecasts, step by step."""

    name: str
    upper: str
    """What its upper end is called."""
    low: Float[np.ndarray, " horizon"]
    high: Float[np.ndarray, " horizon"]


def choices(
    bands: Sequence[Band], came: Float[np.ndarray, " horizon"], statistic: str = "none"
) -> list[dict[str, Any]]:
    """Return an allocation for the coming window from each band: the greatest upper end in it.

    `violated` is in how many of the observed steps more was used, `spare` what was left unused on average; None where
    nothing came yet, and where there is no forecast.
    """
    seen = came[np.isfinite(came)]
    what = "in the window" if statistic == "none" else f"of the {statistic} of the window"
    return [
        {
            "band": band.name,
            "rule": f"greatest {band.upper} {what}",
            "value": plain(float(band.high.max())),
            "observed": len(seen),
            "violated": int((seen > band.high.max()).sum()) if len(seen) and np.isfinite(band.high).all() else None,
            "spare": plain(float(np.maximum(band.high.max() - seen, 0).mean())) if len(seen) else None,
        }
        for band in bands
    ]
