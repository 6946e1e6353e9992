"""Files to series that are asked, and answers to a frame as `gymjax predict` writes it; pandas is loaded here."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gym_jax.data.cases import Cases
from gym_jax.data.panel import Panel
from gym_jax.errors import ConfigError, DataError
from gym_jax.inference.answer import Answer, times_of
from gym_jax.inference.model import Model, load_export
from gym_jax.inference.spec import Spec
from gym_jax.inference.window import Series

if TYPE_CHECKING:
    import pandas as pd

AT_ONCE = 1024
"""Series that are asked together; bounds the memory, not the result."""


def predict_export(path: str | Path, data: str | Path | None) -> "pd.DataFrame":
    """Return what the model of an export folder says of a file. Raises ConfigError when none is named."""
    if data is None:
        raise ConfigError(
            f"{path} is an export, which holds no data",
            hint="name the file to forecast from",
            attempt=f"gymjax predict {path} --data FILE",
        )
    return predict_file(load_export(path), data)


def predict_file(model: Model, data: str | Path) -> "pd.DataFrame":
    """Return the forecast of every series of a file, or the answer to every case, as `predict_run` names its columns.

    A series of which nothing was observed in its last `context` rows gets NaN. Adaptive intervals stand as they did at
    the end of the calibration. `frame.attrs` are those of `predict_run`. Raises DataError when the file is not what the
    model was trained on.
    """
    from gym_jax.data.read import read
    from gym_jax.data.read_cases import Asked, read_cases

    spec = model.spec
    if spec.task == "forecast":
        panel = read(data, spec.reading)
        _refuse_other(spec, panel)
        asked = list(series_of_panel(spec, panel))
    else:
        cases = read_cases(str(data), spec.reading, Asked("classify" if spec.classes else "regress", (), False, True))
        asked = list(series_of_cases(spec, cases))
    said = [_nothing(spec, one) for one in asked]
    known = [place for place, one in enumerate(asked) if _observed(spec, one)]
    for begin in range(0, len(known), AT_ONCE):
        part = known[begin : begin + AT_ONCE]
        for place, answer in zip(part, model.predict([asked[place] for place in part]), strict=True):
            said[place] = answer
    frame = frame_of(spec, asked, said)
    if spec.task == "forecast" and panel.zone:
        frame[spec.time_name] = frame[spec.time_name].dt.tz_localize("UTC")
    frame.attrs |= {"step": spec.trained_step, "weights": spec.weights, "notes": list(spec.notes)}
    frame.attrs |= {} if spec.task == "forecast" else {"cases": True}
    return frame


def series_of_panel(spec: Spec, panel: Panel) -> Iterator[Series]:
    """Yield the series of a panel up to where their forecasts begin: the end, or before what is known ahead."""
    values = np.where(panel.mask, panel.values, np.nan)
    for place, name in enumerate(panel.series):
        begin, end = panel.offsets[place], panel.offsets[place + 1]
        start = end
        if spec.known:
            seen = np.flatnonzero(panel.mask[begin:end, : panel.targets].any(axis=1))
            start = begin + (seen[-1] + 1 if len(seen) else end - begin)
        last = panel.times(np.array([place]), np.array([start - 1]))[0]
        yield Series(
            name,
            values[begin:start],
            last if panel.clock == "ns" else int(last),
            values[start : min(start + spec.horizon, end), len(spec.channels) - len(spec.known) :]
            if spec.known
            else None,
            _described(spec, place, panel),
        )


def series_of_cases(spec: Spec, cases: Cases) -> Iterator[Series]:
    """Yield the cases; a sequence begins with its first step that was observed."""
    values = np.where(cases.mask, cases.values, np.nan)
    for place in range(len(cases)):
        observed = np.flatnonzero(cases.mask[place].any(axis=1))
        rows = values[place, observed[0] if len(observed) else -1 :]
        name = None if cases.names is None else cases.names[place]
        yield Series(name, rows if spec.channels else rows[:, :0], static=_described(spec, place, cases))


def frame_of(spec: Spec, series: Sequence[Series], said: Sequence[Answer]) -> "pd.DataFrame":
    """Return a row for each series and step, or for each case, named as `predict_run` names them."""
    import pandas as pd

    ids = np.array([str(place + 1) if one.id is None else one.id for place, one in enumerate(series)], object)
    if spec.classes:
        labels = np.array([one.label for one in said], object)
        chances = np.array([one.probabilities for one in said])
        columns = {f"probability_{word}": chances[:, code] for code, word in enumerate(spec.classes)}
        return pd.DataFrame({spec.id_name: ids, f"predicted_{spec.targets[0]}": labels, **columns})
    steps = 1 if spec.task != "forecast" else spec.steps
    frame: dict[str, Any] = {spec.id_name: np.repeat(ids, steps)}
    if spec.task == "forecast":
        taken = {spec.id_name, spec.time_name, *spec.channels}
        frame[spec.time_name] = np.concatenate([one.times for one in said])
        frame["horizon_step" if "step" in taken else "step"] = np.tile(np.arange(1, steps + 1), len(said))
    what = "" if spec.statistic == "none" else f"_{spec.statistic}"
    for target, name in enumerate(spec.targets):
        name = f"predicted_{name}" if spec.task != "forecast" else f"{name}{what}"
        frame[name] = np.concatenate([one.values[:, target] for one in said])
        for k, level in enumerate(spec.levels):
            frame[f"{name}_q{level!r}"] = np.concatenate([one.quantiles[:, target, k] for one in said])  # type: ignore[index]
        for k, level in enumerate(spec.interval_levels):
            for side, end in enumerate(("lo", "hi")):
                found = [one.intervals[:, target, k, side] for one in said]  # type: ignore[index]
                frame[f"{name}_{end}{100 * level:g}"] = np.concatenate(found)
    return pd.DataFrame(frame)


def _observed(spec: Spec, one: Series) -> bool:
    """Return whether a series has something to be forecast from; a case always has."""
    return spec.task != "forecast" or not np.isnan(one.values[-spec.context :, : len(spec.targets)]).all()


def _nothing(spec: Spec, one: Series) -> Answer:
    """Return the answer to a series of which nothing was observed in its last rows."""
    shape = spec.steps, len(spec.targets)
    ends = np.full((*shape, len(spec.interval_levels), 2), np.nan)
    return Answer(times_of(spec, one), np.full(shape, np.nan), np.full((*shape, len(spec.levels)), np.nan), ends)


def _described(spec: Spec, place: int, data: Panel | Cases) -> dict[str, float | str | None]:
    static: dict[str, float | str | None] = {}
    if data.static is not None:
        numbers = data.static[place].tolist()
        static |= {name: None if np.isnan(n) else n for name, n in zip(spec.static, numbers, strict=True)}
    if data.categories is not None:
        static |= dict(zip(spec.categories, data.categories[place].tolist(), strict=True))
    return static


def _refuse_other(spec: Spec, panel: Panel) -> None:
    if (panel.step, panel.clock) != (spec.step, spec.clock):
        raise DataError(
            f"the data have a step of {panel.describe_step()}, the model was trained on another",
            hint="resample the data to the step of the model",
            attempt="gymjax data resample FILE --step STEP --out REGULAR.parquet",
            code="data.step",
        )
    if panel.channels[: len(spec.channels)] != spec.channels:
        raise DataError(
            f"the data have the columns {', '.join(panel.channels)}",
            hint=f"the model reads {', '.join(spec.channels)}",
            code="data.columns",
        )
