"""Several methods on the same windows: a leaderboard, and for every pair whether the difference can be chance.

A difference is called one when two ways to look at it agree: the Diebold-Mariano test over origins, corrected after
Holm for the number of pairs, and the interval of a block bootstrap. The first follows the textbook and trusts
autocovariances up to the horizon, the second keeps longer memory.
"""

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from gym_jax.errors import DataError
from gym_jax.evaluate.resample import LEVEL, block_length, block_sums, interval
from gym_jax.evaluate.significance import (
    DieboldMariano,
    Kernel,
    critical_difference,
    diebold_mariano,
    friedman,
    holm,
    wilcoxon,
)
from gym_jax.metrics import plain

ALPHA = 1 - LEVEL
SEVERAL = 5
"""Series from which methods are ranked over series."""


class Field(NamedTuple):
    """Paired losses: what each method cost in the same windows, as sums over the values that a window forecasts."""

    names: tuple[str, ...]
    series: tuple[str, ...]
    owner: Int[np.ndarray, " windows"]
    """The series of each window."""
    place: Int[np.ndarray, " windows"]
    """Its origin, in steps since the first there is."""
    counts: Float[np.ndarray, " windows"]
    losses: Float[np.ndarray, "methods windows"]

    def scaled(self, naive: Float[np.ndarray, " series"]) -> "Field":
        """Return the field for MASE: losses in naive errors of each series, every series with the same weight.

        Windows of series whose naive error is 0 or not known are left out. Raises DataError when none is left.
        """
        seen = np.bincount(self.owner, self.counts, len(self.series))
        keep = ((naive > 0) & (seen > 0))[self.owner]
        if not keep.any():
            raise DataError(
                "no series has a seasonal naive error above 0, the unit of MASE",
                hint="their train rows never change, or are no longer than a season; compare by another metric",
                attempt="gymjax compare ... --metric mae",
                code="compare.mase",
            )
        owner = self.owner[keep]
        losses = self.losses[:, keep] / (naive * seen)[owner]
        return self._replace(owner=owner, place=self.place[keep], counts=self.counts[keep] / seen[owner], losses=losses)

    def sums(
        self, group: Int[np.ndarray, " windows"], groups: int
    ) -> tuple[Float[np.ndarray, "methods groups"], Float[np.ndarray, " groups"]]:
        """Return losses and counts added up within groups of windows."""
        losses = np.stack([np.bincount(group, row, groups) for row in self.losses])
        return losses, np.bincount(group, self.counts, groups)


def value_of(metric: str, mean: np.ndarray) -> np.ndarray:
    """Return a metric out of the mean of its loss."""
    return np.sqrt(mean) if metric == "rmse" else mean


def overall(field: Field, metric: str) -> Float[np.ndarray, " methods"]:
    """Return the metric of every method over all windows."""
    return value_of(metric, field.losses.sum(axis=1) / field.counts.sum())


def compare(field: Field, metric: str, *, horizon: int, seed: int = 0) -> dict[str, Any]:
    """Return `leaderboard` (the best first), `pairs` and, of three methods and five series or more, `friedman`.

    Intervals of 95 %: of a method over series, resampled whole; of a pair over blocks of origins, all series together.
    Differences are the first method's metric minus the second's. What can not be said is None.
    """
    losses, counts = field.sums(field.owner, len(field.series))
    known = counts > 0
    means = np.full(losses.shape, np.nan)
    np.divide(losses, counts, out=means, where=known)
    values = overall(field, metric)
    ranks = None
    if known.sum() >= SEVERAL and len(field.names) > 1 and np.isfinite(means[:, known]).all():
        ranks = friedman(means[:, known].T)
    board = _leaderboard(field, metric, values, (losses[:, known], counts[known]), seed)
    for row in board:
        place = field.names.index(row["name"])
        row["mean_rank"] = None if ranks is None else float(ranks.ranks[place])
    document: dict[str, Any] = {"leaderboard": board, "pairs": _pairs(field, metric, values, means, horizon, seed)}
    document["friedman"] = None
    if ranks is not None and len(field.names) > 2:
        document["friedman"] = {
            "series": int(known.sum()),
            "statistic": ranks.statistic,
            "p": ranks.p,
            "critical_difference": critical_difference(len(field.names), int(known.sum()), LEVEL),
        }
    return document


def _leaderboard(
    field: Field, metric: str, values: np.ndarray, sums: tuple[np.ndarray, np.ndarray], seed: int
) -> list[dict[str, Any]]:
    losses, counts = sums
    bounds = [(np.nan, np.nan)] * len(values)
    if len(counts) > 1:
        drawn = block_sums(np.vstack([losses, counts]), block=1, seed=seed)
        bounds = [interval(value_of(metric, drawn[:, i] / drawn[:, -1])) for i in range(len(values))]
    order = np.argsort(values, kind="stable")  # NaN last
    rows = [
        {"rank": rank + 1, "name": field.names[i], metric: values[i], "low": bounds[i][0], "high": bounds[i][1]}
        for rank, i in enumerate(order)
    ]
    return [{key: plain(value) for key, value in row.items()} for row in rows]


def differential(
    losses: Float[np.ndarray, " times"], counts: Float[np.ndarray, " times"]
) -> Float[np.ndarray, " times"]:
    """Return a differential per time whose mean is the whole difference over the whole count; NaN where nothing was.

    The mean of sums of unequal counts is a ratio; a time has the part in it that its linearisation says.
    """
    seen = counts > 0
    usual = counts[seen].mean() if seen.any() else np.nan
    mean = losses.sum() / counts.sum() if seen.any() else np.nan
    return np.where(seen, mean + (losses - mean * counts) / usual, np.nan)


