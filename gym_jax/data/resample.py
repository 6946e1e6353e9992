"""Rows at any times to one regular step: a row belongs to the step it lies in, which is named after its beginning."""

import re
from fractions import Fraction

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from gym_jax.data.panel import Clock
from gym_jax.data.reading import Aggregate
from gym_jax.data.words import shown
from gym_jax.errors import ConfigError

SECOND = 10**9
SIZES = {
    **dict.fromkeys(("ns", "nanosecond", "nanoseconds"), 1),
    **dict.fromkeys(("us", "microsecond", "microseconds"), 10**3),
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), 10**6),
    **dict.fromkeys(("s", "sec", "second", "seconds"), SECOND),
    **dict.fromkeys(("min", "minute", "minutes"), 60 * SECOND),
    **dict.fromkeys(("h", "hour", "hours"), 3_600 * SECOND),
    **dict.fromkeys(("d", "day", "days"), 86_400 * SECOND),
    **dict.fromkeys(("w", "week", "weeks"), 7 * 86_400 * SECOND),
}
"""Nanoseconds of a unit; `m` may be minutes or months and is none."""


def parse_step(text: str, clock: Clock) -> int:
    """Return a step such as `5min` in nanoseconds, or `3` in counts. Raises ConfigError."""
    words = str(text).strip()
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*([a-zA-Z]+)\s*", words)
    size = 0
    if clock == "step":
        size = int(words) if re.fullmatch(r"\d{1,18}", words) else 0
    elif parts and re.fullmatch(r"(\d+(\.\d+)?\s*[a-zA-Z]+\s*)+", words) and all(u.lower() in SIZES for _, u in parts):
        exact = sum(Fraction(count) * SIZES[unit.lower()] for count, unit in parts)
        size = int(exact) if exact.denominator == 1 else 0
    if not 0 < size < 2**62:
        raise ConfigError(
            f"a step of `{shown(text)}` is no {'count of steps' if clock == 'step' else 'length of time'}",
            hint="a whole number, as the times are counts" if clock == "step" else "such as 30s, 5min, 1h or 1d",
        )
    return size


def resample_rows(
    codes: Int[np.ndarray, " rows"],
    times: Int[np.ndarray, " rows"],
    values: Float[np.ndarray, "rows channels"],
    step: int,
    aggregate: Aggregate = "mean",
) -> tuple[Int[np.ndarray, " steps"], Int[np.ndarray, " steps"], Float[np.ndarray, "steps channels"]]:
    """Return the rows of each series and step as one, missing values left out; rows come sorted by series and time.

    Steps are counted from 1970, or from 0: all series share one grid.
    """
    groups = pd.DataFrame(values).groupby([codes, times // step * step], sort=False)
    if aggregate == "p95":
        out = groups.quantile(0.95)
    elif aggregate == "sum":
        out = groups.sum(min_count=1)
    else:
        out = getattr(groups, aggregate)()
    index = out.index
    return (
        index.get_level_values(0).to_numpy(codes.dtype),
        index.get_level_values(1).to_numpy(np.int64),
        out.to_numpy(np.float64),
    )
