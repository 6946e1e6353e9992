"""Scores of forecasts on real windows: overall, per horizon step and per series, in the data's units."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from gym_jax.data.order import sequential
from gym_jax.data.panel import Panel
from gym_jax.data.scale import Scaler
from gym_jax.data.windows import Windows
from gym_jax.metrics import Totals, measure, plain, summarise
from gym_jax.train.parallel import make_forecast
from gym_jax.types import Model

ROWS_AT_ONCE = 1 << 16
"""Windows forecast per compiled call; bounds the memory, not the result."""

Forecast = Callable[[Windows, Int[np.ndarray, "steps batch"]], Float[np.ndarray, "steps batch horizon targets"]]


class Target(NamedTuple):
    """The totals of one target channel, grouped three ways; `scaled` is `horizon` in naive errors of each series."""

    overall: Totals
    horizon: Totals
    series: Totals
    scaled: Totals


def forecasters(
    model: Model, members: Sequence[Any], point: Callable[[Any], Any] | None = None
) -> tuple[Forecast, ...]:
    """Return the forecast of a model with each of several weights, compiled once for all.

    `point` makes one value of several outputs.
    """
    compiled = make_forecast(model)
    point = point or (lambda answer: answer)

    def of(variables: Any) -> Forecast:
        return lambda windows, order: np.asarray(point(compiled(variables, windows, order)))

    return tuple(map(of, members))


def forecasts(
    forecast: Forecast, windows: Windows, scaler: Scaler, *, batch_size: int, count: int | None = None
) -> Iterable[tuple[Int[np.ndarray, " n"], Float[np.ndarray, "n horizon targets"]]]:
    """Yield positions of windows and their forecasts in the data's units, in order, every window once.

    Only the first `count` windows where the others are but room: any number of them is then one compiled program.
    """
    order = sequential(len(windows) if count is None else count, batch_size)
    series = np.asarray(windows.series)
    steps = max(1, ROWS_AT_ONCE // batch_size)
    steps = steps if count is None else min(steps, -(-len(windows) // batch_size))
    for begin in range(0, len(order), steps):
        part = order[begin : begin + steps]
        if len(part) < steps and (begin or count is not None):  # the same shape again: no second compilation
            part = np.pad(part, ((0, steps - len(part)), (0, 0)), constant_values=-1)
        predicted = np.asarray(forecast(windows, part))
        index = part.reshape(-1)
        real = index >= 0
        values = predicted.reshape(-1, *predicted.shape[2:])[real]
        yield index[real], scaler.restore(values, series[index[real]])


def score(
    forecast: Forecast,
    windows: Windows,
    panel: Panel,
    scaler: Scaler,
    naive: Float[np.ndarray, "series targets"],
    *,
    batch_size: int,
) -> tuple[Target, ...]:
    """Return the totals of each target over every observed element that the windows forecast.

    `naive` is each series' naive error on its train rows, the unit of MASE; the panel holds what the windows forecast.
    """
    return score_members((forecast,), windows, panel, scaler, naive, batch_size=batch_size)[0]


def score_members(
    members: Sequence[Forecast],
    windows: Windows,
    panel: Panel,
    scaler: Scaler,
    naive: Float[np.ndarray, "series targets"],
    *,
    batch_size: int,
    count: int | None = None,
) -> list[tuple[Target, ...]]:
    """Return what `score` does of each of several forecasts and, of more than one, last that of their mean."""
    several = len(members) + (len(members) > 1)
    totals = [_nothing(windows.steps, len(panel.series), panel.targets) for _ in range(several)]
    parts = [forecasts(member, windows, scaler, batch_size=batch_size, count=count) for member in members]
    for pieces in zip(*parts, strict=True):
        index, answers = pieces[0][0], [answer for _, answer in pieces]
        if len(members) > 1:
            answers.append(np.mean(answers, axis=0))
        totals = [_add(old, windows, panel, naive, index, answer) for old, answer in zip(totals, answers, strict=True)]
    return totals


def _nothing(horizon: int, series: int, targets: int) -> tuple[Target, ...]:
    groups = (1, horizon, series, horizon)
    return tuple(Target(*(Totals.zero(size) for size in groups)) for _ in range(targets))


def _add(
    totals: tuple[Target, ...],
    windows: Windows,
    panel: Panel,
    naive: Float[np.ndarray, "series targets"],
    index: Int[np.ndarray, " n"],
    predicted: Float[np.ndarray, "n horizon targets"],
) -> tuple[Target, ...]:
    """Return the totals with the forecasts of some windows added."""
    horizon, series = windows.steps, np.asarray(windows.series)
    origins = np.asarray(windows.origins) - windows.room
    count = len(panel.series)
    steps = np.arange(horizon)
    rows = origins[index][:, None] + steps
    owner = series[index][:, None]
    out = []
    for channel, old in enumerate(totals):
        truth, seen, guess = panel.values[rows, channel], panel.mask[rows, channel], predicted[..., channel]
        by_series = measure(guess, truth, seen, owner, count)
        by_step = measure(guess, truth, seen, steps[None, :], horizon)
        unit = naive[series[index], channel][:, None]
        known, unit = seen & (unit > 0), np.where(unit > 0, unit, 1.0)
        scaled = measure(guess / unit, truth / unit, known, steps[None, :], horizon)
        new = Target(by_series.collapse(), by_step, by_series, scaled)
        out.append(Target(*(before.merge(now) for before, now in zip(old, new, strict=True))))
    return tuple(out)


def report(
    totals: Sequence[Target], panel: Panel, naive: Float[np.ndarray, "series targets"], more: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the errors as plain JSON, a block per target: overall, per horizon step and per series.

    MASE overall is the mean over series (Makridakis et al. 2020), per horizon step the mean over values. `more` names
    metrics of plug-ins.
    """
    out: dict[str, Any] = {}
    for channel, (overall, horizon, series, scaled_horizon) in enumerate(totals):
        per_series = summarise(series, naive[:, channel], more)
        block: dict[str, Any] = {key: float(value[0]) for key, value in summarise(overall, more=more).items()}
        known = (naive[:, channel] > 0) & (series.count > 0)  # NaN of these is a forecast that is no number
        block["mase"] = float(per_series["mase"][known].mean()) if known.any() else float("nan")
        block["count"] = int(overall.count[0])
        block = {key: plain(value) for key, value in block.items()}
        per_horizon = {**summarise(horizon, more=more), "mase": summarise(scaled_horizon)["mae"]}
        block["per_horizon"] = {key: plain(value) for key, value in per_horizon.items()}
        block["per_series"] = {"id": list(panel.series)} | {key: plain(value) for key, value in per_series.items()}
        out[panel.channels[channel]] = block
    return out


