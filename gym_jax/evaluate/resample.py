"""Intervals without a distribution: what resampling whole blocks of a series says."""

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float

RESAMPLES = 2000
LEVEL = 0.95
CELLS = 1 << 21
"""Numbers drawn at once; bounds the memory, not the result."""

Blocks = Literal["circular", "moving"]
"""Blocks may run over the end into the beginning (Politis and Romano 1992), or not (Kunsch 1989)."""


class Interval(NamedTuple):
    """Where the middle `level` of the resampled values lie."""

    low: float
    high: float


def block_sums(
    values: Float[np.ndarray, "parts times"],
    *,
    block: int,
    resamples: int = RESAMPLES,
    seed: int = 0,
    kind: Blocks = "circular",
) -> Float[np.ndarray, "resamples parts"]:
    """Return the sums of each row over resampled times: blocks of `block` neighbours, drawn alike for all rows.

    A resample has as many times as there are; its last block is cut short. Blocks of 1 are the ordinary bootstrap. What
    is drawn does not depend on the values, so that methods resampled with one seed are paired.
    """
    parts, times = values.shape
    block = min(block, times)
    count = -(-times // block)
    rest = times - (count - 1) * block
    starts = times if kind == "circular" else times - block + 1
    wrapped = np.concatenate([np.zeros((parts, 1)), values, values[:, : block - 1]], axis=1)
    total = np.cumsum(wrapped, axis=1)
    whole, last = (total[:, size : size + starts] - total[:, :starts] for size in (block, rest))
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence(seed)))
    out = np.empty((resamples, parts))
    portion = max(1, CELLS // count)
    for begin in range(0, resamples, portion):
        drawn = generator.integers(starts, size=(min(portion, resamples - begin), count))
        for part in range(parts):
            out[begin : begin + portion, part] = whole[part][drawn[:, :-1]].sum(1) + last[part][drawn[:, -1]]
    return out


def interval(draws: Float[np.ndarray, " resamples"], level: float = LEVEL) -> Interval:
    """Return the percentile interval of resampled values; NaN when one of them is no number."""
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2]) if len(draws) else (np.nan, np.nan)
    return Interval(float(low), float(high))


def bootstrap_mean(
    difference: Float[np.ndarray, " times"],
    *,
    block: int,
    resamples: int = RESAMPLES,
    seed: int = 0,
    kind: Blocks = "circular",
    level: float = LEVEL,
) -> Interval:
    """Return the block bootstrap's interval of the mean of paired differences at regular times."""
    sums = block_sums(difference[None], block=block, resamples=resamples, seed=seed, kind=kind)
    return interval(sums[:, 0] / len(difference), level)


def block_length(times: int, horizon: int) -> int:
    """Return a length of blocks: the cube root of the times, at least two horizons, at most a third of the times.

    Losses of forecasts that overlap depend on each other over a horizon; a block must be longer to keep that.
    """
    return max(1, min(max(2 * horizon, round(times ** (1 / 3))), times // 3))
