"""What a report looks at of a forecast: a sample of test windows, and some series from end to end."""

import shlex
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from gym_jax.data.panel import Panel
from gym_jax.data.words import shown, suggest
from gym_jax.errors import ConfigError
from gym_jax.evaluate.breakdown import hours_of
from gym_jax.evaluate.residuals import autocorrelation
from gym_jax.evaluate.score import forecasters, forecasts
from gym_jax.report.forecasts import View
from gym_jax.run.assemble import build_columns, places, reading, windows_of
from gym_jax.run.calibrate import Calibrated, source_of
from gym_jax.run.intervals import offsets_of, pieces, restored, scores_of
from gym_jax.run.load import Trained

SERIES = 4
"""Series that are drawn."""
ROWS = 288
"""Rows of a series that are drawn: a day of five minutes."""
LONGEST = 4096
"""Windows of a series that are looked at, the last ones; adaptive intervals look at all."""
LAGS = 48


class Sampled(NamedTuple):
    """Forecasts of one target, in the data's units."""

    windows: int
    """Of the whole test part."""
    chosen: int
    """Of the sample."""
    predicted: Float[np.ndarray, "chosen steps"]
    actual: Float[np.ndarray, "chosen steps"]
    """NaN where nothing was observed."""
    by_hour: dict[str, list[float | None]] | None
    """`mae` and `bias` of the 24 hours; None where rows have none."""
    quantiles: dict[float, float]
    """How often the truth was at or below each quantile that the model gives."""
    widths: dict[float, list[float]]
    """Mean width by step of the central intervals that pairs of quantiles make, by their level."""
    correlation: list[float]
    """Of one-step residuals, by lag."""
    residuals: int
    """How many of them there are."""
    views: list[View]


def sample_forecasts(
    trained: Trained,
    calibrated: Calibrated | None,
    *,
    channel: int,
    errors: Sequence[float | None],
    windows: int,
    named: Sequence[str] = (),
    seed: int = 0,
) -> Sampled:
    """Return what at most so many test windows, drawn at random, and a few whole series say of one target.

    `errors` of the series choose which are drawn, the worst, the best, and between, where none are `named`. Raises
    ConfigError when there is no such series.
    """
    rows, series = places(trained.config, trained.prepared, "test")
    panel = trained.prepared.truth
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, 2])))
    chosen = np.sort(generator.choice(len(rows), min(windows, len(rows)), replace=False))
    values = _answers(trained, rows[chosen], series[chosen])[:, :, channel]
    place = rows[chosen][:, None] + np.arange(values.shape[1])
    actual = np.where(panel.mask[place, channel], panel.values[place, channel], np.nan)
    levels = levels_of(trained)
    known = np.isfinite(actual)
    pairs = _pairs(levels)
    lines, views = [], []
    for number, words in _which(panel, errors, named):
        own = rows[series == number]
        found = _whole(trained, calibrated, own, number, channel)
        lines.append(
            found.point[:, 0] - np.where(panel.mask[found.rows, channel], panel.values[found.rows, channel], np.nan)
        )
        views.append(_view(panel, found, words, channel))
    correlation, count = autocorrelation(lines, LAGS)
    return Sampled(
        len(rows),
        len(chosen),
        values[..., 0],
        actual,
        _by_hour(panel, place, values[..., 0] - actual),
        {level: float((actual <= values[..., 1 + k])[known].mean()) for k, level in enumerate(levels) if known.any()},
        {level: (values[..., 1 + high] - values[..., 1 + low]).mean(axis=0).tolist() for level, low, high in pairs},
        correlation.tolist(),
        count,
        views,
    )


def _answers(trained: Trained, rows: np.ndarray, series: np.ndarray) -> np.ndarray:
    """Return point and quantiles of windows: [n, steps, targets, outputs], the mean over members."""
    windows = reading(trained.model, windows_of(trained.config, trained.prepared, rows, series))
    _, view = build_columns(trained.config)
    size = min(trained.config.evaluate.batch_size, max(1, len(rows)))
    several = [
        np.concatenate([part for _, part in forecasts(one, windows, trained.prepared.scaler, batch_size=size)])
        for one in forecasters(trained.model, trained.members, view)
    ]
    return np.mean(several, axis=0)


def levels_of(trained: Trained) -> list[float]:
    """Return the levels of the quantiles that a model gives; none of one that gives a point."""
    endings, _ = build_columns(trained.config)
    return [float(ending.removeprefix("_q")) for ending in endings[1:]]


def _pairs(levels: Sequence[float]) -> list[tuple[float, int, int]]:
    """Return the level of each central interval that two quantiles make, and their places; the narrowest first."""
    found = [
        (round(high - low, 9), i, j)
        for i, low in enumerate(levels)
        for j, high in enumerate(levels)
        if low < 0.5 and abs(low + high - 1) < 1e-9
    ]
    return sorted(found)


