"""How often intervals held and how wide they were: overall, per horizon step and per series, in the data's units."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from gym_jax.metrics import plain

Table = Float[np.ndarray, "series horizon targets levels"]


class Coverage(NamedTuple):
    """Sums over observed values of each series, step and target; they add up."""

    values: Table
    inside: Table
    width: Table
    penalty: Table
    """Width and, for what lies outside, 2 / (1 - level) times by how much: the interval score, to be averaged."""

    @classmethod
    def zero(cls, series: int, horizon: int, targets: int, levels: int) -> "Coverage":
        """Return sums of nothing."""
        return cls(*(np.zeros((series, horizon, targets, levels)) for _ in cls._fields))

    def __add__(self, other: "Coverage") -> "Coverage":  # type: ignore[override]
        return Coverage(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


def cover(
    bands: Float[np.ndarray, "n horizon targets levels 2"],
    truth: Float[np.ndarray, "n horizon targets"],
    seen: Bool[np.ndarray, "n horizon targets"],
    owner: Int[np.ndarray, " n"],
    series: int,
    levels: Sequence[float],
) -> Coverage:
    """Return the sums of some windows; `owner` is the series of each. The score is Gneiting and Raftery's (2007)."""
    low, high, y = bands[..., 0], bands[..., 1], truth[..., None]
    width, outside = high - low, np.maximum(low - y, y - high)
    penalty = width + 2 / (1 - np.asarray(levels)) * np.maximum(outside, 0)
    known = np.broadcast_to(seen[..., None], width.shape)
    out = Coverage.zero(series, *width.shape[1:])
    for total, part in zip(out, (np.ones_like(width), outside <= 0, width, penalty), strict=True):
        np.add.at(total, owner, np.where(known, part, 0))
    return out


def summarise(
    total: Coverage, levels: Sequence[float], series: Sequence[str], targets: Sequence[str]
) -> dict[str, Any]:
    """Return plain JSON, for each target a block per level: coverage, mean width and interval score.

    Beside these the spread of the coverage over series (`sd`, `within_5` points of the level, the `worst` below it) and
    what it is per horizon step and per series.
    """
    return {
        name: [_block(total, level, place, t, series) for place, level in enumerate(levels)]
        for t, name in enumerate(targets)
    }


def _block(total: Coverage, level: float, place: int, target: int, series: Sequence[str]) -> dict[str, Any]:
    values, inside, width, penalty = (part[:, :, target, place] for part in total)
    count = values.sum()
    own = _over(inside.sum(1), values.sum(1))
    known = own[~np.isnan(own)]
    worst = int(np.nanargmin(own)) if len(known) else None
    block = {
        "level": level,
        "coverage": _over(inside.sum(), count),
        "width": _over(width.sum(), count),
        "interval_score": _over(penalty.sum(), count),
        "sd": known.std() if len(known) else np.nan,
        "within_5": (np.abs(known - level) <= 0.05).mean() if len(known) else np.nan,
        "worst": None if worst is None else {"id": series[worst], "coverage": float(own[worst])},
        "count": int(count),
        "per_horizon": {"coverage": _over(inside.sum(0), values.sum(0)), "width": _over(width.sum(0), values.sum(0))},
        "per_series": {"id": list(series), "coverage": own},
    }
    nested = {name: {key: plain(value) for key, value in block[name].items()} for name in ("per_horizon", "per_series")}
    return {key: plain(value) for key, value in block.items()} | nested


def _over(total: Any, count: Any) -> Any:
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)[()]
