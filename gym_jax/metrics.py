"""Forecast errors as mergeable totals in float64 and the data's units; division comes once, last.

MSE, MAE, RMSE, R2 and sMAPE follow Hyndman and Koehler (2006); MASE is scaled by the seasonal naive error of the
training rows; sMAPE is in percent, 0 to 200, and 0 where forecast and truth are both 0.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from gym_jax.plugins import Registry, function

PerGroup = Float[np.ndarray, " groups"]

ROUNDING = 1e-12
"""A truth whose deviation is below this share of its mean does not vary."""


class Totals(NamedTuple):
    """Sums over observed elements of each group (a series, a horizon step, or all): arrays of shape [groups].

    `mean` and `spread` (sum of squared deviations) of the truth merge by the formula of Chan et al. (1983), which keeps
    the variance of values near 1e9.

    >>> half = measure(np.array([1.0]), np.array([2.0]), np.array([True]), np.array([0]), 1)
    >>> both = half.merge(measure(np.array([5.0]), np.array([2.0]), np.array([True]), np.array([0]), 1))
    >>> both.count.tolist(), mae(both).tolist()
    ([2.0], [2.0])
    """

    count: Float[np.ndarray, " groups"]  # type: ignore[assignment]
    """How many elements were observed."""
    absolute: Float[np.ndarray, " groups"]
    """The sum of absolute errors, in the data's units."""
    squared: Float[np.ndarray, " groups"]
    """The sum of squared errors, in their square."""
    relative: Float[np.ndarray, " groups"]
    """The sum of `200 |forecast - truth| / (|forecast| + |truth|)`, in percent."""
    mean: Float[np.ndarray, " groups"]
    """Of the truth, in the data's units."""
    spread: Float[np.ndarray, " groups"]
    """The sum of squared deviations of the truth from it."""

    @classmethod
    def zero(cls, groups: int) -> "Totals":
        """Return totals of nothing."""
        return cls(*(np.zeros(groups) for _ in cls._fields))

    def merge(self, other: "Totals") -> "Totals":
        """Return the totals of both; the order does not matter beyond rounding."""
        count = self.count + other.count
        safe = np.maximum(count, 1)
        apart = other.mean - self.mean
        return Totals(
            count,
            self.absolute + other.absolute,
            self.squared + other.squared,
            self.relative + other.relative,
            self.mean + apart * other.count / safe,
            self.spread + other.spread + apart * apart * self.count * other.count / safe,
        )

    def collapse(self) -> "Totals":
        """Return the totals of all groups together, as one group."""
        whole = Totals.zero(1)
        count = self.count.sum()
        mean = (self.mean * self.count).sum() / max(count, 1)
        spread = (self.spread + self.count * (self.mean - mean) ** 2).sum()
        sums = (self.absolute.sum(), self.squared.sum(), self.relative.sum())
        return whole.merge(Totals(*(np.array([x], np.float64) for x in (count, *sums, mean, spread))))


def measure(
    forecast: Float[np.ndarray, "..."],
    truth: Float[np.ndarray, "..."],
    observed: Bool[np.ndarray, "..."],
    group: Int[np.ndarray, "..."],
    groups: int,
) -> Totals:
    """Return the totals of one chunk; `group` says which group each element belongs to.

    `forecast`, `truth`, `observed` and `group` have one shape, or shapes that broadcast to one.

    >>> totals = measure(np.array([1.0, 5.0]), np.array([2.0, 2.0]), np.array([True, True]), np.array([0, 1]), 2)
    >>> totals.absolute.tolist()
    [1.0, 3.0]
    """
    f, y, g = (np.asarray(x)[observed] for x in np.broadcast_arrays(forecast, truth, group))
    f, y = f.astype(np.float64), y.astype(np.float64)
    error = np.abs(f - y)
    size = np.abs(f) + np.abs(y)
    relative = np.divide(200 * error, size, out=np.zeros_like(error), where=size != 0)

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(g, values, groups)

    count = np.bincount(g, minlength=groups).astype(np.float64)
    safe = np.maximum(count, 1)
    mean = total(y) / safe
    centred = y - mean[g]
    left = total(centred) / safe
    spread = np.maximum(total(centred * centred) - left * left * count, 0.0)
    return Totals(count, total(error), total(error * error), total(relative), mean + left, spread)


def mse(totals: Totals, naive: PerGroup | None = None) -> PerGroup:
    """Return the mean squared error.

    >>> mse(totals).tolist()
    [1.6666666666666667]
    """
    return totals.squared / totals.count


def mae(totals: Totals, naive: PerGroup | None = None) -> PerGroup:
    """Return the mean absolute error.

    >>> mae(totals).tolist()
    [1.0]
    """
    return totals.absolute / totals.count


def rmse(totals: Totals, naive: PerGroup | None = None) -> PerGroup:
    """Return the root of the mean squared error.

    >>> rmse(totals).round(3).tolist()
    [1.291]
    """
    return np.sqrt(mse(totals))


