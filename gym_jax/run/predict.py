"""Forecasts of a finished run: the steps after the end of every series, with id, time and step."""

from pathlib import Path

import numpy as np
import pandas as pd

from gym_jax.data.panel import Panel
from gym_jax.errors import DataError
from gym_jax.evaluate.score import forecasters, forecasts
from gym_jax.run.assemble import build_columns, reading, windows_of
from gym_jax.run.calibrate import Calibrated, read_calibration, source_of
from gym_jax.run.drift import drift_notes
from gym_jax.run.folder import RunFolder
from gym_jax.run.group import Members, is_group
from gym_jax.run.intervals import offsets_of, pieces, restored, scores_of
from gym_jax.run.load import Trained, load_run, read_config
from gym_jax.run.predict_cases import SPREAD, predict_cases
from gym_jax.run.recent import lengthened, since_training
from gym_jax.run.runs import open_run

REPLAYED = 4032
"""Rows whose forecasts are made again to see where adaptive intervals stand: two weeks of five minutes."""


def predict_run(
    run: str | Path | RunFolder, *, data: str | Path | None = None, members: Members = "mean"
) -> pd.DataFrame:
    """Return a frame of id, time, step (1 is the first after the data) and one column per target, in the data's units.

    A statistic of the coming window has one row a series, whose time is where the window begins, and columns such as
    `cpu_max`. `step` is called `horizon_step` when the data have a column of that name. A model of quantiles or of a
    distribution has a column for each level too, such as `cpu_q0.9`. The run's own data are read again, or `data`. A
    series whose last `context` rows are all missing gets NaN. `frame.attrs` holds the run's step and which `weights`
    forecast.

    A run of several seeds answers with the mean of its members, and a column such as `cpu_spread` holds the standard
    deviation of their point forecasts; `members="best"` asks the one with the lowest validation loss alone.
    `frame.attrs["seeds"]` are those of the members asked.

    A calibrated run has the two ends of an interval for each level too, such as `cpu_lo80` and `cpu_hi80`. Adaptive
    ones follow what came since the run was trained, in the last `REPLAYED` rows of each series.

    A run of cases answers as `predict_cases` says: of its test file, or of all its data, when no other are given.
    Raises CheckpointError when the run can not be read, DataError when the data can not, or lack columns known ahead.
    """
    folder = run if isinstance(run, RunFolder) else open_run(run)
    config = read_config(folder)
    if config.task.kind != "forecast":
        return _of_cases(folder, load_run(folder, data or config.data.test_path or config.data.path, members=members))
    trained = load_run(folder, data, members=members)
    task, prepared = trained.config.task, trained.prepared
    drift = drift_notes(folder, prepared, folder.read_json("data.json"), data)
    starts = _starts(prepared.panel)
    starts = starts + task.horizon * np.arange(len(starts))
    prepared = lengthened(trained.config, prepared)
    panel, series = prepared.panel, np.arange(len(prepared.panel.series))
    _need_known(panel, starts, task.horizon)
    windows = windows_of(trained.config, prepared, starts, series)
    windows = reading(trained.model, windows)
    endings, view = build_columns(trained.config)
    size = min(trained.config.evaluate.batch_size, len(series))
    answers = [
        np.concatenate([part for _, part in forecasts(forecast, windows, prepared.scaler, batch_size=size)])
        for forecast in forecasters(trained.model, trained.members, view)
    ]
    values = np.mean(answers, axis=0)
    if trained.seeds:
        endings, values = (*endings, SPREAD), np.concatenate([values, _spread(answers)], axis=-1)
    seen = panel.seen()
    known = seen[starts] > seen[np.maximum(starts - windows.context, panel.offsets[:-1])]
    values[~known] = np.nan
    calibrated, notes = read_calibration(folder) if members == "mean" or not is_group(folder) else (None, [])
    if calibrated is not None:
        ends = _intervals(trained._replace(prepared=prepared), calibrated, starts, folder)
        endings = (*endings, *calibrated.endings)
        values = np.concatenate([values, np.where(known[:, None, None, None], ends, np.nan)], axis=-1)
    steps = np.arange(task.steps)
    owner = np.repeat(series, task.steps)
    taken = {panel.id_name, panel.time_name, *panel.channels}
    frame = pd.DataFrame(
        {
            panel.id_name: np.array(panel.series, object)[owner],
            panel.time_name: panel.times(owner, (starts[:, None] + steps).reshape(-1)),
            "horizon_step" if "step" in taken else "step": np.tile(steps + 1, len(series)),
        }
    )
    if panel.zone:
        frame[panel.time_name] = frame[panel.time_name].dt.tz_localize("UTC")
    what = "" if task.statistic == "none" else f"_{task.statistic}"
    for channel in range(panel.targets):
        for output, ending in enumerate(endings):
            frame[f"{panel.channels[channel]}{what}{ending}"] = values[..., channel, output].reshape(-1)
    frame.attrs["notes"] = [*notes, *drift]
    return _with_origin(frame, folder, trained)


