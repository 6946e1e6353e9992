"""Whether data still look as they did in training: how values lie, by series and column, against a held-out reference.

NumPy alone, so that a server may ask it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from gym_jax.metrics import plain

LEVELS = np.linspace(0, 1, 11)
"""Quantiles of what training saw: the edges of ten bins, with one more on either side for what it never saw."""
BINS = len(LEVELS) + 1
MIDDLE, LOW, HIGH = 5, 1, 9
HALF = 0.5
"""Added to the count of each bin, so that an empty one has a logarithm (Jeffreys)."""
MOST = 4096
"""Series that are described; of more, as many evenly spaced ones."""
FEWEST = 4
"""Blocks from which a series has a limit of its own; with fewer it has that of the others."""
LEAST, USUAL = 0.1, 0.25
"""Customary bounds of the population stability index: below the first nothing has changed, whatever the limit would be;
the second is the limit where nothing is known."""
DAY, SHORTEST, COUNTED = 86_400 * 10**9, 48, 100
"""Of blocks: nanoseconds of a day, the fewest rows, and the rows where times are counted."""


class Profile(NamedTuple):
    """What train rows looked like: compact, a row per described series."""

    names: tuple[str, ...]
    """Every series of the run."""
    described: Int[np.ndarray, " kept"]
    """Places of the described ones in `names`."""
    columns: tuple[str, ...]
    step: int
    clock: str
    edges: Float[np.ndarray, "kept columns levels"]
    """Quantiles of the observed values, NaN where there was none."""
    counts: Int[np.ndarray, "kept columns bins"]
    missing: Float[np.ndarray, "kept columns"]
    """Share of the rows without a value."""
    limit: Float[np.ndarray, "kept columns"]
    """The largest distance of a held-out block of train rows from the other train rows."""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON; the bins outside are empty by definition and left out."""
        return {
            "names": list(self.names),
            "described": self.described.tolist(),
            "columns": list(self.columns),
            "step": self.step,
            "clock": self.clock,
            "edges": [[plain(edges) for edges in row] for row in self.edges],
            "counts": self.counts[..., 1:-1].tolist(),
            "missing": self.missing.round(6).tolist(),
            "limit": self.limit.round(6).tolist(),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Profile":
        """Return the profile that `to_json` wrote."""
        edges, missing, limit = (np.array(document[name], np.float64) for name in ("edges", "missing", "limit"))
        counts = np.pad(np.array(document["counts"], np.int64), ((0, 0), (0, 0), (1, 1)))
        described = np.array(document["described"], np.int64)
        names, columns = tuple(document["names"]), tuple(document["columns"])
        return cls(names, described, columns, document["step"], document["clock"], edges, counts, missing, limit)


class Rows(NamedTuple):
    """Series laid end to end, as a panel lays them; those from `begin` up to `end` of each count."""

    names: Sequence[str]
    values: Float[np.ndarray, "rows columns"]
    mask: Bool[np.ndarray, "rows columns"]
    begin: Int[np.ndarray, " series"]
    end: Int[np.ndarray, " series"]
    step: int
    clock: str


def make_profile(rows: Rows, columns: Sequence[str]) -> Profile:
    """Return what train rows look like, with how far a held-out day of each series is from its other days."""
    kept = np.unique(np.linspace(0, len(rows.names) - 1, min(MOST, len(rows.names))).round().astype(np.int64))
    shape, size = (len(kept), len(columns)), block_of(rows.step, rows.clock)
    edges, counts = np.full((*shape, len(LEVELS)), np.nan), np.zeros((*shape, BINS), np.int64)
    missing, limit = np.ones(shape), np.full(shape, np.nan)
    for place, series in enumerate(kept):
        own = slice(rows.begin[series], rows.end[series])
        for column in range(len(columns)):
            values, seen = rows.values[own, column], rows.mask[own, column]
            if not seen.any():
                continue
            edges[place, column] = np.quantile(values[seen], LEVELS)
            bins = _bins(values, edges[place, column])
            counts[place, column] = np.bincount(bins[seen], minlength=BINS)
            missing[place, column] = 1 - seen.mean()
            limit[place, column] = _limit(values, seen, bins, size)
    for column in range(len(columns)):
        known = limit[:, column][~np.isnan(limit[:, column])]
        others = np.quantile(known, 0.9) if len(known) else USUAL
        limit[:, column] = np.maximum(np.where(np.isnan(limit[:, column]), others, limit[:, column]), LEAST)
    return Profile(tuple(rows.names), kept, tuple(columns), rows.step, rows.clock, edges, counts, missing, limit)


def block_of(step: int, clock: str) -> int:
    """Return how many rows are compared at once: a day, or as many days as have `SHORTEST` rows."""
    if clock != "ns":
        return COUNTED
    day = max(1, DAY // step)
    return day * -(-SHORTEST // day)


def compare(profile: Profile, rows: Rows) -> dict[str, Any]:
    """Return how far data are from what a profile saw, as plain JSON: in all, by column, by series and column.

    `distance` is the population stability index of a day, its median over the days; a series drifts in a column when it
    is above the largest that a held-out day of its own train rows had. `outside` is the share of values below or above
    all of training, `level` by how many of its spreads (10th to 90th percentile) the median moved, `scale` the spread
    over that of training. Days of which less than half was observed are not compared.
    """
    place = {name: row for row, name in enumerate(rows.names)}
    size = block_of(rows.step, rows.clock)
    found = []
    for row, known in enumerate(profile.described):
        name = profile.names[known]
        if name in place:
            own = slice(rows.begin[place[name]], rows.end[place[name]])
            for column, channel in enumerate(profile.columns):
                one = _compared(profile, row, column, rows.values[own, column], rows.mask[own, column], size)
                found.append({"series": name, "column": channel, **one})
    there, known_names = set(place), set(profile.names)
    judged = {one["series"] for one in found if one["drifted"] is not None}
    drifted = {one["series"] for one in found if one["drifted"]}
    return {
        "step": {
            "trained": profile.step,
            "now": rows.step,
            "changed": (profile.step, profile.clock) != (rows.step, rows.clock),
        },
        "series": {
            "known": len(there & known_names),
            "judged": len(judged),
            "drifted": len(drifted),
            "share": len(drifted) / len(judged) if judged else None,
            "new": sorted(there - known_names),
            "gone": sorted(known_names - there),
        },
        "columns": [_of_column([one for one in found if one["column"] == name], name) for name in profile.columns],
        "rows": [{key: plain(value) for key, value in one.items()} for one in found],
    }


def _compared(
    profile: Profile, row: int, column: int, values: np.ndarray, seen: np.ndarray, size: int
) -> dict[str, Any]:
    """Return how far the rows of one series and column are from those of training; None where it can not be said."""
    edges, counts = profile.edges[row, column], profile.counts[row, column]
    before, limit = float(profile.missing[row, column]), float(profile.limit[row, column])
    missing = float(1 - seen.mean()) if len(seen) else None
    nothing: dict[str, Any] = dict.fromkeys(("distance", "drifted", "outside", "level", "scale"))
    if np.isnan(edges).any() or not seen.any():
        return {**nothing, "limit": limit, "missing": missing, "missing_before": before}
    bins, own = _bins(values, edges), values[seen]
    distances = _distances(_blocks(bins, seen, size), counts)
    distance = float(np.median(distances)) if len(distances) else None
    low, middle, high = np.quantile(own, LEVELS[[LOW, MIDDLE, HIGH]])
    spread = edges[HIGH] - edges[LOW]
    unit = spread or abs(edges[MIDDLE]) or 1.0
    return {
        "distance": distance,
        "limit": limit,
        "drifted": None if distance is None else distance > limit,
        "outside": float(np.isin(bins[seen], (0, BINS - 1)).mean()),
        "level": float((middle - edges[MIDDLE]) / unit),
        "scale": float((high - low) / spread) if spread > 0 else None,
        "missing": missing,
        "missing_before": before,
    }


def _of_column(found: Sequence[Mapping[str, Any]], name: str) -> dict[str, Any]:
    """Return the same of a column over its series: how many drifted, and the middle one of each number."""

    def middle(key: str) -> Any:
        known = [one[key] for one in found if one[key] is not None]
        return plain(float(np.median(known))) if known else None

    judged = [one["drifted"] for one in found if one["drifted"] is not None]
    numbers = ("distance", "limit", "outside", "level", "scale", "missing", "missing_before")
    return {"name": name, "judged": len(judged), "drifted": sum(judged), **{key: middle(key) for key in numbers}}


def _bins(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return the bin of each value: 0 below all edges, then up to and with each edge, the last one above all."""
    bins = np.searchsorted(edges, values, side="left")
    return np.where(values == edges[0], 1, bins)


def _blocks(bins: np.ndarray, seen: np.ndarray, size: int) -> np.ndarray:
    """Return the counts in each bin of each block of rows, the last block whole; of those observed by half."""
    count = len(bins) // size
    if not count:
        return np.zeros((0, BINS), np.int64)
    bins, seen = bins[len(bins) - count * size :], seen[len(seen) - count * size :]
    block = np.repeat(np.arange(count), size)
    counts = np.bincount((block * BINS + bins)[seen], minlength=count * BINS).reshape(count, BINS)
    return counts[counts.sum(axis=1) >= size / 2]


def _distances(counts: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the population stability index of each block against counts of its own, or of all."""
    p, q = counts + HALF, others + HALF
    p, q = p / p.sum(axis=-1, keepdims=True), q / q.sum(axis=-1, keepdims=True)
    return ((p - q) * np.log(p / q)).sum(axis=-1)


def _limit(values: np.ndarray, seen: np.ndarray, bins: np.ndarray, size: int) -> float:
    """Return the largest distance of a block from all other rows; NaN with fewer than `FEWEST` blocks.

    What lies beyond the other rows is outside for a held-out block, as it would be for new data.
    """
    count = len(bins) // size
    if count < FEWEST:
        return np.nan
    tail = slice(len(bins) - count * size, None)
    table, own = np.where(seen, values, np.nan)[tail].reshape(count, size), bins[tail].reshape(count, size)
    with np.errstate(invalid="ignore"):
        low, high = np.fmin.reduce(table, axis=1), np.fmax.reduce(table, axis=1)
        first = _without_each(low, np.fmin, np.inf)
        last = _without_each(high, np.fmax, -np.inf)
        held = np.where(table < first[:, None], 0, np.where(table > last[:, None], BINS - 1, own))
    flat, known = np.repeat(np.arange(count), size), seen[tail]

    def counted(which: np.ndarray) -> np.ndarray:
        return np.bincount((flat * BINS + which.reshape(-1))[known], minlength=count * BINS).reshape(count, BINS)

    blocks, plain_blocks = counted(held), counted(own)
    enough = blocks.sum(axis=1) >= size / 2
    if enough.sum() < FEWEST:
        return np.nan
    rest = np.bincount(bins[seen], minlength=BINS) - plain_blocks
    return float(_distances(blocks, rest)[enough].max())


def _without_each(values: np.ndarray, best: np.ufunc, worst: float) -> np.ndarray:
    """Return for each place the best of all the others."""
    before = np.concatenate([[worst], best.accumulate(values)[:-1]])
    after = np.concatenate([best.accumulate(values[::-1])[:-1][::-1], [worst]])
    return best(before, after)