def r2(totals: Totals, naive: PerGroup | None = None) -> PerGroup:
    """Return the coefficient of determination, of a truth that varies; NaN of any other.

    It is 1 less the squared errors over the squared deviations of the truth from its mean.

    >>> r2(totals).round(3).tolist()
    [-0.875]
    """
    varies = totals.spread > totals.count * (ROUNDING * totals.mean) ** 2
    return np.where(varies, 1 - totals.squared / totals.spread, np.nan)


def smape(totals: Totals, naive: PerGroup | None = None) -> PerGroup:
    """Return the symmetric mean absolute percentage error, in percent from 0 to 200.

    >>> smape(totals).round(2).tolist()
    [35.56]
    """
    return totals.relative / totals.count


def mase(totals: Totals, naive: PerGroup | None = None) -> PerGroup:
    """Return the mean absolute error over the `naive` one (Hyndman and Koehler 2006); NaN where that is 0 or not known.

    >>> mase(totals, np.array([2.0])).tolist()
    [0.5]
    """
    if naive is None:
        return np.full_like(totals.absolute, np.nan)
    return np.where(naive > 0, mae(totals) / naive, np.nan)


def _per_group(name: str, thing: Any) -> Callable[..., PerGroup]:
    """Return a metric that somebody adds. Raises TypeError when it is none."""
    with np.errstate(all="ignore"):
        answer = function(name, thing)(Totals(*(np.ones(2) for _ in Totals._fields)), np.ones(2))
    if np.shape(answer) != (2,):
        raise TypeError(f"it makes {np.shape(answer)} of the totals of two groups, not a value of each")
    return thing


HIGHER = frozenset({"r2", "accuracy", "macro_f1", "auroc"})
"""Metrics of which more is better; of what plug-ins add, less is."""
METRICS: Registry[Callable[..., PerGroup]] = Registry(
    "metrics",
    {"mse": mse, "mae": mae, "rmse": rmse, "r2": r2, "smape": smape, "mase": mase},
    _per_group,
    taken=(
        "val_loss",
        "count",
        "per_horizon",
        "per_series",
        "below",
        "per_class",
        "confusion",
        *HIGHER,
        "log_loss",
        "brier",
        "ece",
    ),
)
"""Metrics by name: `(totals, naive) -> value of each group`. What else scores hold is taken."""


def summarise(totals: Totals, naive: PerGroup | None = None, more: Iterable[str] = ()) -> dict[str, PerGroup]:
    """Return every metric per group; NaN where a group is empty, or its truth or naive error does not vary.

    `naive` is the mean absolute seasonal naive error on the training rows, in the data's units, for MASE; `more` names
    metrics of plug-ins.

    >>> {name: round(float(value[0]), 3) for name, value in summarise(totals, np.array([2.0])).items()}
    {'mse': 1.667, 'mae': 1.0, 'rmse': 1.291, 'r2': -0.875, 'smape': 35.556, 'mase': 0.5}
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return {name: METRICS[name](totals, naive) for name in dict.fromkeys([*METRICS, *more])}


def added(block: Mapping[str, Any]) -> list[str]:
    """Return the metrics of plug-ins among the scores of a target.

    >>> added({"mae": 1.0, "count": 3, "pinball_99": 0.2})
    ['pinball_99']
    """
    return [name for name, value in block.items() if not METRICS.is_own(name) and isinstance(value, float | None)]


def naive_errors(
    values: Float[np.ndarray, "rows targets"],
    mask: Bool[np.ndarray, "rows targets"],
    begins: Int[np.ndarray, " series"],
    ends: Int[np.ndarray, " series"],
    season: int,
) -> Float[np.ndarray, "series targets"]:
    """Return per series the mean of `|y[t] - y[t - season]|` over rows `begin + season <= t < end`; NaN of none.

    >>> values = np.array([[1.0], [3.0], [2.0], [6.0]])
    >>> naive_errors(values, np.ones((4, 1), bool), np.array([0]), np.array([4]), season=2).tolist()
    [[2.0]]
    """
    out = np.full((len(begins), values.shape[1]), np.nan)
    for i, (begin, end) in enumerate(zip(begins, ends, strict=True)):
        if end - begin > season:
            both = mask[begin + season : end] & mask[begin : end - season]
            error = np.abs(values[begin + season : end] - values[begin : end - season])
            count = both.sum(axis=0)
            out[i] = np.where(count > 0, (error * both).sum(axis=0) / np.maximum(count, 1), np.nan)
    return out


def plain(value: Any) -> Any:
    """Return a JSON value: an array of any shape as lists, rounded to nothing, NaN and infinity as null.

    >>> plain(np.array([1.5, np.nan]))
    [1.5, None]
    """
    if isinstance(value, np.ndarray):
        return [plain(v) for v in value.tolist()]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value
