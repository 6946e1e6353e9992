"""The main job on real traces: all layers, a verdict, and forecasts that continue the file."""

import pandas as pd
import pytest

from gym_jax.config.load import load_config
from gym_jax.run.evaluate import evaluate_run
from gym_jax.run.predict import predict_run
from gym_jax.run.train import train_run

TRACE = "bitbrains/bitbrains_24vms_30d.csv.gz"


def settings(real_data, kind, *overrides):
    options = {"model": kind, "data.path": str(real_data / TRACE), "data.target": ["cpu_cores"]}
    return load_config([], overrides, options)


@pytest.mark.parametrize("kind", ["mlp", "lstm", "transformer"])
def test_the_main_job_runs_on_real_machines(kind, real_data, tmp_path):
    config = settings(real_data, kind, "train.epochs=1", "data.stride=40")
    result = train_run(config, folder=tmp_path / "run")
    own = result.scores["model"]["targets"]["cpu_cores"]
    assert own["mae"] < result.scores["baselines"]["seasonal"]["cpu_cores"]["mae"]
    assert evaluate_run(result.folder)["model"] == result.scores["model"]
    frame = predict_run(result.folder)
    assert len(frame) == 24 * 12
    assert frame["ds"].min() > pd.Timestamp("2013-07-29")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mlp", "lstm", "transformer"])
def test_the_defaults_beat_last_and_seasonal_on_real_machines(kind, real_data, tmp_path):
    result = train_run(settings(real_data, kind), folder=tmp_path / "run")
    own = result.scores["model"]["targets"]["cpu_cores"]
    for baseline in ("last", "seasonal"):
        assert own["mae"] < result.scores["baselines"][baseline]["cpu_cores"]["mae"]


def test_the_baselines_scores_are_the_known_ones(real_data, tmp_path):
    """MAE of repeating the last value, computed with pandas alone."""
    result = train_run(settings(real_data, "last", "evaluate.baselines=[]"), folder=tmp_path / "run")
    frame = pd.read_csv(real_data / TRACE, usecols=["unique_id", "ds", "cpu_cores"], parse_dates=["ds"])
    total = count = 0.0
    for _, group in frame.groupby("unique_id"):
        series = group.set_index("ds")["cpu_cores"].asfreq("5min")
        filled = series.ffill(limit=95)
        for step in range(1, 13):
            error = (series - filled.shift(step)).abs()
            first = int(0.8 * len(series) + 1e-9)
            error = error.iloc[first + step - 1 : len(series) - 12 + step]
            total, count = total + error.sum(), count + error.count()
    own = result.scores["model"]["targets"]["cpu_cores"]
    assert own["count"] == count
    assert own["mae"] == pytest.approx(total / count, rel=1e-6)
