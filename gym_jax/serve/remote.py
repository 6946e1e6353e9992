"""A model behind a server that is asked as one that is here: its specification, its answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gym_jax.inference import Answer, Series, Spec
from gym_jax.serve.api.limits import ROWS


@dataclass(frozen=True)
class Remote:
    """What `gym_jax.inference.Model` is, but for the network, which is elsewhere."""

    spec: Spec
    ask: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]

    def predict(self, series: Sequence[Series]) -> list[Answer]:
        """Return the answer for each series. Raises as `Client.predict` does."""
        found = self.ask([asked_json(self.spec, one) for one in series])
        return [answer_of(self.spec, one) for one in found]


def told(spec: Spec) -> Spec:
    """Return what a client is told of a specification: how a question is made and an answer read, nothing of the series
    it was trained on."""
    calibration = spec.calibration
    if calibration is not None:
        none = calibration.own[:0]
        calibration = calibration._replace(series=(), own=none, own_size=none)
    return replace(spec, series=(), fitted=None, calibration=calibration)


def asked_json(spec: Spec, one: Series) -> dict[str, Any]:
    """Return a series as `AskedSeries` describes it; of a long one the last rows, as many as are taken."""
    out: dict[str, Any] = {"values": _columns(spec.channels, one.values[-ROWS:])}
    if one.id is not None:
        out["id"] = one.id
    if one.last is not None:
        out["last"] = f"{np.datetime_as_string(np.datetime64(one.last))}Z" if spec.clock == "ns" else int(one.last)  # type: ignore[arg-type]
    if one.future is not None:
        out["future"] = _columns(spec.known, one.future)
    if one.static:
        out["static"] = {name: None if value == "" else value for name, value in one.static.items()}
    return out


def answer_of(spec: Spec, found: Mapping[str, Any]) -> Answer:
    """Return what `AnsweredSeries` describes as an answer of the library."""
    times = found.get("times")
    if times is not None:
        times = (
            np.array([time.removesuffix("Z") for time in times], "datetime64[ns]")
            if spec.clock == "ns"
            else np.array(times)
        )
    if found.get("label") is not None:
        shares = np.array([found["probabilities"][word] for word in spec.classes])
        return Answer(None, np.array([[float(shares.argmax())]]), None, None, found["label"], shares)
    quantiles, intervals = found.get("quantiles"), found.get("intervals")
    return Answer(
        times,
        np.stack([found["forecast"][name] for name in spec.targets], axis=1),
        quantiles
        and np.stack(
            [np.stack([quantiles[name][repr(level)] for level in spec.levels], axis=1) for name in spec.targets], axis=1
        ),
        intervals and np.stack([_ends(spec, intervals[name]) for name in spec.targets], axis=1),
    )


def _ends(spec: Spec, found: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Return both ends of every level, in the order of the specification: [steps, levels, 2]."""
    by_level = {one["level"]: np.stack([one["low"], one["high"]], axis=1) for one in found}
    return np.stack([by_level[level] for level in spec.interval_levels], axis=1)


def _columns(names: Sequence[str], values: np.ndarray) -> dict[str, list[float | None]]:
    columns = [[None if value != value else value for value in column] for column in values.T.tolist()]
    return dict(zip(names, columns, strict=True))
