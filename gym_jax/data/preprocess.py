"""Every step between a Panel and its windows: chosen by settings, fitted on train rows, saved with the run."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np
from annotated_types import Ge, Gt, Le

from gym_jax.data.clip import Bounds, ClipKind, clip, fit_bounds, hampel
from gym_jax.data.features import Cycle, Statistic, add_features
from gym_jax.data.impute import ImputeKind
from gym_jax.data.panel import Panel
from gym_jax.data.reading import FORBID, check_words
from gym_jax.data.scale import ScaleKind, Scaler, Scope, fit_scaler, rows_for
from gym_jax.data.split import Span
from gym_jax.data.static import StaticEncoder, fit_static
from gym_jax.ranges import Positive

Quantile = Annotated[float, Ge(0), Le(1)]


@dataclass(frozen=True)
class Scaling:
    """The scaler, fitted on train rows only, in float64."""

    __pydantic_config__: ClassVar = FORBID

    kind: ScaleKind = "standard"
    """standard: mean and deviation; robust: median and interquartile range; minmax: minimum and range."""
    scope: Scope = "series"
    """series: one scale a series; global: one for all."""
    log1p: bool = False
    """Take log(1 + x) of the targets first; forecasts come back in the data's units."""

    def __post_init__(self) -> None:
        check_words(self)


@dataclass(frozen=True)
class Clipping:
    """What becomes of outlying values before a model sees them; scores are always against what was observed."""

    __pydantic_config__: ClassVar = FORBID

    kind: ClipKind = "none"
    """quantile: to a quantile of the series' train rows; hampel: to a bound around the median of the last rows."""
    low: Quantile = 0.0
    """Quantile that is the lower bound."""
    high: Quantile = 0.999
    """Quantile that is the upper bound."""
    window: Positive = 25
    """Last rows that hampel takes the median of."""
    deviations: Annotated[float, Gt(0)] = 5.0
    """Median absolute deviations (times 1.4826) from the median."""

    def __post_init__(self) -> None:
        check_words(self)
        if self.low >= self.high:
            raise ValueError(f"low {self.low:g} is not below high {self.high:g}")


@dataclass(frozen=True)
class Preprocessing:
    """The steps in their order: clip, make features, impute, scale."""

    __pydantic_config__: ClassVar = FORBID

    clip: Clipping = Clipping()
    lags: tuple[Positive, ...] = ()
    """Channels of the targets that many rows ago; known ahead of time from the horizon on."""
    rolling: tuple[tuple[Positive, Statistic], ...] = ()
    """Channels of a statistic of the targets' last rows, such as [[12, mean], [288, max]]."""
    calendar: tuple[Cycle, ...] = ()
    """Cycles whose sine and cosine are known ahead of time."""
    impute: ImputeKind = "mask"
    """What stands in the past where nothing was observed; targets are never made up."""
    scale: Scaling = Scaling()


class Fitted(NamedTuple):
    """What was learnt from train rows; a row per series where it says so."""

    scaler: Scaler
    encoder: StaticEncoder
    bounds: Bounds | None = None

    def for_series(self, series: Sequence[str], known: Sequence[str], fresh: "Fitted | None" = None) -> "Fitted":
        """Return this for other `series`: rows of the `known` ones are kept, others are taken from `fresh`."""
        if fresh is None:
            place = {name: row for row, name in enumerate(known)}
            rows = np.array([place[name] for name in series], np.int64)
            bounds = self.bounds and Bounds(*(limit[rows] for limit in self.bounds))
            return self._replace(scaler=self.scaler.select(rows), bounds=bounds)
        bounds = self.bounds
        if bounds is not None and fresh.bounds is not None:
            bounds = Bounds(*(rows_for(series, known, *pair) for pair in zip(bounds, fresh.bounds, strict=True)))
        return self._replace(scaler=self.scaler.merge(series, known, fresh.scaler), bounds=bounds)

    def to_json(self) -> dict[str, Any]:
        """Return plain lists; floats keep every bit."""
        return {name: None if part is None else part.to_json() for name, part in self._asdict().items()}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "Fitted":
        """Return what `to_json` wrote."""
        bounds = document["bounds"]
        return cls(
            Scaler.from_json(document["scaler"]),
            StaticEncoder.from_json(document["encoder"]),
            None if bounds is None else Bounds.from_json(bounds),
        )


def make_channels(panel: Panel, options: Preprocessing, bounds: Bounds | None, *, horizon: int) -> Panel:
    """Return the panel that windows are cut from: outliers clipped, features added; the same rows in the same units."""
    if bounds is not None:
        panel = clip(panel, bounds=bounds)
    elif options.clip.kind == "hampel":
        panel = hampel(panel, window=options.clip.window, deviations=options.clip.deviations)
    return add_features(panel, lags=options.lags, rolling=options.rolling, calendar=options.calendar, horizon=horizon)


def fit(panel: Panel, span: Span, options: Preprocessing, *, horizon: int) -> tuple[Fitted, Panel]:
    """Return what the train rows in `span` teach, and the panel that windows are cut from. Raises DataError."""
    bounds = None
    if options.clip.kind == "quantile":
        bounds = fit_bounds(panel, span, low=options.clip.low, high=options.clip.high)
    made = make_channels(panel, options, bounds, horizon=horizon)
    scale = options.scale
    scaler = fit_scaler(made, span, kind=scale.kind, scope=scale.scope, log1p=scale.log1p)
    encoder = fit_static(panel, np.asarray(span.lengths > 0))
    return Fitted(scaler, encoder, bounds), made
