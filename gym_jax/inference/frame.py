"""Files to series that are asked, and answers to a frame as `gymjax predict` writes it; pandas is loaded here."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gym_jax.data.cases import Cases
from gym_jax.data.panel import Panel
from gym_jax.data.salvage import Unread
from gym_jax.errors import ConfigError, DataError
from gym_jax.inference.answer import Answer, times_of
from gym_jax.inference.faults import faults_of
from gym_jax.inference.model import Model, load_export
from gym_jax.inference.scoring import Job, score_data
from gym_jax.inference.spec import Spec
from gym_jax.inference.window import Series, recent

if TYPE_CHECKING:
    import pandas as pd

AT_ONCE = 1024
"""Series that are asked together; bounds the memory, not the result."""
FEW, VALUES = 256, 1 << 20
"""Series of a portion that are asked together, and values of their windows."""


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
        return predict_panel(model, read(data, spec.reading))
    cases = read_cases(str(data), spec.reading, Asked("classify" if spec.classes else "regress", (), False, True))
    asked = list(series_of_cases(spec, cases))
    frame = frame_of(spec, asked, _said(model, asked))
    return _with_origin(spec, frame, {"cases": True})


def predict_panel(model: Model, panel: Panel) -> "pd.DataFrame":
    """Return what `predict_file` says of a panel. Raises DataError when it is not what the model was trained on."""
    _refuse_other(model.spec, panel)
    asked = list(series_of_panel(model.spec, panel))
    frame = _framed(model.spec, asked, _said(model, asked), panel.zone is not None)
    return _with_origin(model.spec, frame, {})


def _said(model: Model, asked: Sequence[Series]) -> list[Answer]:
    """Return what is said of each series, asked together in portions."""
    said = [_nothing(model.spec, one) for one in asked]
    known = [place for place, one in enumerate(asked) if _observed(model.spec, one)]
    for begin in range(0, len(known), AT_ONCE):
        part = known[begin : begin + AT_ONCE]
        for place, answer in zip(part, model.predict([asked[place] for place in part]), strict=True):
            said[place] = answer
    return said


def _with_origin(spec: Spec, frame: "pd.DataFrame", more: dict[str, Any]) -> "pd.DataFrame":
    frame.attrs |= {"step": spec.trained_step, "weights": spec.weights, "notes": list(spec.notes), **more}
    return frame


def _framed(spec: Spec, asked: Sequence[Series], said: Sequence[Answer], zone: bool) -> "pd.DataFrame":
    """Return answers as rows, with times in UTC where the data have a zone."""
    frame = frame_of(spec, asked, said)
    if zone:
        frame[spec.time_name] = frame[spec.time_name].dt.tz_localize("UTC")
    return frame


def no_answers(spec: Spec, zone: bool) -> "pd.DataFrame":
    """Return the columns of answers without a row."""
    last: Any = np.datetime64(0, "ns") if spec.clock == "ns" else 0
    one = Series("", np.zeros((1, len(spec.channels))), last)
    return _framed(spec, [one], [_nothing(spec, one)], zone).iloc[:0]


def score_file(model: Model, data: str | Path, out: str | Path, name: str, **how: Any) -> dict[str, Any]:
    """Write the forecasts of `predict_file` into a folder of parts, in bounded memory, and return its manifest.

    The data are Parquet files whose rows are sorted by series. `how` and errors are those of `score_data`; ConfigError
    when the model answers cases.
    """
    if model.spec.task != "forecast":
        raise ConfigError(
            "cases are not answered into a folder",
            hint="name a file to write",
            attempt=f"gymjax predict {name} --data FILE --out ANSWERS.parquet",
            code="usage",
        )
    return score_data(data, out, model.spec.reading, lambda panel, most: forecasting(model, panel, most), **how)


def forecasting(model: Model, panel: Panel, most: int) -> Job:
    """Return how portions of at most so many series are forecast, whose columns and step are those of `panel`.

    The network is asked in one size only. Raises DataError when the data are not what the model was trained on.
    """
    import pyarrow as pa

    spec = model.spec
    size = min(FEW, most, max(1, VALUES // ((spec.look_back + spec.horizon) * len(spec.channels))))
    _refuse_other(spec, panel)
    zone = panel.zone is not None
    nothing = pa.Table.from_pandas(no_answers(spec, zone), preserve_index=False)

    def answer(panels: Sequence[Panel]) -> tuple[Any, list[Unread]]:
        asked = [one for panel in panels for one in series_of_panel(spec, panel)]
        said = [_said_at_once(spec, one) for one in asked]
        open_ = [place for place, found in enumerate(said) if found is None]
        for begin in range(0, len(open_), size):
            part = open_[begin : begin + size]
            found = _answered(model, [recent(spec, asked[place]) for place in part], size)
            for place, one in zip(part, found, strict=True):
                said[place] = one
        pairs = list(zip(asked, said, strict=True))
        failed = [Unread(str(one.id), why.code, why.message) for one, why in pairs if isinstance(why, DataError)]
        kept = [(one, found) for one, found in pairs if isinstance(found, Answer)]
        if not kept:
            return nothing, failed
        series, found = zip(*kept, strict=True)
        frame = _framed(spec, series, found, zone)
        return pa.Table.from_pandas(frame, schema=nothing.schema, preserve_index=False), failed

    notes = [*spec.notes]
    if spec.calibration is not None and spec.calibration.method == "adaptive":
        notes.append("adaptive intervals stand as they did at the end of the calibration")
    facts = {
        "command": "predict",
        "name": spec.name,
        "model": spec.digest,
        "backend": model.backend,
        "steps": spec.steps,
        "notes": notes,
    }
    return Job(answer, nothing, facts)


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


def _said_at_once(spec: Spec, one: Series) -> Answer | DataError | None:
    """Return what needs no network: no numbers where nothing was observed, what is wrong with a series."""
    if not _observed(spec, one):
        return _nothing(spec, one)
    fault = next(faults_of(spec, one), None)
    return None if fault is None else DataError(fault[0], hint=fault[1], code=f"data.{fault[2]}")


def _answered(model: Model, series: Sequence[Series], size: int) -> list[Answer | DataError]:
    """Return the answer for each series, or why it has none: found by halves, for one refuses all it is asked with."""
    try:
        return [*model.answer(series, size)]
    except DataError as error:
        if len(series) == 1:
            return [error]
        half = len(series) // 2
        return [*_answered(model, series[:half], size), *_answered(model, series[half:], size)]


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
