"""Forecasts of a finished run: the steps after the end of every series, with id, time and step."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gym_jax.data.windows import make_windows
from gym_jax.errors import ConfigError, StorageError
from gym_jax.evaluate.score import forecaster, forecasts
from gym_jax.run.assemble import reading
from gym_jax.run.folder import RunFolder, open_run
from gym_jax.run.load import load_run


def predict_run(run: str | Path | RunFolder, *, data: str | Path | None = None) -> pd.DataFrame:
    """Return a frame of id, time, step (1 is the first after the data) and one column per target, in the data's units.

    `step` is called `horizon_step` when the data have a column of that name.

    The run's own data are read again, or `data`. A series whose last `context` rows are all missing gets NaN.
    """
    folder = run if isinstance(run, RunFolder) else open_run(run)
    trained = load_run(folder, data)
    task, panel = trained.config.task, trained.prepared.panel
    series = np.arange(len(panel.series))
    windows = make_windows(
        panel,
        trained.prepared.scaler,
        panel.offsets[1:],
        series,
        context=task.context,
        horizon=task.horizon,
        room=trained.prepared.season,
    )
    windows = reading(trained.model, windows)
    parts = [
        values
        for _, values in forecasts(
            forecaster(trained.model, trained.variables),
            windows,
            trained.prepared.scaler,
            batch_size=min(trained.config.evaluate.batch_size, len(series)),
        )
    ]
    values = np.concatenate(parts)
    ends = panel.offsets[1:]
    seen = panel.seen()
    known = seen[ends] > seen[np.maximum(ends - windows.context, panel.offsets[:-1])]
    values[~known] = np.nan
    steps = np.arange(task.horizon)
    owner = np.repeat(series, task.horizon)
    taken = {panel.id_name, panel.time_name, *panel.channels}
    frame = pd.DataFrame(
        {
            panel.id_name: np.array(panel.series, object)[owner],
            panel.time_name: panel.times(owner, (ends[:, None] + steps).reshape(-1)),
            "horizon_step" if "step" in taken else "step": np.tile(steps + 1, len(series)),
        }
    )
    if panel.zone:
        frame[panel.time_name] = frame[panel.time_name].dt.tz_localize("UTC")
    for channel in range(panel.targets):
        frame[panel.channels[channel]] = values[..., channel].reshape(-1)
    return frame


def write_frame(frame: pd.DataFrame, path: str | Path) -> Path:
    """Write a frame as Parquet or CSV, by the name's ending; whole or not at all. Raises ConfigError, StorageError."""
    path = Path(path).expanduser().absolute()
    kinds: dict[str, Any] = {".parquet": frame.to_parquet, ".csv": frame.to_csv, ".csv.gz": frame.to_csv}
    suffix = "".join(path.suffixes[-2:]) if path.name.endswith(".csv.gz") else path.suffix
    if suffix not in kinds:
        raise ConfigError(f"`{path.name}` is of no format that can be written", hint=f"choose from {', '.join(kinds)}")
    temporary = path.with_name(f".{path.name}.tmp{suffix}")
    try:
        kinds[suffix](temporary, index=False)
        temporary.replace(path)
    except OSError as error:
        raise StorageError(
            f"{path} can not be written: {error.strerror or error}", hint="does its folder exist, with room?"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
    return path
