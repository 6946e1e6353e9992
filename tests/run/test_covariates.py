"""Covariates from a file through training, evaluation and forecasts; every preprocessing step within a run."""

import numpy as np
import pandas as pd
import pytest
from small import small_config

from gym_jax.data import generate_frame
from gym_jax.errors import DataError
from gym_jax.run.evaluate import evaluate_run
from gym_jax.run.folder import RunFolder
from gym_jax.run.plan import describe, plan_run
from gym_jax.run.predict import predict_run
from gym_jax.run.train import train_run

COVARIATES = ["data.known=[job]", "data.static=[size]", "data.categories=[tier]"]
ROWS, SERIES, AHEAD = 300, 8, 4


def jobs_frame(seed=0, ahead=AHEAD):
    """CPU that follows jobs announced ahead of time, by `size` of the machine, up or down by its `tier`.

    The last `ahead` rows hold announcements only.
    """
    generator = np.random.default_rng(seed)
    frames = []
    for number in range(SERIES):
        job = (generator.random(ROWS) < 0.3).astype(float)
        size, tier = 1 + number % 4, ("web", "batch")[number // 4]
        cpu = 20 + job * size * (1 if tier == "web" else -1) + 0.1 * generator.normal(size=ROWS)
        cpu[ROWS - ahead :] = np.nan
        times = pd.date_range("2026-03-01", periods=ROWS, freq="5min")
        frames.append(
            pd.DataFrame({"unique_id": f"m{number}", "ds": times, "cpu": cpu, "job": job, "size": size, "tier": tier})
        )
    return pd.concat(frames, ignore_index=True)


def trained(tmp_path, name, *overrides, frame=None):
    path = tmp_path / "jobs.parquet"
    (jobs_frame() if frame is None else frame).to_parquet(path, index=False)
    settings = [f"data.path={path}", "data.target=cpu", "task.context=3", "data.stride=1", "model.dropout=0"]
    config = small_config(
        tmp_path, "mlp", *settings, "data.scale.scope=global", "optim.lr=0.01", "train.epochs=8", *overrides
    )
    return train_run(config, folder=tmp_path / name)


def error_of(result):
    return result.scores["model"]["targets"]["cpu"]["mae"]


def test_a_model_with_covariates_beats_the_same_model_without(tmp_path):
    """Measured in cores: 0.11 with all three; without jobs 0.81, without size 0.27, without tier 0.35, bare 1.04."""
    whole = trained(tmp_path, "whole", *COVARIATES)
    without = {"none": trained(tmp_path, "none")}
    for left_out in range(3):
        without[COVARIATES[left_out]] = trained(
            tmp_path, f"without_{left_out}", *(c for i, c in enumerate(COVARIATES) if i != left_out)
        )
    for name, other in without.items():
        assert error_of(whole) < 0.7 * error_of(other), name
    assert evaluate_run(whole.folder)["model"] == whole.scores["model"]


def test_forecasts_use_the_announced_future_of_each_series(tmp_path):
    frame = jobs_frame()
    result = trained(tmp_path, "run", *COVARIATES, frame=frame)
    forecast = predict_run(result.folder)
    future = frame[frame.cpu.isna()].reset_index(drop=True)
    pd.testing.assert_series_equal(forecast.ds, future.ds, check_dtype=False)
    busy = 20 + future.job * future["size"] * np.where(future.tier == "web", 1, -1)
    assert np.abs(forecast.cpu - busy).mean() < 0.5
    facts = RunFolder(result.folder).read_json("data.json")
    assert facts["columns"]["known"] == 1
    assert facts["encoder"]["vocabularies"] == [["batch", "web"]]


def test_a_future_that_is_not_announced_is_refused(tmp_path):
    result = trained(tmp_path, "run", *COVARIATES, "train.epochs=1")
    short = jobs_frame(ahead=2)
    short.to_parquet(tmp_path / "short.parquet", index=False)
    with pytest.raises(DataError) as caught:
        predict_run(result.folder, data=tmp_path / "short.parquet")
    assert caught.value.lines() == [
        "error: 8 of 8 series lack columns known ahead of time: `job` of `m0` at 2026-03-02T01:00:00",
        "hint: the 4 steps after the last `cpu` need rows with job; leave `cpu` empty there",
        "try: gymjax predict RUN --data FILE_WITH_THOSE_ROWS",
    ]


def test_new_series_and_unseen_words_are_forecast(tmp_path):
    result = trained(tmp_path, "run", *COVARIATES, "data.clip.kind=quantile", "data.scale.scope=series")
    frame = jobs_frame()
    other = frame[frame.unique_id == "m3"].assign(unique_id="new", tier="never seen")
    pd.concat([frame[frame.unique_id == "m1"], other]).to_parquet(tmp_path / "other.parquet", index=False)
    own = predict_run(result.folder).set_index("unique_id").cpu
    both = predict_run(result.folder, data=tmp_path / "other.parquet").set_index("unique_id").cpu
    np.testing.assert_array_equal(both["m1"], own["m1"])  # the run's own scale and bounds
    assert np.isfinite(both["new"]).all()


STEPS = {
    "robust, quantile clip, lags, rolling, calendar, forward": [
        *("data.scale.kind=robust", "data.clip.kind=quantile", "data.lags=[2,48]", "data.impute=forward"),
        *("data.rolling=[[6,mean],[12,max]]", "data.calendar=[day,week]"),
    ],
    "minmax, global, hampel, linear, by steps": [
        *("data.scale.kind=minmax", "data.scale.scope=global", "data.clip.kind=hampel", "data.impute=linear"),
        *("data.split.kind=steps", "data.split.val_steps=40", "data.split.test_steps=90"),
    ],
    "log1p, seasonal, by date": [
        *("data.scale.log1p=true", "data.impute=seasonal", "evaluate.season=48"),
        *("data.split.kind=date", "data.split.val_from=2026-01-06", "data.split.test_from=2026-01-07"),
    ],
    "by series": ["data.split.kind=series", "data.split.train=0.5", "data.split.val=0.25"],
}


@pytest.mark.parametrize("steps", STEPS)
def test_every_step_is_saved_with_the_run(tmp_path, steps):
    config = small_config(
        tmp_path, "mlp", "train.epochs=1", "data.synthetic.gaps=0.1", "data.synthetic.series=4", *STEPS[steps]
    )
    result = train_run(config, folder=tmp_path / "run")
    again = evaluate_run(result.folder)
    assert again["model"] == result.scores["model"]
    assert again["baselines"] == result.scores["baselines"]
    forecast = predict_run(result.folder)
    assert np.isfinite(forecast.cpu_cores).all()
    assert (forecast.groupby("unique_id").size() == 4).all()
    moved = predict_run(result.folder)
    pd.testing.assert_frame_equal(moved, forecast)


def test_a_run_divided_by_date_forecasts_what_came_later(tmp_path):
    dates = ["data.split.kind=date", "data.split.val_from=2026-01-06", "data.split.test_from=2026-01-07"]
    run = train_run(small_config(tmp_path, "mlp", "train.epochs=1", *dates), folder=tmp_path / "run").folder
    later = generate_frame(series=3, days=1)
    later["ds"] += pd.Timedelta(days=40)
    later.to_parquet(tmp_path / "later.parquet", index=False)
    forecast = predict_run(run, data=tmp_path / "later.parquet")
    assert np.isfinite(forecast.cpu_cores).all()
    assert forecast.ds.min() == later.ds.max() + pd.Timedelta(minutes=5)


def test_a_series_without_train_rows_is_noted_where_people_look(tmp_path):
    config = small_config(tmp_path, "mlp", *STEPS["by series"])
    notes = describe(plan_run(config))["notes"]
    assert "2 series have no value in their train rows: scaled like all series together" in notes


def test_a_known_column_that_was_dropped_stays_dropped_where_it_has_values(tmp_path):
    frame = jobs_frame()
    settings = ["data.known=[job,price]", "data.policy.blank=drop", "train.epochs=1"]
    run = trained(tmp_path, "run", *settings, frame=frame.assign(price=np.nan)).folder
    frame.assign(price=1.0).to_parquet(tmp_path / "priced.parquet", index=False)
    pd.testing.assert_frame_equal(predict_run(run, data=tmp_path / "priced.parquet"), predict_run(run))