def _of_cases(folder: RunFolder, trained: Trained) -> pd.DataFrame:
    """Return the answers of a run of cases."""
    frame = _with_origin(predict_cases(trained), folder, trained)
    frame.attrs |= {"cases": True, "notes": []}
    return frame


def _with_origin(frame: pd.DataFrame, folder: RunFolder, trained: Trained) -> pd.DataFrame:
    """Return the frame with whose forecasts it holds."""
    frame.attrs |= {"step": trained.step, "weights": trained.weights}
    if is_group(folder):
        frame.attrs["seeds"] = list(trained.seeds or (trained.config.train.seed,))
    return frame


def _intervals(trained: Trained, calibrated: Calibrated, starts: np.ndarray, folder: RunFolder) -> np.ndarray:
    """Return the ends of the intervals of the windows at `starts`: [series, horizon, targets, 2 * levels]."""
    source, panel, truth = source_of(trained), trained.prepared.panel, trained.prepared.truth
    series = np.arange(len(panel.series))
    offsets, _ = calibrated.calibration.start(panel.series)
    if calibrated.calibration.method == "adaptive":
        facts = folder.read_json("data.json")
        rows, owner = since_training(trained.config, trained.prepared, facts, starts, most=REPLAYED)
        for piece in pieces(source, rows, owner, calibrated.calibration.levels):
            scores = scores_of(source, truth, piece)
            offsets[np.unique(piece.owner)] = offsets_of(source, calibrated.calibration, piece, scores).last
    out = np.empty((len(series), *offsets.shape[2:], 2 * offsets.shape[1]))
    for piece in pieces(source, starts, series, calibrated.calibration.levels):
        bands = restored(source, piece, offsets[piece.owner], calibrated.floor)
        out[piece.owner] = bands.reshape(*bands.shape[:-2], -1)
    return out


def _spread(answers: list[np.ndarray]) -> np.ndarray:
    """Return the standard deviation of the point forecasts of several models; NaN of one."""
    points = np.stack(answers)[..., :1]
    return points.std(axis=0, ddof=1) if len(answers) > 1 else np.full(points.shape[1:], np.nan)


def _starts(panel: Panel) -> np.ndarray:
    """Return the first row to forecast of every series: the one after its end.

    Where columns are known ahead of time, it is the one after its last observed target: later rows hold the future.
    """
    ends = panel.offsets[1:]
    if not panel.known:
        return ends
    rows = np.flatnonzero(panel.mask[:, : panel.targets].any(axis=1))
    last = np.searchsorted(rows, ends) - 1
    return np.where(last >= 0, np.maximum(rows[last] + 1, panel.offsets[:-1]), ends)


def _need_known(panel: Panel, starts: np.ndarray, horizon: int) -> None:
    """Raise DataError when a column known ahead of time is empty in a step to be forecast."""
    if not panel.known:
        return
    steps = starts[:, None] + np.arange(horizon)
    lacking = ~panel.mask[steps][..., len(panel.channels) - panel.known :]
    if not lacking.any():
        return
    series, step, channel = (int(place[0]) for place in np.nonzero(lacking))
    names = panel.channels[len(panel.channels) - panel.known :]
    when = panel.times(np.array([series]), steps[series, step : step + 1])[0]
    raise DataError(
        f"{int(lacking.any(axis=(1, 2)).sum()):,} of {len(panel.series):,} series lack columns known ahead of time: "
        f"`{names[channel]}` of `{panel.series[series]}` at {str(when)[:19]}",
        hint=f"the {horizon} steps after the last `{panel.channels[0]}` need rows with {', '.join(names)}; "
        f"leave `{panel.channels[0]}` empty there",
        attempt="gymjax predict RUN --data FILE_WITH_THOSE_ROWS",
        code="data.no_future",
    )
