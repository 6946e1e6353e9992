"""Intervals of a run: kept with it, judged, in its forecasts; what the test part holds changes none of them."""

import json
from dataclasses import replace

import numpy as np
import pytest
from small import small_config

from gym_jax.cli import main
from gym_jax.data.features import extend
from gym_jax.errors import ConfigError, DataError
from gym_jax.evaluate.conformal import MEMORY, METHODS, RATE
from gym_jax.run import intervals
from gym_jax.run.assemble import places
from gym_jax.run.calibrate import calibrate_run, fit_calibration, judge_calibration, read_calibration, source_of
from gym_jax.run.evaluate import evaluate_run
from gym_jax.run.folder import RunFolder
from gym_jax.run.intervals import offsets_of, pieces, restored, scores_of
from gym_jax.run.load import load_run
from gym_jax.run.predict import predict_run
from gym_jax.run.train import resume_run, train_run

LOSS = ("loss=quantiles", "loss.levels=[0.1,0.5,0.9]")
LEVELS = (0.8, 0.95)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("calibrated")
    return RunFolder(train_run(small_config(root, "mlp", *LOSS, "train.epochs=2"), folder=root / "run").folder)


@pytest.fixture(scope="module")
def source(run):
    return source_of(load_run(run))


def test_the_bands_of_the_windows_and_their_scores_are_those_of_the_forecast(run, source):
    """In the data's units a value is inside its moved band exactly where its score is at most the offset."""
    rows, series = places(source.config, source.prepared, "val")
    fitted = fit_calibration(source, "series", LEVELS, "val")
    panel, seen_windows = source.prepared.truth, 0
    for piece in pieces(source, rows, series, LEVELS):
        scores = scores_of(source, panel, piece)
        offsets = offsets_of(source, fitted.calibration, piece, scores).offsets
        ends = restored(source, piece, offsets, (None,))[..., 0, 0, :]  # the first level of the only target
        at = piece.rows[:, None] + np.arange(4)
        truth, seen = panel.values[at, 0], panel.mask[at, 0]
        inside = (truth >= ends[..., 0]) & (truth <= ends[..., 1])
        assert inside[seen].mean() == pytest.approx(0.8, abs=0.02)
        near = np.abs(scores[:, 0, :, 0] - offsets[:, 0, :, 0]) < 1e-9
        np.testing.assert_array_equal(inside[seen & ~near], (scores <= offsets)[:, 0, :, 0][seen & ~near])
        seen_windows += len(piece.rows)
    assert seen_windows == len(rows)


@pytest.mark.parametrize("method", METHODS)
def test_poison_in_the_test_part_changes_no_bit(method, source):
    prepared = source.prepared
    later = np.concatenate(
        [np.arange(begin, end) for begin, end in zip(prepared.split.val.end, prepared.panel.offsets[1:], strict=True)]
    )

    def poisoned(panel):
        values = panel.values.copy()
        values[later] = np.nan
        return replace(panel, values=values)

    spoilt = prepared._replace(panel=poisoned(prepared.panel), channels=poisoned(prepared.channels))
    clean, other = (
        fit_calibration(source._replace(prepared=given), method, LEVELS, "val") for given in (prepared, spoilt)
    )
    assert clean.calibration.to_json() == other.calibration.to_json()
    assert clean.floor == other.floor == (0.0,)


def test_portions_of_series_change_nothing(source, monkeypatch):
    fitted = fit_calibration(source, "adaptive", LEVELS, "val")
    whole = judge_calibration(source, fitted)
    monkeypatch.setattr(intervals, "AT_ONCE", 1)
    again = fit_calibration(source, "adaptive", LEVELS, "val")
    assert again.calibration.to_json() == fitted.calibration.to_json()
    np.testing.assert_allclose(
        [block["coverage"] for block in judge_calibration(source, fitted)["cpu_cores"]],
        [block["coverage"] for block in whole["cpu_cores"]],
    )


