"""The scaler: fitted on train rows only, in float64, reversible."""

from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from gym_jax.data.panel import Panel
from gym_jax.data.split import Span

ScaleKind = Literal["standard", "none"]
Scope = Literal["series", "global"]
SMALLEST = 1e-12
"""A deviation below this share of the mean is rounding, not variation: such a channel is only shifted."""


class Scaler(NamedTuple):
    """`scaled = (value - shift) / scale`, one row per series (one row in all when global), in the data's units."""

    shift: Float[np.ndarray, "series channels"]
    scale: Float[np.ndarray, "series channels"]
    shared: bool = False
    """Whether its one row serves every series."""

    def row(self, series: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        """Return the row of the scaler that each series uses."""
        return np.zeros_like(series) if self.shared else series

    def transform(
        self, values: Float[np.ndarray, "n channels"], series: Int[np.ndarray, " n"]
    ) -> Float[np.ndarray, "n channels"]:
        """Return scaled float32 values; the arithmetic is float64."""
        row = self.row(series)
        return ((values - self.shift[row]) / self.scale[row]).astype(np.float32)

    def restore(
        self, scaled: Float[np.ndarray, "n horizon targets"], series: Int[np.ndarray, " n"]
    ) -> Float[np.ndarray, "n horizon targets"]:
        """Return float64 values of the target channels in the data's units."""
        row, targets = self.row(series), scaled.shape[-1]
        return scaled.astype(np.float64) * self.scale[row, None, :targets] + self.shift[row, None, :targets]

    def to_json(self) -> dict[str, Any]:
        """Return plain lists; floats keep every bit."""
        return {"shift": self.shift.tolist(), "scale": self.scale.tolist(), "shared": self.shared}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "Scaler":
        """Return the scaler that `to_json` wrote."""
        shift, scale = (np.array(document[key], np.float64) for key in ("shift", "scale"))
        return cls(shift, scale, bool(document["shared"]))


def fit_scaler(panel: Panel, span: Span, *, kind: ScaleKind = "standard", scope: Scope = "series") -> Scaler:
    """Fit on the observed values of `span` (train rows), population statistics in two float64 passes.

    A constant channel keeps scale 1; a series with no observed value takes the global statistics.
    """
    channels = len(panel.channels)
    if kind == "none":
        return Scaler(np.zeros((1, channels)), np.ones((1, channels)), shared=True)
    inside = np.zeros(len(panel.mask) + 1, np.int64)
    np.add.at(inside, span.begin, 1)
    np.add.at(inside, span.end, -1)
    used = panel.mask & (np.cumsum(inside[:-1]) > 0)[:, None]
    everything = np.array([0, len(used)])
    overall = _moments(panel.values, used, everything)
    if scope == "global":
        return Scaler(overall[0], overall[1], shared=True)
    shift, scale, count = _moments(panel.values, used, panel.offsets)
    blank = count == 0
    return Scaler(np.where(blank, overall[0], shift), np.where(blank, overall[1], scale))


def _moments(values: np.ndarray, used: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    def totals(rows: np.ndarray) -> np.ndarray:
        return np.add.reduceat(rows, offsets[:-1], axis=0)

    count = totals(used.astype(np.int64))
    safe = np.maximum(count, 1)
    mean = totals(np.where(used, values, 0.0)) / safe
    centred = np.where(used, values - np.repeat(mean, np.diff(offsets), axis=0), 0.0)
    deviation = np.sqrt(totals(centred * centred) / safe)
    flat = deviation <= SMALLEST * np.maximum(np.abs(mean), np.finfo(np.float64).tiny)
    return mean, np.where(flat, 1.0, deviation), count
