"""What is wrong with series that are asked: everything at once, by series, column and row."""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gym_jax.data.words import listed, shown, suggest
from gym_jax.errors import DataError, gathered
from gym_jax.inference.spec import Spec

if TYPE_CHECKING:
    from gym_jax.inference.window import Series

MOST = 20
"""Faults that are told; of more, how many they are."""


def refuse_faults(spec: Spec, series: Sequence["Series"]) -> None:
    """Raise DataError with everything that is wrong."""
    if not series:
        raise DataError("no series is asked", hint="give one at least", code="data.empty")
    problems: list[DataError] = []
    for place, one in enumerate(series):
        problems += [
            DataError(f"series {_named(one, place)}: {text}", hint=hint, code=f"data.{code}")
            for text, hint, code in faults_of(spec, one)
        ]
    if len(problems) > MOST:
        more = DataError(f"and {len(problems) - MOST:,} more", code="data.problems")
        problems = [*problems[:MOST], more]
    if problems:
        raise gathered(problems, code="data.problems")


Fault = tuple[str, str, str]
"""What is wrong, what is right, and the code of it."""


def faults_of(spec: Spec, one: "Series") -> Iterator[Fault]:
    """Yield everything that is wrong with one series."""
    columns = spec.channels
    values = _numbers(one.values)
    if values is None or values.ndim != 2 or values.shape[1] != len(columns):
        got = "no numbers" if values is None else f"an array of {list(values.shape)}"
        yield f"its values are {got}", f"rows of {len(columns)} numbers: {listed(columns)}", "columns"
    else:
        yield from _of_values(spec, values)
    if spec.task == "forecast":
        yield from _of_time(spec, one)
        yield from _of_future(spec, one)
    yield from _of_static(spec, one)


def _of_values(spec: Spec, values: np.ndarray) -> Iterator[Fault]:
    for row, column in np.argwhere(np.isinf(values))[:MOST]:
        name = shown(spec.channels[column])
        yield (
            f"`{name}` is infinite in row {row + 1:,}",
            "values are finite, NaN where nothing was observed",
            "infinite",
        )
    if spec.task != "forecast":
        if not len(values):
            yield "it has no row", "a case has one row at least, a sequence one for each step", "empty"
        return
    own = spec.preprocessing
    needed = max([*(lag + 1 for lag in own.lags), *(window for window, _ in own.rolling), 1])
    if len(values) < needed:
        yield f"it has {len(values):,} rows", f"the features of the model look {needed:,} rows back", "features"
    elif np.isnan(values[-spec.context :, : len(spec.targets)]).all():
        names = " and ".join(f"`{shown(name)}`" for name in spec.targets)
        yield f"nothing of {names} was observed in its last {spec.context:,} rows", "one value is enough", "empty"


def _of_time(spec: Spec, one: "Series") -> Iterator[Fault]:
    if one.last is None:
        if spec.needs_times:
            yield "it does not say when its last row was", "the model reads the calendar", "calendar"
    elif spec.clock == "ns" and (not isinstance(one.last, np.datetime64) or np.isnat(one.last)):
        yield f"its last row is at {shown(one.last)}", "it is a time: np.datetime64('2026-01-31T12:00')", "time"
    elif spec.clock == "step" and (not isinstance(one.last, int | np.integer) or isinstance(one.last, bool)):
        yield f"its last row is at {shown(one.last)}", "it is a count, as in the training", "time"


def _of_future(spec: Spec, one: "Series") -> Iterator[Fault]:
    shape, names = (spec.horizon, len(spec.known)), listed(spec.known)
    if one.future is None:
        if spec.known:
            yield "it has no future", f"the {spec.horizon:,} steps to come need {names}", "no_future"
        return
    future = _numbers(one.future)
    if future is None or (future.shape != shape and (spec.known or future.size)):
        want = f"{shape[0]:,} rows of {shape[1]:,} numbers: {names}" if spec.known else "the model reads none"
        yield (
            f"its future is {'no numbers' if future is None else f'an array of {list(future.shape)}'}",
            want,
            "columns",
        )
    elif spec.known:
        for step, column in np.argwhere(~np.isfinite(future))[:MOST]:
            name = shown(spec.known[column])
            yield f"`{name}` is not known in step {step + 1:,} to come", "every step needs it", "no_future"


def _of_static(spec: Spec, one: "Series") -> Iterator[Fault]:
    for name, value in one.static.items():
        if name not in (*spec.static, *spec.categories):
            yield f"it has `{shown(name)}`", suggest(name, (*spec.static, *spec.categories)), "columns"
        elif value is None:
            continue
        elif name in spec.categories:
            if not isinstance(value, str):
                yield f"`{shown(name)}` is {shown(value)}", "it is a word", "text"
        elif isinstance(value, bool) or not isinstance(value, int | float | np.number) or not _is_finite(value):
            yield f"`{shown(name)}` is `{shown(value)}`", "it is a number", "text"


def _named(one: "Series", place: int) -> str:
    return f"{place + 1:,}" if one.id is None else f"`{shown(one.id)}`"


def _is_finite(value: float | np.number) -> bool:
    try:
        return math.isfinite(value)
    except (OverflowError, TypeError):  # a whole number that no float is as large as, or one of two parts
        return False


def _numbers(values: object) -> np.ndarray | None:
    """Return an array of numbers, None of anything else."""
    try:
        array = np.asarray(values)
    except ValueError:
        return None
    return array if array.dtype.kind in "fiub" else None
