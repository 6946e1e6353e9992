"""What several pieces say of their values together, as one scale: added up in float64, whatever the pieces."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from gym_jax.data.panel import Panel
from gym_jax.data.scale import ScaleKind, logarithm, observed, reduced, rows_inside, without_rounding
from gym_jax.data.split import Span


class Moments(NamedTuple):
    """Count, mean, squared distance from it, lowest and highest of the observed values of each channel."""

    count: Float[np.ndarray, " channels"]  # type: ignore[assignment]
    mean: Float[np.ndarray, " channels"]
    squares: Float[np.ndarray, " channels"]
    low: Float[np.ndarray, " channels"]
    high: Float[np.ndarray, " channels"]

    def merge(self, other: "Moments") -> "Moments":
        """Return the moments of both together (Chan, Golub and LeVeque 1979)."""
        count = self.count + other.count
        safe, apart = np.maximum(count, 1), other.mean - self.mean
        return Moments(
            count,
            np.where(self.count == 0, other.mean, self.mean + apart * other.count / safe),
            self.squares + other.squares + apart * apart * self.count * other.count / safe,
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
        )

    def scale(self, kind: ScaleKind) -> tuple[Float[np.ndarray, " channels"], Float[np.ndarray, " channels"]]:
        """Return shift and scale, as `fit_scaler` does for all series together; 0 and 1 where nothing was observed."""
        seen = self.count > 0
        if kind == "minmax":
            largest = np.maximum(np.abs(self.low), np.abs(self.high))
            middle, spread = self.low, without_rounding(self.high - self.low, largest, 1.0)
        else:
            deviation = np.sqrt(self.squares / np.maximum(self.count, 1))
            middle, spread = self.mean, without_rounding(deviation, self.mean, 1.0)
        return np.where(seen, middle, 0.0), np.where(seen, spread, 1.0)


def moments_of(panel: Panel, span: Span, *, log: int = 0) -> Moments:
    """Return the moments of the observed values in `span`; the first `log` channels are log1p'd before."""
    inside = rows_inside(span, len(panel.values))
    whole = np.array([0, len(panel.values)])
    rows = []
    for channel, name in enumerate(panel.channels):
        values, offsets = observed(panel.values[:, channel], inside & panel.mask[:, channel], whole)
        if not len(values):
            rows.append((0.0, 0.0, 0.0, np.inf, -np.inf))
            continue
        values = logarithm(values, name) if channel < log else values
        mean = reduced(np.add, values, offsets) / len(values)
        squares = reduced(np.add, (values - mean) ** 2, offsets)
        rows.append((float(len(values)), mean[0], squares[0], values.min(), values.max()))
    return Moments(*np.array(rows, np.float64).reshape(-1, 5).T)