def _which(panel: Panel, errors: Sequence[float | None], named: Sequence[str]) -> list[tuple[int, str]]:
    """Return the series to draw, the worst first, each with words about its place among all."""
    if unknown := [name for name in named if name not in panel.series]:
        raise ConfigError(
            f"there is no series `{shown(unknown[0])}`",
            hint=suggest(unknown[0], panel.series),
            attempt=f"gymjax report RUN --series {shlex.quote(panel.series[0])} --html report.html",
        )
    known = [place for place, value in enumerate(errors) if value is not None and np.isfinite(value)]
    order = sorted(known, key=lambda place: -float(errors[place] or 0))
    places = [place for place, number in enumerate(order) if panel.series[number] in named]
    places = places or sorted({round(place) for place in np.linspace(0, len(order) - 1, SERIES)}) if order else []
    out = []
    for place in places:
        at = "worst" if not place else "best" if place == len(order) - 1 else f"number {place + 1:,} from the worst"
        words = f"MAE {errors[order[place]]:.4g}, {at} of {len(order):,} series"
        out.append((order[place], words if len(order) > 1 else ""))
    return out


class _Series(NamedTuple):
    rows: Int[np.ndarray, " n"]
    owner: int
    point: Float[np.ndarray, "n steps"]
    levels: tuple[float, ...]
    bands: Float[np.ndarray, "n steps levels 2"] | None


def _whole(trained: Trained, calibrated: Calibrated | None, rows: np.ndarray, owner: int, channel: int) -> _Series:
    """Return forecasts and intervals of the windows of one series."""
    if calibrated is None:
        rows, levels = rows[-LONGEST:], levels_of(trained)
        values = _answers(trained, rows, np.full(len(rows), owner))[:, :, channel]
        pairs = _pairs(levels)
        ends = [np.stack([values[..., 1 + low], values[..., 1 + high]], axis=-1) for _, low, high in pairs]
        bands = np.stack(ends, axis=2) if ends else None
        return _Series(rows, owner, values[..., 0], tuple(level for level, _, _ in pairs), bands)
    source, panel = source_of(trained), trained.prepared.truth
    fitted = calibrated.calibration
    (piece,) = pieces(source, rows, np.full(len(rows), owner), fitted.levels)
    offsets = offsets_of(source, fitted, piece, scores_of(source, panel, piece)).offsets
    bands = restored(source, piece, offsets, calibrated.floor)[:, :, channel]
    return _Series(piece.rows, owner, piece.point[..., channel], tuple(fitted.levels), bands)


def _view(panel: Panel, found: _Series, about: str, channel: int) -> View:
    """Return the last forecasts of a series that follow each other without an overlap, one at least."""
    steps, last = found.point.shape[1], int(found.rows[-1])
    begin = last + steps - max(ROWS, steps)
    kept, free = [], max(begin, int(found.rows[0]))
    for place, row in enumerate(found.rows):
        if row >= free:
            kept.append(place)
            free = int(row) + steps
    rows = (found.rows[kept][:, None] + np.arange(steps)).reshape(-1)
    actual = np.where(panel.mask[rows, channel], panel.values[rows, channel], np.nan)
    drawn = _drawn(found.levels)
    bands = None if found.bands is None else found.bands[kept].reshape(len(rows), len(found.levels), 2)[:, drawn]
    begins = tuple(range(0, len(rows), steps)) if steps > 1 else ()
    times = panel.times(np.full(len(rows), found.owner), rows)
    name, levels = panel.series[found.owner], tuple(found.levels[place] for place in drawn)
    return View(name, times, actual, found.point[kept].reshape(-1), begins, levels, bands, about)


def _drawn(levels: Sequence[float]) -> list[int]:
    """Return the places of at most two levels: the narrowest, and the one nearest to 95 %. More hide each other."""
    if not levels:
        return []
    return sorted({0, min(range(len(levels)), key=lambda place: abs(levels[place] - 0.95))})


def _by_hour(panel: Panel, rows: np.ndarray, residuals: np.ndarray) -> dict[str, list[float | None]] | None:
    hours = hours_of(panel)
    if hours is None:
        return None
    known = np.isfinite(residuals)
    group, values = hours[rows][known], residuals[known]
    counts = np.bincount(group, minlength=24)
    means = [np.bincount(group, part, 24) / np.maximum(counts, 1) for part in (np.abs(values), values)]
    errors, bias = ([float(v) if n else None for v, n in zip(part, counts, strict=True)] for part in means)
    return {"mae": errors, "bias": bias}
