"""How surprising a value is: its conformal p-value among held-out ones, on the scale of its own series."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

TAIL = 1000
"""The most surprising held-out values, of which each is kept; of the others as many, evenly."""
TINY = 1e-9
"""Least mean score, in scaled units: where a series has stood still, rounding is no surprise."""


class Surprises(NamedTuple):
    """Held-out surprises of one target, rising, with how many lie at or above each, and above it."""

    values: Float[np.ndarray, " kept"]
    reached: Float[np.ndarray, " kept"]
    passed: Float[np.ndarray, " kept"]
    count: int  # type: ignore[assignment]

    def p_value(self, surprise: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """Return (1 + those at or above) / (n + 1): at most p with probability p for a value like the held-out ones.

        Between two that are kept all those above the lower one count: it is too large rather than too small.
        """
        place = np.searchsorted(self.values, surprise, side="right") - 1  # -1: below all of them
        equal = np.concatenate([self.values, [np.nan]])[place] == surprise
        many = np.where(equal, np.append(self.reached, self.count)[place], np.append(self.passed, self.count)[place])
        return np.where(np.isnan(surprise), np.nan, (1 + many) / (self.count + 1))

    def to_json(self) -> dict[str, Any]:
        """Return plain lists."""
        arrays = (self.values, self.reached, self.passed)
        return {name: part.tolist() for name, part in zip(self._fields, arrays, strict=False)} | {"count": self.count}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "Surprises":
        """Return what `to_json` wrote."""
        values, reached, passed = (np.array(document[name], np.float64) for name in cls._fields[:3])
        return cls(values, reached, passed, document["count"])


def surprise_of(score: Float[np.ndarray, "..."], offset: Any, size: Any) -> Float[np.ndarray, "..."]:
    """Return how far a score lies beyond its interval, in mean scores of its series; below 0 inside."""
    return (score - offset) / np.maximum(size, TINY)


def collect(surprises: Float[np.ndarray, " n"]) -> Surprises:
    """Return the table of held-out surprises; NaN does not count."""
    ordered = np.sort(surprises[~np.isnan(surprises)])
    count = len(ordered)
    spread = np.linspace(0, max(count - TAIL, 0), TAIL, endpoint=False).astype(np.int64)[:count]
    values = np.unique(ordered[np.union1d(spread, np.arange(max(count - TAIL, 0), count))])
    reached, passed = (count - np.searchsorted(ordered, values, side=side) for side in ("left", "right"))
    return Surprises(values, reached.astype(np.float64), passed.astype(np.float64), count)
