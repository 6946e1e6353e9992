"""Surprising values: a planted spike is found at its time, the last row is judged, and the rate is kept."""

import json

import numpy as np
import pandas as pd
import pytest
from small import small_config, small_csv, small_frame

from gym_jax.cli import main
from gym_jax.errors import CheckpointError, ConfigError
from gym_jax.run.anomalies import find_anomalies
from gym_jax.run.calibrate import calibrate_run
from gym_jax.run.folder import RunFolder
from gym_jax.run.train import train_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("anomalies")
    data = f"data.path={small_csv(root / 'cpu.csv', rows=900)}"
    words = ["data.target=[cpu]", "data.split.val=0.2", "data.split.train=0.6", "train.epochs=2"]
    run = RunFolder(train_run(small_config(root, "mlp", data, *words), folder=root / "run").folder)
    with pytest.raises(CheckpointError, match="is not calibrated"):
        find_anomalies(run)
    calibrate_run(run)
    return run


def test_every_value_of_the_test_part_is_judged_once_against_the_step_before(run):
    frame = find_anomalies(run, rate=0.05)
    whole = small_frame(900)
    later = pd.concat([own.iloc[720:] for _, own in whole.groupby("unique_id")])
    np.testing.assert_array_equal(frame["value"], later["cpu"])
    np.testing.assert_array_equal(frame["ds"], later["ds"])
    assert ((frame["value"] - frame["forecast"]).abs() < 1).all()
    outside = (frame["value"] < frame["low"]) | (frame["value"] > frame["high"])
    np.testing.assert_array_equal(outside, frame["surprise"] > 0)
    assert (frame["anomaly"] == (frame["p_value"] <= 0.05)).all()
    assert frame["anomaly"].mean() == pytest.approx(0.05, abs=0.04)
    assert len(find_anomalies(run, rate=0.05, every=True)) > 1700


def test_a_spike_in_the_newest_row_is_the_most_surprising(run, tmp_path, capsys):
    other = small_frame(900)
    rows = np.flatnonzero(other["unique_id"] == "b")
    other.iloc[rows[-1], other.columns.get_loc("cpu")] = 9.0
    other.to_csv(tmp_path / "new.csv", index=False)
    command = ["anomalies", str(run.path), "--data", str(tmp_path / "new.csv"), "--rate", "0.01"]
    assert main([*command, "--json", "--out", str(tmp_path / "all.csv")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["anomalies"][0]["unique_id"] == "b"
    assert found["anomalies"][0]["value"] == 9
    assert found["flagged"] == len(found["anomalies"])
    assert found["values"] == len(pd.read_csv(tmp_path / "all.csv")) == 360
    assert main(command) == 0
    assert "of 360 values flagged at a rate of 0.01" in capsys.readouterr().out


def test_without_a_new_row_the_table_is_empty_and_has_its_columns(run, tmp_path):
    small_frame(720).to_csv(tmp_path / "old.csv", index=False)
    frame = find_anomalies(run, data=tmp_path / "old.csv", rate=0.01)
    assert len(frame) == 0
    assert list(frame) == list(find_anomalies(run, rate=0.01))


@pytest.mark.parametrize(("rate", "message"), [(0.0, "a rate of 0"), (1e-6, "can not be told from")])
def test_a_rate_that_can_not_be_is_refused(rate, message, run):
    with pytest.raises(ConfigError, match=message):
        find_anomalies(run, rate=rate)
