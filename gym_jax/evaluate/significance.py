"""Is one forecast better than another, or is it chance? Two-sided tests of paired losses, in float64."""

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import gammaincc, ndtr, stdtr

Kernel = Literal["rectangular", "bartlett"]
"""Weights of the autocovariances: all 1, or falling linearly to 0 (Newey and West 1987), which is never negative."""
EXACT = 50
"""Pairs up to which the signed-rank test counts all signs; beyond, the normal approximation."""


class DieboldMariano(NamedTuple):
    """The mean of a loss differential and whether it can be 0; statistic and p are NaN where nothing can be said."""

    mean: float
    statistic: float
    p: float
    count: int  # type: ignore[assignment]
    """Differences that were observed."""
    lags: int
    """Autocovariances that were used."""


class Wilcoxon(NamedTuple):
    """The smaller of the two rank sums, and how likely one as small is by chance."""

    statistic: float
    p: float
    count: int  # type: ignore[assignment]
    """Pairs that differ."""


class Friedman(NamedTuple):
    """The mean rank of each of several methods (1 is the lowest loss), and whether they can all be alike."""

    statistic: float
    p: float
    ranks: Float[np.ndarray, " methods"]


def diebold_mariano(
    difference: Float[np.ndarray, " times"], *, horizon: int = 1, kernel: Kernel = "rectangular"
) -> DieboldMariano:
    """Return the test that a loss differential has mean 0 (Diebold and Mariano 1995).

    `difference` is one loss minus another at regular times, NaN where missing. The variance of the mean has
    `horizon - 1` autocovariances; the statistic has the correction of Harvey, Leybourne and Newbold (1997) and
    Student's distribution, as `dm.test` of R's forecast has. Rectangular weights can make the variance negative: the
    test is then that of horizon 1, as in R, which takes what is autocorrelated as independent; `lags` 0 says so.

    Missing times keep their place: an autocovariance takes the pairs there are (Parzen 1963), where R moves what is
    left together. NaN when no more than `horizon` are observed, or when all are the same and not 0.
    """
    seen = np.isfinite(difference)
    count = int(seen.sum())
    mean = float(difference[seen].mean()) if count else math.nan
    if count and np.ptp(difference[seen]) == 0:
        same = mean == 0
        return DieboldMariano(mean, 0.0 if same else math.nan, 1.0 if same else math.nan, count, 0)
    if count <= horizon:
        return DieboldMariano(mean, math.nan, math.nan, count, 0)
    variance = _variance_of_mean(np.where(seen, difference - mean, 0.0), count, horizon - 1, kernel)
    if variance <= 0:
        return diebold_mariano(difference, horizon=1)
    corrected = (count + 1 - 2 * horizon + horizon * (horizon - 1) / count) / count
    statistic = mean / math.sqrt(variance) * math.sqrt(corrected)
    return DieboldMariano(mean, statistic, float(2 * stdtr(count - 1, -abs(statistic))), count, horizon - 1)


def _variance_of_mean(centred: Float[np.ndarray, " times"], count: int, lags: int, kernel: Kernel) -> float:
    """Return the variance of the mean of centred values, 0 where missing."""
    total = centred @ centred
    for lag in range(1, lags + 1):
        weight = 1.0 if kernel == "rectangular" else 1 - lag / (lags + 1)
        total += 2 * weight * (centred[lag:] @ centred[:-lag])
    return float(total) / count**2


def wilcoxon(difference: Float[np.ndarray, " pairs"]) -> Wilcoxon:
    """Return the signed-rank test that paired differences are symmetric about 0 (Wilcoxon 1945).

    Pairs without a difference are left out. Up to 50 pairs the distribution is exact, ties included; beyond, it is the
    normal approximation with the correction for ties and none for continuity.
    """
    values = difference[np.isfinite(difference) & (difference != 0)]
    count = len(values)
    if not count:
        return Wilcoxon(0.0, 1.0, 0)
    ranks, ties = ranks_of(np.abs(values))
    above, whole = float(ranks[values > 0].sum()), count * (count + 1) / 2
    least = min(above, whole - above)
    if count <= EXACT:  # twice the ranks are whole numbers: count the ways to reach each sum
        ways = np.zeros(count * (count + 1) + 1)
        ways[0] = 1
        for rank in (2 * ranks).astype(int):
            ways[rank:] = ways[rank:] + ways[: len(ways) - rank]
        return Wilcoxon(least, min(1.0, float(2 * ways[: int(2 * least) + 1].sum() / 2**count)), count)
    variance = whole * (2 * count + 1) / 12 - ties / 48
    return Wilcoxon(least, float(2 * ndtr((least - whole / 2) / math.sqrt(variance))), count)


def friedman(losses: Float[np.ndarray, "series methods"]) -> Friedman:
    """Return the test that methods rank alike on every series (Friedman 1937), with the correction for ties."""
    count, methods = losses.shape
    below, same = (compare(losses[:, :, None], losses[:, None, :]) for compare in (np.greater, np.equal))
    ranks = 1 + below.sum(2) + (same.sum(2) - 1) / 2
    ties = (same.sum(2) ** 2 - 1).sum()  # of a tie of t: t (t^2 - 1)
    mean = ranks.mean(0)
    spread = 12 * count / (methods * (methods + 1)) * ((mean - (methods + 1) / 2) ** 2).sum()
    left = 1 - ties / (count * methods * (methods**2 - 1))
    statistic = float(spread / left) if left > 0 else 0.0
    return Friedman(statistic, float(gammaincc((methods - 1) / 2, statistic / 2)), mean)


def critical_difference(methods: int, series: int, level: float = 0.95) -> float:
    """Return how far two mean ranks of Friedman's test must lie apart to differ (Nemenyi 1963; Demsar 2006)."""
    low, high = 0.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if within_range(middle, methods) < level else (low, middle)
    return low * math.sqrt(methods * (methods + 1) / (12 * series))


def within_range(width: float, methods: int) -> float:
    """Return the probability that as many standard normal variables all lie within a width of each other."""
    z = np.linspace(-9, 9, 1801)  # the least of them; the trapezoid rule is exact to rounding here
    density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return float(methods * (density * (ndtr(z + width) - ndtr(z)) ** (methods - 1)).sum() * (z[1] - z[0]))


def holm(p: Float[np.ndarray, " tests"]) -> Float[np.ndarray, " tests"]:
    """Return p-values corrected for there being several (Holm 1979); NaN stays and does not count."""
    known = np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known], kind="stable")]
    out = np.full(len(p), np.nan)
    out[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)), 1.0)
    return out


def ranks_of(values: Float[np.ndarray, " n"]) -> tuple[Float[np.ndarray, " n"], float]:
    """Return ranks from 1, the mean rank where values are equal, and the sum of t^3 - t over ties of t."""
    _, place, size = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(size) - (size - 1) / 2)[place], float((size.astype(np.float64) ** 3 - size).sum())


TESTS: dict[str, Callable[..., Any]] = {
    "diebold_mariano": diebold_mariano,
    "wilcoxon": wilcoxon,
    "friedman": friedman,
    "nemenyi": critical_difference,
    "holm": holm,
}
"""What there is, by name."""
