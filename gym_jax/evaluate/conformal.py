"""Conformal calibration: intervals that hold as often as they say, around any forecast.

A score says how far what came lies outside the forecast's own interval (below 0: inside). Intervals are moved by a
quantile of the scores of held-out windows: conformalised quantile regression (Romano et al. 2019), which is split
conformal with the absolute residual when the interval is a point. Everything is in scaled units, so that series
compare.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple, get_args

import numpy as np
from annotated_types import Gt, Lt
from jaxtyping import Float, Int

from gym_jax.errors import DataError

Method = Literal["adaptive", "series", "global"]
METHODS: tuple[Method, ...] = get_args(Method)
Level = Annotated[float, Gt(0), Lt(1)]
LEVELS: tuple[float, ...] = (0.8, 0.9, 0.95, 0.99)
"""How often an interval is to hold."""
PRIOR = 200
"""Windows of its own at which a series' own quantile counts as much as that of all series together."""
RATE = 0.1
"""How far an adaptive offset moves at most after one window, in mean scores of its series."""
MEMORY = 0.005
"""Share of the newest score in the running mean score: some 200 windows."""
LEAST = 30
"""Held-out values that a calibration needs."""


class Calibration(NamedTuple):
    """By how much intervals are moved outwards, in scaled units; `own` has a row per series."""

    method: Method
    levels: tuple[float, ...]
    series: tuple[str, ...]
    """Those with a row of their own."""
    pooled: Float[np.ndarray, "levels horizon targets"]
    own: Float[np.ndarray, "series levels horizon targets"]
    size: Float[np.ndarray, "levels horizon targets"]
    """Mean absolute score of all series."""
    own_size: Float[np.ndarray, "series levels horizon targets"]
    counts: Int[np.ndarray, " targets"]
    """Held-out values of each target."""

    def start(
        self, series: Sequence[str]
    ) -> tuple[Float[np.ndarray, "n levels horizon targets"], Float[np.ndarray, "n levels horizon targets"]]:
        """Return offset and mean score of each of `series`; those without a row have those of all together."""
        place = {name: row for row, name in enumerate(self.series)}
        rows = [place.get(name, -1) for name in series]
        offsets = np.concatenate([self.own, self.pooled[None]])[rows]
        return offsets, np.concatenate([self.own_size, self.size[None]])[rows]

    def to_json(self) -> dict[str, Any]:
        """Return plain lists; floats keep every bit."""
        return {
            name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in self._asdict().items()
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "Calibration":
        """Return what `to_json` wrote."""
        numbers = {
            name: np.array(document[name], np.float64) for name in ("pooled", "own", "size", "own_size", "counts")
        }
        shape = numbers["pooled"].shape
        return cls(
            document["method"],
            tuple(document["levels"]),
            tuple(document["series"]),
            numbers["pooled"],
            numbers["own"].reshape(-1, *shape),
            numbers["size"],
            numbers["own_size"].reshape(-1, *shape),
            numbers["counts"].astype(np.int64),
        )


def conformal_quantile(scores: Float[np.ndarray, " n"], level: float) -> float:
    """Return the ceil((n + 1) * level)-th smallest score: a new exchangeable one is at most that with probability
    level.

    Infinite where that is more than the n there are. NaN does not count.
    """
    known = scores[~np.isnan(scores)]
    rank = _rank(len(known), level)
    return float(np.partition(known, rank - 1)[rank - 1]) if rank <= len(known) else np.inf


def conformity(
    bands: Float[np.ndarray, "n horizon targets levels 2"], truth: Float[np.ndarray, "n horizon targets"]
) -> Float[np.ndarray, "n levels horizon targets"]:
    """Return how far the truth lies outside each band, below 0 inside; NaN where the truth is."""
    y = truth[..., None]
    return np.moveaxis(np.maximum(bands[..., 0] - y, y - bands[..., 1]), -1, 1)


def calibrate(
    scores: Float[np.ndarray, "n levels horizon targets"],
    owner: Int[np.ndarray, " n"],
    series: Sequence[str],
    *,
    levels: Sequence[float] = LEVELS,
    method: Method = "adaptive",
    prior: float = PRIOR,
) -> Calibration:
    """Return the calibration that held-out scores teach, for each level, step and target on its own.

    `global` takes the conformal quantile of all series. `series` and `adaptive` mix it with the series' own, whose
    weight is n / (n + prior) of its n scores, 0 where these are too few for the level; `adaptive` begins there and
    then follows what comes (`track`). A level that all scores together are too few for takes the largest of them.
    Raises DataError when a target has less than `LEAST` scores.
    """
    counts = (~np.isnan(scores[:, 0])).any(axis=1).sum(axis=0) if len(scores) else np.zeros(scores.shape[3], np.int64)
    if counts.min(initial=LEAST) < LEAST:
        raise DataError(
            f"{int(counts.min()):,} held-out windows are too few to calibrate on: {LEAST} are needed",
            hint="give the val part more rows, or calibrate on other data",
            attempt="gymjax train ... data.split.val=0.2",
            code="data.no_windows",
        )
    known, first = np.unique(np.sort(owner), return_index=True) if method != "global" else (owner[:0], owner[:0])
    rows = np.split(np.argsort(owner, kind="stable"), first[1:])
    pooled, size, _ = _quantiles(scores, levels)
    own, own_size = np.empty((len(known), *pooled.shape)), np.empty((len(known), *pooled.shape))
    for row in range(len(known)):
        found, mean, count = _quantiles(scores[rows[row]], levels)
        enough = np.isfinite(found)
        weight = np.where(enough, count / (count + prior), 0)
        own[row] = weight * np.where(enough, found, 0) + (1 - weight) * _finite(pooled, scores)
        own_size[row] = np.where(count > 0, mean, size)
    names = tuple(series[number] for number in known)
    return Calibration(method, tuple(levels), names, _finite(pooled, scores), own, size, own_size, counts)


class Tracked(NamedTuple):
    """Where adaptive offsets stood: before each window, and after all."""

    offsets: Float[np.ndarray, "rows series levels horizon targets"]
    sizes: Float[np.ndarray, "rows series levels horizon targets"]
    """The running mean absolute score of each series."""
    last: Float[np.ndarray, "series levels horizon targets"]


def track(
    scores: Float[np.ndarray, "rows series levels horizon targets"],
    start: tuple[
        Float[np.ndarray, "series levels horizon targets"], Float[np.ndarray, "series levels horizon targets"]
    ],
    levels: Sequence[float],
    delays: Int[np.ndarray, " horizon"],
    *,
    rate: float = RATE,
    memory: float = MEMORY,
) -> Tracked:
    """Return the offset of each window by the scores known before it, and the offset of the window after the last.

    Quantile tracking (Angelopoulos, Candes and Tibshirani 2023), a form of adaptive conformal inference (Gibbs and
    Candes 2021) that has no infinite intervals: a miss moves the offset outwards, a hit inwards, by rate times the
    running mean score of the series, so that in the long run the level holds whatever comes. The window that begins at
    a row is `scores[row]`, its step h is known when the row `row + delays[h]` is over. NaN teaches nothing. Levels
    rise, and each interval holds those of the levels below it, as `widen` makes them.
    """
    level = np.asarray(levels)[:, None, None]
    offset, size = (part.copy() for part in start)
    out, sizes = np.empty(scores.shape), np.empty(scores.shape)
    steps = np.arange(len(delays))
    for row in range(len(scores)):
        out[row], sizes[row] = offset, size
        begun = row - delays
        before = np.maximum(begun, 0)
        score, used = (np.moveaxis(part[before, :, :, steps], 0, 2) for part in (scores, out))
        known = ~np.isnan(score) & (begun >= 0)[:, None]
        size += np.where(known, memory * (np.abs(score) - size), 0)
        missed = np.logical_and.accumulate(score > used, axis=1)  # a level holds what the levels below it hold
        offset += np.where(known, rate * size * (missed - (1 - level)), 0)
    return Tracked(out, sizes, offset)


def widen(
    bands: Float[np.ndarray, "n horizon targets levels 2"], offsets: Float[np.ndarray, "n levels horizon targets"]
) -> Float[np.ndarray, "n horizon targets levels 2"]:
    """Return the bands moved outwards by their offsets; a wider level always holds the narrower ones.

    Ends that would cross meet in the middle.
    """
    moved = np.moveaxis(offsets, 1, -1)
    low, high = bands[..., 0] - moved, bands[..., 1] + moved
    middle = (low + high) / 2
    low, high = np.minimum(low, middle), np.maximum(high, middle)
    return np.stack([np.minimum.accumulate(low, axis=-1), np.maximum.accumulate(high, axis=-1)], axis=-1)


def _quantiles(scores: np.ndarray, levels: Sequence[float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the conformal quantiles of scores, infinite where there are too few, their mean size, and how many."""
    count = (~np.isnan(scores)).sum(axis=0)
    size = np.where(np.isnan(scores), 0, np.abs(scores)).sum(axis=0) / np.maximum(count, 1)
    ordered = np.concatenate([np.sort(scores, axis=0), np.full((1, *scores.shape[1:]), np.inf)])  # NaN comes last
    rank = np.minimum(_rank(count, np.asarray(levels)[:, None, None]), count + 1)
    found = np.take_along_axis(ordered, rank[None] - 1, axis=0)[0]
    return np.where(rank > count, np.inf, found), size, count


def _rank(count: Any, level: Any) -> Any:
    """Return ceil((n + 1) * level); (n + 1) * 0.9 of 9 is 9, although the product of the floats is above it."""
    return np.ceil(np.round((count + 1) * level, 9)).astype(np.int64)


def _finite(pooled: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the quantiles of all series, the largest score where there are too few for the level."""
    return np.where(np.isfinite(pooled), pooled, np.nan_to_num(np.fmax.reduce(scores, axis=0)))
