"""From what a model says to JSON."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gym_jax.inference import Answer, Series, Spec


def answer_json(spec: Spec, series: Sequence[Series], found: Sequence[Answer]) -> list[dict[str, Any]]:
    """Return the answer of each series as the document that `AnsweredSeries` describes."""
    return [_one(spec, asked, answer) for asked, answer in zip(series, found, strict=True)]


def _one(spec: Spec, asked: Series, answer: Answer) -> dict[str, Any]:
    out: dict[str, Any] = {"id": asked.id, "times": times_json(answer.times)}
    if answer.label is not None and answer.probabilities is not None:
        shares = answer.probabilities.tolist()
        return {**out, "label": answer.label, "probabilities": dict(zip(spec.classes, shares, strict=True))}
    names = [*enumerate(spec.targets)]
    out["forecast"] = {name: answer.values[:, place].tolist() for place, name in names}
    if answer.quantiles is not None:
        out["quantiles"] = {
            name: {repr(level): answer.quantiles[:, place, k].tolist() for k, level in enumerate(spec.levels)}
            for place, name in names
        }
    if answer.intervals is not None:
        out["intervals"] = {name: _intervals(spec, answer.intervals[:, place]) for place, name in names}
    return out


def _intervals(spec: Spec, ends: np.ndarray) -> list[dict[str, Any]]:
    return [
        {"level": level, "low": ends[:, k, 0].tolist(), "high": ends[:, k, 1].tolist()}
        for k, level in sorted(enumerate(spec.interval_levels), key=lambda one: one[1])
    ]


def times_json(times: np.ndarray | None) -> list[str | int] | None:
    """Return times as ISO 8601 in UTC, no finer than they are; counts as they are."""
    if times is None:
        return None
    if times.dtype.kind != "M":
        return [int(count) for count in times]
    whole = (times == times.astype("datetime64[s]")).all()
    return [f"{word}Z" for word in np.datetime_as_string(times, unit="s" if whole else "ns").tolist()]