def test_a_run_keeps_its_intervals_and_forecasts_with_them(run, capsys):
    before = predict_run(run)
    assert not [name for name in before if "_lo" in name]
    assert main(["calibrate", str(run.path), "--levels", "80,95", "--compare", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found["intervals"]) == ["adaptive", "series", "global", "last"]
    assert [block["level"] for block in found["intervals"]["last"]["cpu_cores"]] == [0.8, 0.95]
    scores = evaluate_run(run)
    assert scores["intervals"] == {"adaptive": found["intervals"]["adaptive"]}
    assert evaluate_run(run, part="val")["intervals"] != scores["intervals"]
    assert main(["evaluate", str(run.path)]) == 0
    assert "cpu_cores: intervals, test" in capsys.readouterr().out
    frame = predict_run(run)
    np.testing.assert_array_equal(frame[before.columns], before)
    assert list(frame.columns[-4:]) == ["cpu_cores_lo80", "cpu_cores_hi80", "cpu_cores_lo95", "cpu_cores_hi95"]
    ends = frame[["cpu_cores_lo95", "cpu_cores_lo80", "cpu_cores_hi80", "cpu_cores_hi95"]].to_numpy()
    assert (np.diff(ends, axis=1) >= 0).all()
    assert (ends >= 0).all(), "cores are usage: never negative"
    assert main(["calibrate", str(run.path), "--method", "global"]) == 0
    assert "held" in capsys.readouterr().out
    assert read_calibration(run)[0].calibration.method == "global"


def test_the_forecast_goes_on_where_the_data_end(run, source):
    """The offset of the first step of `predict` is where a plain loop over every row of the test part comes to."""
    calibrate_run(run, levels=LEVELS)
    fitted = read_calibration(run)[0].calibration
    frame, panel = predict_run(run), extend(source.prepared.panel, 4)
    ahead = source._replace(prepared=source.prepared._replace(panel=panel, channels=panel))
    high = frame["cpu_cores_q0.9"].to_numpy().reshape(3, 4)[:, 0]
    moved = frame["cpu_cores_hi95"].to_numpy().reshape(3, 4)[:, 0]
    starts, sizes = fitted.start(panel.series)
    for number in range(3):
        begin = panel.offsets[number] + source.prepared.split.test.begin[number] - source.prepared.panel.offsets[number]
        rows = np.array([row for row in range(begin, panel.offsets[number + 1] - 4) if panel.mask[row, 0]])
        (piece,) = pieces(ahead, rows, np.full(len(rows), number), LEVELS)
        scores = scores_of(ahead, panel, piece)[:, :, 0, 0]
        offset, size = starts[number, :, 0, 0].copy(), sizes[number, :, 0, 0].copy()
        for score in scores:
            size += MEMORY * (np.abs(score) - size)
            missed = [score[0] > offset[0], (score > offset).all()]
            offset += RATE * size * (missed - (1 - np.array(LEVELS)))
        assert offset[1] != starts[number, 1, 0, 0]
        scale = source.prepared.scaler.scale[number, 0]
        assert moved[number] == pytest.approx(high[number] + offset[1] * scale, rel=1e-5)


def test_a_baseline_is_calibrated_around_its_point(tmp_path):
    run = RunFolder(train_run(small_config(tmp_path, "last"), folder=tmp_path / "last").folder)
    found = calibrate_run(run, method="global", levels=[0.9])
    block = found["intervals"]["global"]["cpu_cores"][0]
    assert 0.8 < block["coverage"] < 0.97
    frame = predict_run(run)
    middle = (frame["cpu_cores_lo90"] + frame["cpu_cores_hi90"]) / 2
    free = frame["cpu_cores_lo90"] > 0
    np.testing.assert_allclose(middle[free], frame["cpu_cores"][free], rtol=1e-5)


def test_a_group_is_calibrated_around_its_mean(tmp_path):
    config = small_config(tmp_path, "mlp", *LOSS, "train.epochs=1", "train.seeds=2")
    run = RunFolder(train_run(config, folder=tmp_path / "group").folder)
    calibrate_run(run, levels=[0.8])
    assert len(run.read_json("calibration.json")["steps"]) == 2
    assert "cpu_cores_hi80" in predict_run(run)
    assert "cpu_cores_hi80" not in predict_run(run, members="best")
    assert "intervals" in evaluate_run(run)
    assert "intervals" not in evaluate_run(run, members="best")


def test_intervals_of_other_weights_are_left_out_and_said(tmp_path):
    config = small_config(tmp_path, "mlp", "train.epochs=1", "data.split.val=0.2")
    run = RunFolder(train_run(config, folder=tmp_path / "run").folder)
    calibrate_run(run, levels=[0.8])
    longer = config.model_copy(update={"train": config.train.model_copy(update={"epochs": 3})})
    resume_run(run, config=longer)
    assert "intervals" not in (scores := evaluate_run(run))
    assert any("calibrated for weights" in note for note in scores["notes"])
    frame = predict_run(run)
    assert not [name for name in frame if "_lo" in name]
    assert "gymjax calibrate" in frame.attrs["notes"][0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"method": "adaptiv"}, "unknown method `adaptiv`"),
        ({"levels": [0.8, 1.5]}, "a level of 1.5"),
        ({"levels": []}, "no level"),
        ({"part": "test"}, "the test part is for judging"),
    ],
)
def test_wrong_words_are_refused(words, message, run):
    with pytest.raises(ConfigError, match=message):
        calibrate_run(run, **words)


def test_without_a_val_part_there_is_nothing_to_calibrate_on(tmp_path):
    config = small_config(tmp_path, "last", "data.split.val=0")
    run = train_run(config, folder=tmp_path / "run").folder
    with pytest.raises(DataError, match="the val part holds no window"):
        calibrate_run(run)


def test_levels_that_are_no_numbers_are_refused(run, capsys):
    assert main(["calibrate", str(run.path), "--levels", "80,much"]) == 2
    assert capsys.readouterr().err.splitlines()[0] == "error: --levels 80,much holds something that is no number"
