"""What forecasts leave over: whether it hangs together in time."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float


def autocorrelation(series: Iterable[Float[np.ndarray, " steps"]], lags: int) -> tuple[Float[np.ndarray, " lags"], int]:
    """Return the correlation of residuals with those 1 to `lags` steps before, over several series, and their number.

    Each series is taken about its own mean; NaN, where nothing was observed, has no say. A lag without pairs is NaN.
    """
    products, pairs = np.zeros(lags), np.zeros(lags, np.int64)
    squares, count = 0.0, 0
    for values in series:
        known = np.isfinite(values)
        if not known.any():
            continue
        apart = np.where(known, values - values[known].mean(), 0.0)
        squares, count = squares + float(apart @ apart), count + int(known.sum())
        for lag in range(1, min(lags, len(values) - 1) + 1):
            products[lag - 1] += apart[lag:] @ apart[:-lag]
            pairs[lag - 1] += int((known[lag:] & known[:-lag]).sum())
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(pairs > 0, (products / pairs) / (squares / count if count else np.nan), np.nan), count
