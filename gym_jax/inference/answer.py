"""From what a network gave to answers in the data's units."""

from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from gym_jax.data.preprocess import Fitted
from gym_jax.data.scale import Scaler
from gym_jax.evaluate.conformal import widen
from gym_jax.evaluate.labels import probabilities_of
from gym_jax.inference.spec import Spec
from gym_jax.inference.window import Series, Window, fitted_for, stamp_of
from gym_jax.ranges import FLOOR, nearest_level

Outputs = Float[np.ndarray, "batch steps targets *outputs"]


class Answer(NamedTuple):
    """What is forecast of one series, or said of one case."""

    times: Shaped[np.ndarray, " steps"] | None
    """When each step is: datetime64[ns], or counts; None where the series did not say when its last row was."""
    values: Float[np.ndarray, "steps targets"]
    """The point forecast; of labels the place of the likeliest class."""
    quantiles: Float[np.ndarray, "steps targets levels"] | None = None
    """Of `spec.levels`; None of a point forecast."""
    intervals: Float[np.ndarray, "steps targets levels 2"] | None = None
    """Both ends for each of `spec.interval_levels`; None when the model was not calibrated."""
    label: str | None = None
    """The likeliest class."""
    probabilities: Float[np.ndarray, " classes"] | None = None
    """Of `spec.classes`."""


def answers(
    spec: Spec, series: Sequence[Series], window: Window, outputs: Outputs, fitted: Fitted | None = None
) -> list[Answer]:
    """Return the answer for each of `series`, whose windows gave `outputs`; padding behind them is left out.

    `outputs` are [batch, steps, targets] or [batch, steps, targets, outputs], in scaled units. `fitted` is what
    `fitted_for` says of the series.
    """
    outputs = np.asarray(outputs)[: len(series)]
    if spec.task == "classify":
        likely = probabilities_of(outputs[:, 0, 0])
        places = likely.argmax(axis=-1)
        return [
            Answer(None, np.full((1, 1), float(place)), None, None, spec.classes[place], likely[row])
            for row, place in enumerate(places)
        ]
    scaler, owner = _scaler(spec, series, fitted), np.arange(len(series))
    levels = quantiles_at(spec, outputs, spec.levels)
    values = scaler.restore(point_of(spec, outputs), owner)
    quantiles = None if levels is None else scaler.restore(levels, owner)
    intervals = _intervals(spec, scaler, series, outputs)
    return [
        Answer(
            times_of(spec, one),
            values[row],
            None if quantiles is None else quantiles[row],
            None if intervals is None else intervals[row],
        )
        for row, one in enumerate(series)
    ]


def point_of(spec: Spec, outputs: Outputs) -> Float[np.ndarray, "batch steps targets"]:
    """Return the point forecast, in scaled units: the middle quantile, the mean of a distribution."""
    kind = spec.loss["kind"]
    if kind == "quantiles":
        return np.sort(outputs, axis=-1)[..., spec.middle]
    return outputs[..., 0] if kind == "gaussian" else outputs


def quantiles_at(
    spec: Spec, outputs: Outputs, levels: Sequence[float]
) -> Float[np.ndarray, "batch steps targets levels"] | None:
    """Return the quantiles nearest to `levels` of those that were trained, or a distribution's own; None of a point."""
    kind = spec.loss["kind"]
    if kind == "quantiles":
        return np.sort(outputs, axis=-1)[..., [nearest_level(spec.levels, level) for level in levels]]
    if kind == "gaussian":
        away = np.array([NormalDist().inv_cdf(level) for level in levels], np.float32)
        mean = outputs[..., :1]
        return mean + (np.abs(outputs[..., 1:] - mean) + np.float32(FLOOR)) * away
    return None


def _scaler(spec: Spec, series: Sequence[Series], fitted: Fitted | None) -> Scaler:
    """Return the scaler of the targets, with a row for each of `series`."""
    if spec.learnt is not None:
        return spec.learnt.target
    return (fitted_for(spec, series) if fitted is None else fitted).scaler


def _intervals(spec: Spec, scaler: Scaler, series: Sequence[Series], outputs: Outputs) -> np.ndarray | None:
    """Return the calibrated intervals: bands moved by what the series' offsets were at the end of the calibration."""
    calibration = spec.calibration
    if calibration is None:
        return None
    wanted = [end for level in calibration.levels for end in ((1 - level) / 2, (1 + level) / 2)]
    ends = quantiles_at(spec, outputs, wanted)
    if ends is None:
        ends = np.repeat(point_of(spec, outputs)[..., None], len(wanted), axis=-1)
    bands = ends.reshape(*ends.shape[:-1], -1, 2).astype(np.float64)
    places = [spec.offset_places.get(one.id, -1) if one.id is not None else -1 for one in series]
    moved = np.stack([calibration.pooled if place < 0 else calibration.own[place] for place in places])
    ends = scaler.restore(widen(bands, moved), np.arange(len(series)))
    for target, least in enumerate(spec.floor):
        if least is not None:
            ends[:, :, target] = np.maximum(ends[:, :, target], least)
    return ends


def times_of(spec: Spec, one: Series) -> np.ndarray | None:
    """Return when each step of a forecast is, None where the series does not say when its last row was."""
    last = stamp_of(spec, one)
    if last is None or spec.task != "forecast":
        return None
    stamps = last + spec.step * np.arange(1, spec.steps + 1)
    return stamps.astype("datetime64[ns]") if spec.clock == "ns" else stamps
