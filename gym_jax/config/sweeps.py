"""Hydra's grammar of several values: what a key may be, as plain data."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, RangeSweep
from hydra.errors import HydraException

from gym_jax.config.compose import GRAMMAR, named, reason
from gym_jax.errors import ConfigError

FORMS = {
    "list": "model.hidden=[64],[128,64]",
    "choice": "optim=choice(adamw,lion)",
    "range": "model.layers=range(1,5)",
    "interval": "model.dropout=interval(0,0.4)",
    "int": "train.batch_size=int(interval(32,256))",
    "log": "optim.lr=tag(log,interval(1e-4,1e-2))",
}
"""The ways to say what a key may be, each with an example."""


class Choice(NamedTuple):
    """One of several values: `choice(a, b)` or `a,b`."""

    values: tuple[Any, ...]

    @property
    def ends(self) -> Sequence[Any]:
        """The values at which the schema judges it."""
        return self.values


class Interval(NamedTuple):
    """A number between two, both included: `interval(0, 1)`, `int(interval(8, 64))`, `range(1, 10, 3)`.

    `step` is between neighbours, None where there are none; with `log` the exponents are spread evenly.
    """

    low: float
    high: float
    step: float | None = None
    log: bool = False

    @property
    def ends(self) -> Sequence[Any]:
        """The values at which the schema judges it."""
        return (self.low, self.high)

    @property
    def whole(self) -> bool:
        """Whether its numbers are integers."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def values(self) -> tuple[Any, ...] | None:
        """Its numbers in their order; None where it has no step, for there are too many."""
        if self.step is None:
            return None
        count = round((self.high - self.low) / self.step) + 1
        return tuple(self.low + place * self.step for place in range(count))


class Sweep(NamedTuple):
    """A key and what it may be; `text` is how that was written."""

    key: str
    over: Choice | Interval
    text: str


def read_sweep(text: str) -> Sweep | None:
    """Return what `key=...` may be, None when it names one value or none. Raises ConfigError on a bad sweep."""
    key, _, written = text.partition("=")

    def error(message: str, hint: str) -> ConfigError:
        return ConfigError(
            f"`{text}` {message}",
            hint=hint,
            attempt="gymjax tune 'optim.lr=tag(log, interval(1e-4, 1e-2))' 'model.hidden=[64],[128]'",
            code="config.sweep",
        )

    if re.match(r"\s*glob\(", written):
        raise error("names files by a pattern", "give the values: choice(a, b)")
    try:
        found = OverridesParser.create().parse_override(text)
    except HydraException as problem:
        if re.match(r"\s*(\w+\()*(choice|range|interval|tag|sort|shuffle)\(", written):
            raise error(f"can not be read: {reason(problem)}", GRAMMAR) from problem
        return None  # whoever reads settings says what is wrong with it
    if not found.is_sweep_override():
        return None
    if found.package or found.is_add() or found.is_force_add():
        raise error("adds a key", "write key=..., without + and without a package")
    value: Any = found.value()
    key = str(found.key_or_group).replace("/", ".")
    if odd := value.tags - {"log"}:
        raise error(f"has the tag `{min(odd)}`", "the only tag is log: tag(log, interval(1e-4, 1e-2))")
    if value.tags and not isinstance(value, IntervalSweep):
        raise error("has the tag log, but no interval", "tag(log, interval(1e-4, 1e-2))")
    if getattr(value, "shuffle", False):
        raise error("is shuffled", "the order is the seed's: leave shuffle(...) out")
    if isinstance(value, ChoiceSweep):
        return Sweep(key, _choice([_plain(item) for item in value.list], error), written)
    if isinstance(value, RangeSweep):
        return Sweep(key, _range(value, error), written)
    low, high = value.start, value.end
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise error("is no interval", "the first number is the lower one, and both are finite")
    if value.tags and low <= 0:
        raise error("has no logarithm", "with the tag log both ends are above 0")
    return Sweep(key, Interval(low, high, None, bool(value.tags)), written)


def _choice(values: list[Any], error: Any) -> Choice:
    distinct = [value for place, value in enumerate(values) if not _among(value, values[:place])]
    if len(distinct) < len(values):
        raise error("names a value twice", "each value once")
    return Choice(tuple(values))


def _among(value: Any, others: Sequence[Any]) -> bool:
    return any(type(value) is type(other) and value == other for other in others)


def _range(value: Any, error: Any) -> Interval | Choice:
    numbers = np.arange(value.start, value.stop, value.step).tolist()
    if not numbers:
        raise error("is empty", "range(start, stop, step) ends before stop")
    if len(numbers) == 1:
        return Choice(tuple(numbers))
    low, high, step = (
        (numbers[0], numbers[-1], value.step) if value.step > 0 else (numbers[-1], numbers[0], -value.step)
    )
    return Interval(low, high, step)


def _plain(value: Any) -> Any:
    """Return a value of a choice as plain data: Hydra keeps the quotes around text."""
    if isinstance(value, Mapping):
        return named({_plain(key): _plain(item) for key, item in value.items()})
    return [_plain(item) for item in value] if isinstance(value, list) else getattr(value, "text", value)
