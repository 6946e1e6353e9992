"""A run that forecasts the peak of the coming window: its scores, forecasts and intervals."""

import json

import numpy as np
import pytest
from small import small_config

from gym_jax.cli import main
from gym_jax.config.load import load_config
from gym_jax.errors import ConfigError
from gym_jax.evaluate.score import forecasters, forecasts
from gym_jax.run.assemble import cut, reading
from gym_jax.run.calibrate import calibrate_run
from gym_jax.run.explain import explain_run
from gym_jax.run.folder import RunFolder
from gym_jax.run.load import load_run, load_weights
from gym_jax.run.predict import predict_run
from gym_jax.run.ranking import read_entry
from gym_jax.run.train import train_run

PEAK = ("task.statistic=max", "task.horizon=6", "evaluate.baselines=[last,seasonal,linear]", "data.calendar=[day]")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("peak")
    return RunFolder(train_run(small_config(root, "mlp", *PEAK, "train.epochs=2"), folder=root / "run").folder)


def test_the_scores_are_those_of_the_peak_of_every_window_of_the_test_part(run):
    trained = load_run(run)
    panel, test = trained.prepared.panel, trained.prepared.split.test
    windows = reading(trained.model, cut(trained.config, trained.prepared, "test"))
    (forecast,) = forecasters(trained.model, trained.members)
    answers = np.concatenate([v for _, v in forecasts(forecast, windows, trained.prepared.scaler, batch_size=64)])
    rows, errors, last = np.asarray(windows.origins) - windows.room, [], []
    for answer, row, series in zip(answers, rows, np.asarray(windows.series), strict=True):
        assert test.begin[series] <= row
        assert row + 6 <= test.end[series]
        peak = panel.values[row : row + 6, 0][panel.mask[row : row + 6, 0]].max()
        before = panel.values[row - 6 : row, 0][panel.mask[row - 6 : row, 0]]
        errors.append(abs(answer[0, 0] - peak))
        last += [abs(before.max() - peak)] if len(before) else []
    scores = run.read_json("scores.json")
    assert (scores["statistic"], scores["window"], scores["windows"]) == ("max", 6, len(rows))
    assert scores["model"]["targets"]["cpu_cores"]["mae"] == pytest.approx(np.mean(errors), rel=1e-5)
    assert len(scores["model"]["targets"]["cpu_cores"]["per_horizon"]["mae"]) == 1
    assert set(scores["baselines"]) == {"last", "seasonal", "linear"}
    assert scores["baselines"]["last"]["cpu_cores"]["mae"] == pytest.approx(np.mean(last), rel=0.02)


def test_a_forecast_is_a_row_a_series_with_the_name_of_the_statistic(run, capsys):
    calibrate_run(run, levels=[0.8])
    frame = predict_run(run)
    names = ["unique_id", "ds", "step", "cpu_cores_max", "cpu_cores_max_lo80", "cpu_cores_max_hi80"]
    assert list(frame) == names
    assert len(frame) == 3
    assert (frame["step"] == 1).all()
    assert (frame["cpu_cores_max_lo80"] <= frame["cpu_cores_max_hi80"]).all()
    assert main(["evaluate", str(run.path)]) == 0
    out = capsys.readouterr().out
    assert "cpu_cores, max of the coming 6 steps: test" in out
    assert "cpu_cores: intervals, test" in out


def test_the_run_is_told_apart_from_one_of_every_step_and_its_weights_load_without_data(run):
    assert read_entry(run).facts["statistic"] == "max"
    assert load_weights(run).params["head"]["kernel"].shape[-1] == 1


def test_the_plan_says_it(tmp_path, capsys):
    words = ["data.synthetic.days=3", "data.synthetic.series=3", f"run.root={tmp_path}"]
    assert main(["train", "--model", "last", "task.statistic=p95", *words, "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["plan"]["statistic"] == "p95"


@pytest.mark.parametrize("statistic", ["p95", "mean"])
def test_what_a_logarithm_does_not_keep_is_refused(statistic):
    with pytest.raises(ConfigError, match=f"task.statistic={statistic} does not go with data.scale.log1p"):
        load_config([], [f"task.statistic={statistic}", "data.scale.log1p=true"])
    load_config([], ["task.statistic=max", "data.scale.log1p=true"])


def test_a_statistic_is_explained_as_its_only_step(run):
    found = explain_run(run, step=1, windows=16, repeats=1)
    assert found["attribution"]["of"] == "step 1"
    assert np.shape(found["attribution"]["lags"]["size"]) == (24, 3), "lags and channels"
    with pytest.raises(ConfigError, match="the run forecasts no step 2") as caught:
        explain_run(run, step=2)
    assert caught.value.hint == "its steps are 1 to 1"