def robust_test(difference: Float[np.ndarray, " times"], horizon: int) -> tuple[DieboldMariano, Kernel]:
    """Return the Diebold-Mariano test with rectangular weights or, where these give no variance, Bartlett's.

    R goes on without autocovariances there, which claims more than is known.
    """
    found = diebold_mariano(difference, horizon=horizon)
    if found.lags == horizon - 1 or found.count <= horizon:
        return found, "rectangular"
    return diebold_mariano(difference, horizon=horizon, kernel="bartlett"), "bartlett"


def _pairs(
    field: Field, metric: str, values: np.ndarray, means: np.ndarray, horizon: int, seed: int
) -> list[dict[str, Any]]:
    times = int(field.place.max()) + 1
    losses, counts = field.sums(field.place, times)
    block = block_length(times, horizon)
    drawn = block_sums(np.vstack([losses, counts]), block=block, seed=seed)
    drawn = drawn[drawn[:, -1] > 0]  # of far gaps a resample may hold nothing else
    drawn = value_of(metric, drawn[:, :-1] / drawn[:, -1:])
    spans = list(_spans(field))
    chosen = list(itertools.combinations(range(len(field.names)), 2))
    tests = [robust_test(differential(losses[i] - losses[j], counts), horizon) for i, j in chosen]
    corrected = holm(np.array([test.p for test, _ in tests]))
    out = []
    for (i, j), (test, kernel), p in zip(chosen, tests, corrected, strict=True):
        low, high = interval(drawn[:, i] - drawn[:, j])
        apart = means[i] - means[j]
        ranks = wilcoxon(apart)
        clear = p < ALPHA and (low > 0 or high < 0)
        pair = {
            "first": field.names[i],
            "second": field.names[j],
            "difference": values[i] - values[j],
            "low": low,
            "high": high,
            "block": block,
            "diebold_mariano": {**_facts(test), "p_holm": p, "kernel": kernel},
            "wilcoxon": {**ranks._asdict(), "lower": int((apart < 0).sum()), "higher": int((apart > 0).sum())},
            "per_series": _per_series(field, (i, j), apart, spans, horizon),
            "better": field.names[i if values[i] < values[j] else j] if clear else None,
        }
        pair = {key: _plain(value) for key, value in pair.items()}
        out.append({**pair, "sentence": sentence(pair, metric, dict(zip(field.names, values.tolist(), strict=True)))})
    return out


def _spans(field: Field) -> Iterator[tuple[Int[np.ndarray, " own"], Int[np.ndarray, " own"], int]]:
    """Yield the windows of each series, their places counted from its first, and how many places there are."""
    order = np.lexsort((field.place, field.owner))
    bounds = np.searchsorted(field.owner[order], np.arange(len(field.series) + 1))
    for begin, end in itertools.pairwise(bounds):
        own = order[begin:end]
        place = field.place[own] - (field.place[own[0]] if len(own) else 0)
        yield own, place, int(place[-1]) + 1 if len(own) else 0


def _per_series(
    field: Field, pair: tuple[int, int], apart: np.ndarray, spans: list[Any], horizon: int
) -> dict[str, Any]:
    """Return the test of each series alone, corrected for their number."""
    tests = []
    for own, place, times in spans:
        losses, counts = np.zeros(times), np.zeros(times)
        losses[place] = field.losses[pair[0], own] - field.losses[pair[1], own]
        counts[place] = field.counts[own]
        tests.append(robust_test(differential(losses, counts), horizon)[0])
    p = np.array([test.p for test in tests])
    statistic = np.array([test.statistic for test in tests])
    return {"id": list(field.series), "difference": apart, "statistic": statistic, "p": p, "p_holm": holm(p)}


def _facts(test: DieboldMariano) -> dict[str, Any]:
    return {"statistic": test.statistic, "p": test.p, "origins": test.count, "lags": test.lags}


def _plain(value: Any) -> Any:
    return {key: plain(inner) for key, inner in value.items()} if isinstance(value, dict) else plain(value)


def sentence(pair: dict[str, Any], metric: str, values: dict[str, float]) -> str:
    """Return one clear sentence: which of two is better, or that there is no evidence of a difference."""
    first, second, apart = pair["first"], pair["second"], pair["difference"]
    neither = f"no evidence of a difference between {first} and {second}"
    if apart is None or pair["diebold_mariano"]["p_holm"] is None:
        wrong = [name for name in (first, second) if not np.isfinite(values[name])]
        if wrong:
            return f"{neither}: the forecast of {' and '.join(wrong)} is not finite."
        few = f"{pair['diebold_mariano']['origins']} origins are too few to test"
        return f"{neither}: {few}, or the difference never varies."
    if not apart:
        return f"{neither}: they cost the same."
    low, high = (pair["low"], pair["high"]) if apart > 0 else (-pair["high"], -pair["low"])
    lower, higher = (second, first) if apart > 0 else (first, second)
    fewer = pair["wilcoxon"]["higher" if apart > 0 else "lower"]
    p = pair["diebold_mariano"]["p_holm"]
    share = f" ({abs(apart) / values[higher]:.1%})" if values[higher] else ""
    name = metric.upper()
    facts = (
        f"{abs(apart):.4g}{share} below, 95 % interval {low:.4g} to {high:.4g}, "
        f"{'p < 0.001' if p < 0.001 else f'p = {p:.3f}'}; lower in {fewer} of {len(pair['per_series']['id'])} series."
    )
    if pair["better"]:
        return f"{lower} is better than {higher}: its {name} lies {facts}"
    return f"{neither}: the {name} of {lower} lies {facts}"