def verdict(
    name: str, model: Mapping[str, Mapping[str, Any]], baselines: Mapping[str, Mapping[str, Mapping[str, Any]]]
) -> str:
    """Return one clear sentence: does the model beat every baseline on MAE, and if not, which one it loses to."""
    sentences = []
    for target, own in model.items():
        rivals = {
            kind: scores[target]["mae"] for kind, scores in baselines.items() if scores[target]["mae"] is not None
        }
        if own["mae"] is None:
            sentences.append(f"{target}: the forecast of {name} is not finite.")
            continue
        if not rivals:
            sentences.append(f"{target}: nothing to compare with.")
            continue
        best = min(rivals, key=rivals.__getitem__)
        if not rivals[best]:
            sentences.append(f"{target}: {name} does NOT beat `{best}`, which makes no error at all.")
            continue
        gain = 1 - own["mae"] / rivals[best]
        if own["mae"] < rivals[best]:
            sentences.append(
                f"{target}: {name} beats every baseline; its MAE is {gain:.1%} below the best of them, `{best}`."
            )
        else:
            losses = [kind for kind, mae in rivals.items() if own["mae"] >= mae]
            sentences.append(
                f"{target}: {name} does NOT beat {' or '.join(f'`{kind}`' for kind in losses)}; "
                f"its MAE is {abs(gain):.1%} above the best baseline, `{best}`."
            )
    return " ".join(sentences)
