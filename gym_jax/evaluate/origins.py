"""What forecasts cost at each origin: one number a window, so that methods can be paired and memory stays small."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from gym_jax.data.panel import Panel
from gym_jax.data.scale import Scaler
from gym_jax.data.windows import Windows
from gym_jax.evaluate.score import Forecast, forecasts

Error = Callable[[np.ndarray, np.ndarray], np.ndarray]


def absolute(forecast: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the absolute error."""
    return np.abs(forecast - truth)


def squared(forecast: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the squared error."""
    return (forecast - truth) ** 2


def relative(forecast: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the symmetric relative error in percent, 0 where both are 0."""
    error, size = np.abs(forecast - truth), np.abs(forecast) + np.abs(truth)
    return np.divide(200 * error, size, out=np.zeros_like(error), where=size != 0)


ERRORS: dict[str, Error] = {
    "mae": absolute,
    "mse": squared,
    "rmse": squared,
    "smape": relative,
    "mase": absolute,
}
"""The error of a value whose mean a metric is made of. R2 is none of its own: on the same values it ranks as RMSE."""


class OriginLosses(NamedTuple):
    """Sums over the observed values that each window forecasts, of one target."""

    counts: Float[np.ndarray, " windows"]
    losses: Float[np.ndarray, "members windows"]
    """Of each model and, of more than one, last of the mean of their forecasts."""


def origin_losses(
    members: Sequence[Forecast],
    windows: Windows,
    panel: Panel,
    scaler: Scaler,
    *,
    metric: str,
    channel: int = 0,
    batch_size: int,
) -> OriginLosses:
    """Return what the forecasts of several models and their mean cost in every window, in the data's units."""
    error, size = ERRORS[metric], len(members) + (len(members) > 1)
    counts, losses = np.zeros(len(windows)), np.zeros((size, len(windows)))
    origins = np.asarray(windows.origins) - windows.room
    parts = [forecasts(member, windows, scaler, batch_size=batch_size) for member in members]
    for pieces in zip(*parts, strict=True):
        index, answers = pieces[0][0], [answer[..., channel] for _, answer in pieces]
        if len(members) > 1:
            answers.append(np.mean(answers, axis=0))
        rows = origins[index][:, None] + np.arange(windows.steps)
        truth, seen = panel.values[rows, channel], panel.mask[rows, channel]
        counts[index] = seen.sum(axis=1)
        for place, answer in enumerate(answers):
            losses[place, index] = np.where(seen, error(answer, truth), 0.0).sum(axis=1)
    return OriginLosses(counts, losses)


def origins_of(windows: Windows, panel: Panel) -> tuple[Int[np.ndarray, " windows"], Int[np.ndarray, " windows"]]:
    """Return the series of every window and the time of its first target, in the panel's count."""
    series = np.asarray(windows.series).astype(np.int64)
    return series, panel.stamps(series, np.asarray(windows.origins) - windows.room)
