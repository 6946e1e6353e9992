"""From a question to the series of a model: every column in its place, every fault told at once."""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from gym_jax.errors import nearest
from gym_jax.inference import Series, Spec
from gym_jax.serve.api.problem import Problem, Refused, cut
from gym_jax.serve.api.shapes import AskedSeries, Question
from gym_jax.serve.api.strict import place

LATEST = 2**53
"""Counts above it are no longer told apart in JSON."""


def series_of(spec: Spec, question: Question) -> list[Series]:
    """Return the series of a question as a model reads them. Raises Refused (422)."""
    faults: list[Problem] = []
    found = [_series(spec, asked, f"series[{number}]", faults) for number, asked in enumerate(question.series)]
    if faults:
        raise Refused(422, *faults)
    return [one for one in found if one is not None]


def _series(spec: Spec, asked: AskedSeries, path: str, faults: list[Problem]) -> Series | None:
    before = len(faults)
    faults += _columns(asked.values, spec.channels, f"{path}.values")
    faults += _columns(asked.future, spec.known, f"{path}.future")
    statics = (*spec.static, *spec.categories)
    faults += _unknown(asked.static, statics, f"{path}.static")
    faults += _facts(spec, asked.static, f"{path}.static")
    rows = _rows(asked.values, f"{path}.values", faults)
    if len(faults) == before and spec.known:
        faults += [
            Problem(
                "question.future",
                f"{len(column):,} values of `{cut(name)}`, the horizon has {spec.horizon:,} steps",
                path=place(f"{path}.future", name),
            )
            for name, column in asked.future.items()
            if len(column) != spec.horizon
        ]
    last = _last(spec, asked, rows, path, faults)
    if len(faults) > before:
        return None
    values = np.array([asked.values[name] for name in spec.channels], np.float64).T
    future = np.array([asked.future[name] for name in spec.known], np.float64).T if spec.known else None
    return Series(asked.id, values, last, future, dict(asked.static))


def _columns(given: Mapping[str, Any], wanted: Sequence[str], path: str) -> Iterator[Problem]:
    yield from _unknown(given, wanted, path)
    for name in wanted:
        if name not in given:
            yield Problem(
                "question.column", f"no column `{name}`", f"the model reads {_listed(wanted)}", path=place(path, name)
            )


def _unknown(given: Mapping[str, Any], wanted: Sequence[str], path: str) -> Iterator[Problem]:
    for name in given:
        if name not in wanted:
            found = nearest(name, wanted)
            hint = f"did you mean `{found}`?" if found else f"the model reads {_listed(wanted) or 'none here'}"
            yield Problem("question.column", f"unknown column `{cut(name)}`", hint, path=place(path, name))


def _facts(spec: Spec, given: Mapping[str, Any], path: str) -> Iterator[Problem]:
    for name, value in given.items():
        here = place(path, name)
        if name in spec.static and not (value is None or (isinstance(value, float) and math.isfinite(value))):
            yield Problem("question.type", f"`{cut(value)}` is no number", "null where it is not known", path=here)
        if name in spec.categories and not (value is None or isinstance(value, str)):
            yield Problem(
                "question.type", f"`{cut(value)}` is no text", "in quotes; null where it is not known", path=here
            )


def _rows(values: Mapping[str, Sequence[Any]], path: str, faults: list[Problem]) -> int:
    lengths = {name: len(column) for name, column in values.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{cut(name)} {count:,}" for name, count in [*lengths.items()][:8])
        faults.append(
            Problem("question.lengths", f"columns of different lengths: {told}", "a row has a value of each", path=path)
        )
    elif not max(lengths.values(), default=0):
        faults.append(Problem("question.empty", "no rows", "a model reads what was observed", path=path))
    return max(lengths.values(), default=0)


def _last(spec: Spec, asked: AskedSeries, rows: int, path: str, faults: list[Problem]) -> np.datetime64 | int | None:
    """Return when the last row was, None where nothing says so and nothing needs it."""
    if asked.start is not None and asked.last is not None:
        faults.append(
            Problem("question.times", "`start` and `last` both", "one of them says the other", path=f"{path}.start")
        )
        return None
    name = "start" if asked.start is not None else "last"
    given, back = getattr(asked, name), (rows - 1) * spec.step if name == "start" else 0
    if given is None:
        if spec.needs_times:
            words = "the model reads the calendar, and nothing says when the rows were"
            faults.append(
                Problem("question.times", words, "`start` of the first row or `last` of the last", path=f"{path}.last")
            )
        return None
    try:
        if spec.clock == "ns":
            return _moment(given) + np.timedelta64(back, "ns")
        return _count(given) + back
    except (ValueError, OverflowError) as error:
        faults.append(Problem("question.times", f"`{cut(given)}` is {error}", _meant(spec), path=f"{path}.{name}"))
        return None


def _moment(given: Any) -> np.datetime64:
    if not isinstance(given, str):
        raise ValueError("no time")
    try:
        read = datetime.fromisoformat(given)
    except ValueError as error:
        raise ValueError("no time") from error
    read = read.astimezone(UTC).replace(tzinfo=None) if read.tzinfo else read
    if not 1680 < read.year < 2260:
        raise ValueError("out of the years that have nanoseconds")
    return np.datetime64(read, "ns")


def _count(given: Any) -> int:
    if not isinstance(given, float) or given != int(given) or abs(given) > LATEST:
        raise ValueError("no whole number up to 2^53")
    return int(given)


def _meant(spec: Spec) -> str:
    return "such as 2026-11-26T10:00:00Z" if spec.clock == "ns" else "the data of this model count their rows"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
