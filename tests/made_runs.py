"""Runs that train in a second or two, with everything that can stand between a file and a window."""

import functools
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from small import small_config

from gym_jax.run.export import export_run
from gym_jax.run.folder import RunFolder
from gym_jax.run.train import train_run

ROWS, SERIES, HORIZON = 320, 4, 4
PLAIN = (
    "train.placement=one",
    "train.compile=safe",
    "optim=sgd",
    "schedule=constant",
    "train.clip=null",
    "train.chunk=1",
)
"""What compiles in the shortest time: how a run was trained is no matter here."""
SETTINGS = {
    "plain": [],
    "features": ["data.calendar=[hour,week]", "data.lags=[3,6]", "data.rolling=[[5,mean],[7,max]]"],
    "zone": ["data.calendar=[day,month]", "data.time_zone=Europe/Amsterdam"],
    "covariates": ["data.known=[job]", "data.past=[memory]", "data.static=[size]", "data.categories=[tier]"],
    "seasonal gaps": ["data.impute=seasonal", "evaluate.season=12"],
    "linear gaps": ["data.impute=linear"],
    "clipped": ["data.clip.kind=quantile", "data.clip.high=0.95", "data.scale.kind=robust"],
    "hampel": ["data.clip.kind=hampel", "data.clip.window=9", "data.scale.log1p=true"],
    "global": ["data.scale.scope=global", "data.scale.kind=minmax"],
    "peak": ["task.statistic=max", "data.known=[job]"],
    "quantiles": ["loss=quantiles", "loss.levels=[0.1,0.4,0.9]"],
    "gaussian": ["loss=gaussian", "data.calendar=[day]"],
    "around": ["loss=quantiles", "loss.form=around"],
}


def write_frame(path, series=SERIES, seed=0, missing=0.08):
    """Write usage of some series with gaps, outliers, announcements and descriptions; return its path."""
    draw = np.random.default_rng(seed)
    frames = []
    for number in range(series):
        job = (draw.random(ROWS) < 0.3).astype(float)
        cpu = 20 + 5 * number + np.sin(np.arange(ROWS) / 6) + job + 0.2 * draw.normal(size=ROWS)
        cpu[draw.random(ROWS) < 0.02] += 15
        cpu[draw.random(ROWS) < missing] = np.nan
        cpu[-HORIZON:] = np.nan
        times = pd.date_range("2026-03-28 20:00", periods=ROWS, freq="5min", tz="UTC")  # clocks are changed
        facts = {
            "job": job,
            "memory": 100 + draw.normal(size=ROWS),
            "size": 1.5 * number,
            "tier": ("web", "batch")[number % 2],
        }
        frames.append(pd.DataFrame({"unique_id": f"m{number}", "ds": times, "cpu": cpu, **facts}))
    pd.concat(frames, ignore_index=True).to_csv(path, index=False)
    return path


@functools.cache
def shared():
    """Return a folder with `cpu.csv`, a run with covariates and its export, made once for all tests."""
    KEPT.append(tempfile.TemporaryDirectory(prefix="gym-jax-run-"))
    root = Path(KEPT[-1].name)
    export_run(trained(root, "run", *SETTINGS["covariates"], model="linear"), root / "export", onnx=False)
    return root


KEPT = []
"""Folders that go when the tests end."""


def trained(root, name, *settings, model="mlp", data=None):
    """Return a small run of `write_frame`."""
    path = data or write_frame(root / "cpu.csv")
    config = small_config(
        root, model, f"data.path={path}", "data.target=cpu", "task.context=12", f"task.horizon={HORIZON}",
        "train.epochs=1", "evaluate.baselines=[]", *PLAIN, *settings,
    )  # fmt: skip
    return RunFolder(train_run(config, folder=root / name).folder)
