"""Curves of many points, thinned to what a screen can show: no peak and no dip is lost."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

LEAST, MOST = 16, 4000
"""Points that may be asked for of one curve."""


def thin(values: Float[np.ndarray, " n"], points: int) -> Int[np.ndarray, " kept"]:
    """Return the places to keep, in order, `points` and a few at most: the least and the greatest of every bucket.

    The first and the last place always stay; a bucket of NaN keeps its first.
    """
    count = len(values)
    if count <= points:
        return np.arange(count)
    buckets = max(1, points // 2)
    edges = np.linspace(0, count, buckets + 1).astype(np.int64)
    seen = np.isfinite(values)
    size = int(np.diff(edges).max())
    place = np.minimum(edges[:-1, None] + np.arange(size), edges[1:, None] - 1)
    low = np.where(seen, values, np.inf)[place].argmin(axis=1)
    high = np.where(seen, values, -np.inf)[place].argmax(axis=1)
    rows = np.arange(buckets)
    return np.unique(np.concatenate([[0], place[rows, low], place[rows, high], [count - 1]]))


def thin_around(
    x: Float[np.ndarray, " n"], values: Float[np.ndarray, " n"], points: int, view: tuple[float, float] | None
) -> Int[np.ndarray, " kept"]:
    """Return the places to keep with `points` of them for what is in view, and a quarter of that to each side."""
    if view is None or not len(x):
        return thin(values, points)
    begin, end = (int(place) for place in np.searchsorted(x, view))
    begin, end = max(0, begin - 1), min(len(x), end + 1)  # lines lead out of the picture
    parts: Sequence[tuple[int, int, int]] = (
        (0, begin, points // 4),
        (begin, end, points),
        (end, len(x), points // 4),
    )
    return np.concatenate([first + thin(values[first:last], count) for first, last, count in parts])
