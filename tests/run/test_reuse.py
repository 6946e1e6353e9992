"""A run used again: evaluated and asked about its own data and about others."""

import numpy as np
import pandas as pd
import pytest
from small import small_config, small_csv

from gym_jax.errors import CheckpointError, DataError, Interrupted
from gym_jax.run.evaluate import evaluate_run
from gym_jax.run.folder import RunFolder
from gym_jax.run.load import load_run
from gym_jax.run.predict import predict_run
from gym_jax.run.runs import open_run
from gym_jax.run.train import find_resumable, train_run
from gym_jax.train.checkpoint import read_metadata, saved_steps


def trained(tmp_path, path, *overrides, name="run", **options):
    config = small_config(tmp_path, "mlp", f"data.path={path}", "train.epochs=1", *overrides)
    return train_run(config, folder=tmp_path / name, **options)


def test_dropped_series_stay_dropped(tmp_path):
    whole = pd.read_csv(small_csv(tmp_path / "cpu.csv"))
    whole.iloc[: 400 + 30].to_csv(tmp_path / "cpu.csv", index=False)  # series b keeps 30 rows
    result = trained(tmp_path, tmp_path / "cpu.csv", "data.target=cpu", "data.policy.short=drop")
    assert evaluate_run(result.folder)["model"] == result.scores["model"]
    assert set(predict_run(result.folder)["unique_id"]) == {"a"}


def test_a_run_of_one_series_scales_others_by_their_own_history(tmp_path):
    result = trained(tmp_path, small_csv(tmp_path / "one.csv", series=("a",)), "data.target=cpu")
    others = pd.read_csv(small_csv(tmp_path / "others.csv", series=("a", "b")))
    others.loc[others["unique_id"] == "a", "cpu"] += 1
    others.loc[others["unique_id"] == "b", "cpu"] += 5000
    others.to_csv(tmp_path / "others.csv", index=False)
    scaler = load_run(open_run(result.folder), tmp_path / "others.csv").prepared.scaler
    assert scaler.shift[0, 0] == RunFolder(result.folder).read_json("data.json")["scaler"]["shift"][0][0]
    assert scaler.shift[1, 0] == pytest.approx(5002, abs=1)
    frame = predict_run(result.folder, data=tmp_path / "others.csv")
    assert frame.query("unique_id == 'b'")["cpu"].between(4998, 5006).all()


def test_a_wide_file_scales_and_continues_each_machine_by_itself(tmp_path):
    times = pd.date_range("2026-03-01", periods=600, freq="5min")
    wave = 2 + np.sin(np.arange(600) / 20)
    late, early = 1000 + 100 * wave, wave.copy()
    late[:400], early[300:] = np.nan, np.nan
    pd.DataFrame({"ds": times, "m1": wave, "late": late, "early": early}).to_csv(tmp_path / "wide.csv", index=False)
    result = trained(tmp_path, tmp_path / "wide.csv", "data.layout=wide")
    facts = RunFolder(result.folder).read_json("data.json")
    assert facts["series"] == ["m1", "late", "early"]
    assert facts["scaler"]["shift"][1][0] == pytest.approx(1200, abs=100)
    first = predict_run(result.folder).groupby("unique_id")["ds"].min()
    assert first["early"] == times[300]
    assert first["late"] == times[599] + pd.Timedelta("5min")


def test_a_time_column_named_step_is_kept(tmp_path):
    frame = pd.DataFrame({"step": np.arange(400), "cpu": 2 + np.sin(np.arange(400) / 9)})
    frame.to_parquet(tmp_path / "steps.parquet")
    result = trained(tmp_path, tmp_path / "steps.parquet", "data.time=step", "data.time_unit=step")
    forecast = predict_run(result.folder)
    assert list(forecast.columns) == ["unique_id", "step", "horizon_step", "cpu"]
    assert list(forecast["step"]) == [400, 401, 402, 403]


def test_changed_data_are_not_scored_in_silence(tmp_path):
    path = small_csv(tmp_path / "cpu.csv")
    result = trained(tmp_path, path, "data.target=cpu")
    pd.read_csv(path).groupby("unique_id").head(200).to_csv(path, index=False)
    with pytest.raises(DataError, match="changed since it was trained"):
        evaluate_run(result.folder)
    scores = evaluate_run(result.folder, data=path)
    assert scores["notes"] == [
        f"{scores['windows']} of {scores['windows']} windows begin before the end of what the run was trained on"
    ]
    assert len(predict_run(result.folder)) == 2 * 4


def test_a_stopped_run_is_judged_by_its_best_step_and_says_so(tmp_path):
    settings = ("data.target=cpu", "train.epochs=9", "optim.lr=0.05", "schedule=constant")
    left = iter([None] * 15)
    with pytest.raises(Interrupted):
        trained(tmp_path, small_csv(tmp_path / "cpu.csv"), *settings, stop=lambda: next(left, 143))
    run = open_run(tmp_path / "run")
    best = read_metadata(run.checkpoints / str(max(saved_steps(run.checkpoints))))["stopping"][2]
    assert best < max(saved_steps(run.checkpoints)), "the last epoch is not the best here"
    scores = evaluate_run(run)
    assert scores["step"] == best
    assert scores["notes"] == [f"the run is not finished (stopped): these are the scores of step {best}"]


def test_a_stop_during_the_last_chunk_leaves_the_scores_to_a_resume(tmp_path):
    from gym_jax.run.train import resume_run

    config = small_config(tmp_path, "last")
    with pytest.raises(Interrupted):
        train_run(config, folder=tmp_path / "run", stop=lambda: 143)
    assert not (tmp_path / "run" / "scores.json").exists()
    assert resume_run(RunFolder(tmp_path / "run")).scores["model"]["kind"] == "last"


def test_auto_knows_the_folder_it_is_given(tmp_path):
    config = small_config(tmp_path, "mlp")
    assert find_resumable(config, tmp_path / "job") is None
    with pytest.raises(Interrupted):
        train_run(config, folder=tmp_path / "job", stop=lambda: 143)
    assert find_resumable(config, tmp_path / "job").path == tmp_path / "job"
    assert find_resumable(small_config(tmp_path, "mlp", "train.seed=3"), tmp_path / "job") is None


def test_the_settings_of_a_named_run_repeat_it(tmp_path):
    from gym_jax.config.load import load_config

    config = small_config(tmp_path, "mlp", "run.name=first", "train.epochs=1")
    first = train_run(config)
    again = train_run(load_config([first.folder / "config.yaml"]))
    assert again.folder != first.folder
    assert again.scores == first.scores


def test_a_run_without_a_checkpoint_left_never_starts_again_at_zero(tmp_path):
    import shutil

    from gym_jax.run.train import resume_run

    config = small_config(tmp_path, "mlp")
    with pytest.raises(Interrupted):
        train_run(config, folder=tmp_path / "run", stop=lambda: 143)
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    with pytest.raises(CheckpointError, match="although it was saved before"):
        resume_run(RunFolder(tmp_path / "run"))


def test_a_run_changed_by_hand_or_no_run_is_a_checkpoint_error(tmp_path):
    result = trained(tmp_path, small_csv(tmp_path / "cpu.csv"), "data.target=cpu")
    text = (result.folder / "config.yaml").read_text()
    (result.folder / "config.yaml").write_text(text.replace("context:", "contxt:"))
    with pytest.raises(CheckpointError, match=r"unknown key `task.contxt`"):
        evaluate_run(result.folder)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "config.yaml").write_text(text)
    with pytest.raises(CheckpointError, match="is no run"):
        evaluate_run(tmp_path / "folder")
