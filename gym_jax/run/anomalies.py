"""Rows that a calibrated run did not expect: each value against its forecast of one step, with a p-value."""

from pathlib import Path

import numpy as np
import pandas as pd

from gym_jax.errors import CheckpointError, ConfigError
from gym_jax.run.calibrate import read_calibration, source_of
from gym_jax.run.folder import RunFolder
from gym_jax.run.intervals import offsets_of, pieces, restored, scores_of, surprises_of, truth
from gym_jax.run.load import load_run, read_config
from gym_jax.run.recent import lengthened, since_training
from gym_jax.run.runs import open_run
from gym_jax.run.task import need_forecast

COLUMNS = ("target", "value", "forecast", "low", "high", "surprise", "p_value", "anomaly")
"""Of the table, behind id and time."""


def find_anomalies(
    run: str | Path | RunFolder, *, data: str | Path | None = None, rate: float = 0.001, every: bool = False
) -> pd.DataFrame:
    """Return a row for each value that came after what a run was trained on, or with `every` for each there is.

    Columns are id, time, `target`, `value`, the `forecast` one step before, the ends `low` and `high` of the widest
    interval, `surprise` (how far beyond it, in mean scores of the series), `p_value` (how often a held-out value was as
    surprising) and `anomaly`: whether that is at most `rate`. The run's own data are read again, or `data`. Of a
    statistic of the coming window a row is a window, known at its end. Raises CheckpointError when the run is not
    calibrated, ConfigError when too few values were held out for the rate.
    """
    folder = run if isinstance(run, RunFolder) else open_run(run)
    if not 0 < rate < 1:
        raise ConfigError(
            f"a rate of {rate:g}",
            hint="it is the share of values to be flagged where all is as it was: between 0 and 1",
            attempt="gymjax anomalies RUN --rate 0.001",
        )
    need_forecast(read_config(folder), "anomalies")
    calibrated, notes = read_calibration(folder)
    if calibrated is None:
        raise CheckpointError(
            f"{folder.path} is not calibrated",
            hint=notes[0] if notes else "what is surprising is measured on values that it has kept apart",
            attempt=f"gymjax calibrate {folder.path}",
            code="checkpoint.none",
        )
    fewest = min(table.count for table in calibrated.surprises)
    if rate * (fewest + 1) < 1:
        raise ConfigError(
            f"a rate of {rate:g} can not be told from {fewest:,} held-out values",
            hint=f"the least is 1 of {fewest + 1:,}; a longer val part allows less",
            attempt=f"gymjax anomalies {folder.path} --rate {1 / (fewest + 1):.2g}",
        )
    trained = load_run(folder, data)
    config, prepared = trained.config, trained.prepared
    ends = prepared.panel.offsets[1:] + config.task.horizon * np.arange(len(prepared.panel.series))
    prepared = lengthened(config, prepared)
    source, panel = source_of(trained)._replace(prepared=prepared), prepared.truth
    facts = {"series": (), "used_until": ()} if every else folder.read_json("data.json")
    frames = []
    calibration = calibrated.calibration
    for piece in pieces(source, *since_training(config, prepared, facts, ends), calibration.levels):
        scores = scores_of(source, panel, piece)[:, :, :1]
        surprises = surprises_of(source, calibration, piece, scores)
        moved = offsets_of(source, calibration, piece, scores)
        first = piece._replace(point=piece.point[:, :1], bands=piece.bands[:, :1])
        bands = restored(source, first, moved.offsets, calibrated.floor)[:, 0, :, -1]
        values, seen = truth(panel, first)
        for target in range(panel.targets):
            own = seen[:, 0, target]
            p_value = calibrated.surprises[target].p_value(surprises[own, target])
            columns = {
                panel.id_name: np.array(panel.series, object)[piece.owner[own]],
                panel.time_name: panel.times(piece.owner[own], piece.rows[own]),
                "target": panel.channels[target],
                "value": values[own, 0, target],
                "forecast": piece.point[own, 0, target],
                "low": bands[own, target, 0],
                "high": bands[own, target, 1],
                "surprise": surprises[own, target],
                "p_value": p_value,
                "anomaly": p_value <= rate,
            }
            frames.append(pd.DataFrame(columns))
    names = [panel.id_name, panel.time_name, *COLUMNS]
    frame = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=names)
    if panel.zone and len(frame):
        frame[panel.time_name] = frame[panel.time_name].dt.tz_localize("UTC")
    frame.attrs |= {"step": trained.step, "weights": trained.weights, "rate": rate}
    return frame
