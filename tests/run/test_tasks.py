"""Regression and classification as runs: trained, scored, answered, resumed, in groups, and what they refuse."""

import gzip

import chex
import jax
import numpy as np
import pandas as pd
import pytest

from gym_jax.config.load import load_config
from gym_jax.data import generate_table
from gym_jax.errors import ConfigError, DataError, Interrupted
from gym_jax.run.anomalies import find_anomalies
from gym_jax.run.backtest import backtest
from gym_jax.run.cross_validate import cross_validate
from gym_jax.run.evaluate import evaluate_run
from gym_jax.run.folder import RunFolder
from gym_jax.run.load import load_run
from gym_jax.run.plan import fresh_state, plan_run
from gym_jax.run.predict import predict_run
from gym_jax.run.task import task_of
from gym_jax.run.train import resume_run, train_run
from gym_jax.train.checkpoint import restore_checkpoint, saved_steps

SMALL = {
    "mlp": ["model.hidden=[16]", "model.dropout=0.2"],
    "lstm": ["model.hidden=8", "model.dropout=0.2"],
    "transformer": ["model.width=8", "model.heads=2", "model.layers=1", "model.feedforward=16", "model.dropout=0.2"],
}
QUICK = ["train.batch_size=32", "train.epochs=3", "train.chunk=2", "train.patience=null"]


def of_table(path, *overrides, model="mlp", task="regress"):
    """A run of a table that takes a second or two."""
    given = [f"task.kind={task}", f"model={model}", *SMALL[model], *QUICK, "data.target=cpu_share", *overrides]
    return load_config([], given, {"data.path": str(path)})


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """300 workloads with a category, a gap in a feature and a row without an answer."""
    frame = generate_table(rows=300, seed=3).assign(zone=np.array(["east", "west", "north"])[np.arange(300) % 3])
    frame.loc[5, "cpu_load"] = np.nan
    frame.loc[7, "cpu_share"] = np.nan
    frame["big"] = np.where(frame["cpu_share"] > 0.3, "yes", "no")
    path = tmp_path_factory.mktemp("table") / "table.csv"
    frame.to_csv(path, index=False)
    return path


def waves(path, count, seed):
    """Write labelled sequences of unequal length with a gap: slow waves and fast ones in two channels."""
    noise, lines = np.random.default_rng(seed), []
    for i in range(count):
        steps, word = np.arange(12 + i % 5), ("slow", "fast")[i % 2]
        wave = np.sin(steps * (0.4 if word == "slow" else 1.3) + noise.uniform(0, 6))
        channels = [[f"{x:.4f}" for x in part] for part in (wave + 0.1 * noise.normal(size=len(steps)), 3 * steps)]
        channels[0][3] = "?"
        lines.append(":".join([*map(",".join, channels), word]))
    text = "@classLabel true slow fast\n@data\n" + "\n".join(lines) + "\n"
    path.write_bytes(gzip.compress(text.encode()))
    return path


@pytest.fixture(scope="module")
def sequences(tmp_path_factory):
    folder = tmp_path_factory.mktemp("waves")
    return waves(folder / "W_TRAIN.ts.gz", 60, 0), waves(folder / "W_TEST.ts.gz", 30, 1)


def of_sequences(files, *overrides, model="mlp"):
    given = ["task.kind=classify", f"model={model}", *SMALL[model], *QUICK, f"data.test_path={files[1]}", *overrides]
    return load_config([], given, {"data.path": str(files[0])})


@pytest.mark.parametrize("model", list(SMALL))
def test_a_table_is_learnt_scored_and_answered(table, tmp_path, model):
    options = ["data.ignore=[big]", "train.epochs=12", "optim.lr=0.01"]
    result = train_run(of_table(table, *options, model=model), folder=tmp_path / "run")
    own, others = result.scores["model"]["targets"]["cpu_share"], result.scores["baselines"]
    assert (result.scores["cases"], own["count"], list(others)) == (60, 60, ["mean", "ridge"])
    assert own["r2"] > 0.5 > abs(others["mean"]["cpu_share"]["r2"])
    assert f"its RMSE is {own['rmse']:.4g}" in result.scores["verdict"]
    assert evaluate_run(tmp_path / "run")["model"] == result.scores["model"]
    answers = predict_run(tmp_path / "run")
    given = pd.read_csv(table)
    pd.testing.assert_frame_equal(answers[list(given)], given, check_dtype=False)
    trained = load_run(RunFolder(tmp_path / "run"))
    known = np.flatnonzero(given["cpu_share"].notna())
    test = answers.iloc[known[trained.prepared.parts.test]]
    errors = test["predicted_cpu_share"] - test["cpu_share"]
    assert np.sqrt((errors**2).mean()) == pytest.approx(own["rmse"], rel=1e-5)
    assert np.isfinite(answers["predicted_cpu_share"]).all()


def test_new_rows_are_answered_without_their_target_and_the_same_as_before(table, tmp_path):
    train_run(of_table(table, "data.ignore=[big]"), folder=tmp_path / "run")
    whole, few = (
        predict_run(tmp_path / "run"),
        pd.read_csv(table)[["zone", *generate_table(rows=1).columns[:-1]]].head(9),
    )
    few.assign(zone=["nowhere", *few["zone"][1:]]).to_csv(tmp_path / "new.csv", index=False)
    answers = predict_run(tmp_path / "run", data=tmp_path / "new.csv")
    assert list(answers) == [*few, "predicted_cpu_share"]
    np.testing.assert_allclose(answers["predicted_cpu_share"][1:], whole["predicted_cpu_share"][1:9], rtol=1e-5)
    assert answers["predicted_cpu_share"][0] != whole["predicted_cpu_share"][0], "another zone"
    with pytest.raises(DataError, match="the test part holds no case to score"):
        evaluate_run(tmp_path / "run", data=tmp_path / "new.csv")
    few.drop(columns="cpu_load").to_csv(tmp_path / "new.csv", index=False)
    with pytest.raises(DataError, match=r"no column `cpu_load` in `new.csv`"):
        predict_run(tmp_path / "run", data=tmp_path / "new.csv")
    scores = evaluate_run(tmp_path / "run", data=table)
    assert (scores["cases"], scores["notes"]) == (
        299,
        ["the run knows these data: it was trained, chosen or scored on them"],
    )


def test_quantiles_and_several_targets_are_answered(table, tmp_path):
    options = ["data.target=[cpu_share,process_count]", "data.ignore=[big]", "loss=quantiles", "data.scale.kind=robust"]
    result = train_run(of_table(table, *options, "train.epochs=10", "optim.lr=0.01"), folder=tmp_path / "run")
    below = result.scores["model"]["targets"]["cpu_share"]["below"]
    assert 0 <= below["0.1"] < below["0.5"] < below["0.9"] <= 1
    assert result.scores["model"]["targets"]["process_count"]["r2"] > 0
    assert "its MAE is" in result.scores["verdict"]
    answers = predict_run(tmp_path / "run")
    columns = [
        f"predicted_{name}{end}" for name in ("cpu_share", "process_count") for end in ("", "_q0.1", "_q0.5", "_q0.9")
    ]
    assert list(answers)[-8:] == columns
    assert (answers["predicted_cpu_share_q0.1"] <= answers["predicted_cpu_share_q0.9"]).all()
    np.testing.assert_array_equal(answers["predicted_process_count"], answers["predicted_process_count_q0.5"])


@pytest.mark.parametrize("model", list(SMALL))
def test_sequences_are_classified_scored_and_answered(sequences, tmp_path, model):
    config = of_sequences(sequences, "train.epochs=40", "optim.lr=0.02", "data.split.val=0.2", model=model)
    result = train_run(config, folder=tmp_path / "run")
    own = result.scores["model"]["targets"]["label"]
    assert (result.scores["cases"], list(result.scores["baselines"])) == (30, ["majority", "nearest"])
    assert own["accuracy"] > 0.6
    assert result.scores["baselines"]["majority"]["label"]["accuracy"] == 0.5
    assert np.sum(own["confusion"]) == 30
    answers = predict_run(tmp_path / "run")
    assert list(answers) == ["case", "predicted_label", "probability_fast", "probability_slow"]
    np.testing.assert_allclose(answers["probability_fast"] + answers["probability_slow"], 1, rtol=1e-12)
    right = answers["predicted_label"] == np.array(["slow", "fast"])[np.arange(30) % 2]
    assert right.mean() == pytest.approx(own["accuracy"])
    assert len(predict_run(tmp_path / "run", data=sequences[0])) == 60
    assert evaluate_run(tmp_path / "run")["model"] == result.scores["model"]


def test_a_table_is_classified_by_folds(table, tmp_path):
    folds = [
        task_of(config).prepare(config).parts.test
        for config in (
            of_table(
                table,
                "data.target=big",
                "data.ignore=[cpu_share]",
                "data.split.kind=fold",
                f"data.split.fold={k}",
                task="classify",
            )
            for k in range(5)
        )
    ]
    assert sorted(np.concatenate(folds)) == list(range(300))
    options = ["data.target=big", "data.ignore=[cpu_share]", "data.split.kind=fold", "loss.smoothing=0.1"]
    result = train_run(
        of_table(table, *options, "train.epochs=10", "optim.lr=0.01", task="classify"), folder=tmp_path / "run"
    )
    assert result.scores["model"]["targets"]["big"]["accuracy"] > 0.7


def final(run, config):
    last = run.checkpoints / str(max(saved_steps(run.checkpoints)))
    state = restore_checkpoint(last, fresh_state(plan_run(config)))
    return (
        jax.device_get(state._replace(key=None)),
        (run.path / "metrics.jsonl").read_bytes(),
        run.read_json("scores.json"),
    )


@pytest.mark.parametrize("kind", ["regress", "classify"])
def test_an_interrupted_run_goes_on_to_the_bit(table, sequences, tmp_path, kind):
    config = of_table(table) if kind == "regress" else of_sequences(sequences)
    train_run(config, folder=tmp_path / "whole")
    left = iter([None, 143])
    with pytest.raises(Interrupted):
        train_run(config, folder=tmp_path / "run", stop=lambda: next(left))
    resume_run(RunFolder(tmp_path / "run"))
    (one, lines, scores), (other, again, same) = (final(RunFolder(tmp_path / n), config) for n in ("whole", "run"))
    chex.assert_trees_all_equal(one, other)
    assert (lines, scores) == (again, same)


def test_a_group_answers_with_its_mean_and_its_spread(table, sequences, tmp_path):
    result = train_run(of_table(table, "train.seeds=2"), folder=tmp_path / "numbers")
    spread = result.scores["members"]["targets"]["cpu_share"]["rmse"]
    assert (result.scores["members"]["seeds"], len(spread["values"])) == ([0, 1], 2)
    answers = predict_run(tmp_path / "numbers")
    alone = [predict_run(tmp_path / "numbers" / "members" / str(seed))["predicted_cpu_share"] for seed in (0, 1)]
    np.testing.assert_allclose(answers["predicted_cpu_share"], np.mean(alone, axis=0), rtol=1e-12)
    np.testing.assert_allclose(answers["predicted_cpu_share_spread"], np.std(alone, axis=0, ddof=1), rtol=1e-9)
    result = train_run(of_sequences(sequences, "train.seeds=2"), folder=tmp_path / "labels")
    assert len(result.scores["members"]["targets"]["label"]["accuracy"]["values"]) == 2
    together = predict_run(tmp_path / "labels")["probability_fast"]
    alone = [predict_run(tmp_path / "labels" / "members" / str(seed))["probability_fast"] for seed in (0, 1)]
    np.testing.assert_allclose(together, np.mean(alone, axis=0), rtol=1e-12)


@pytest.mark.parametrize("poison", [1e6, np.nan, "word"])
def test_test_rows_are_poison_and_nobody_drank(table, tmp_path, poison):
    config = of_table(table, "data.ignore=[big]")
    parts = task_of(config).prepare(config).parts
    frame = pd.read_csv(table)
    rows = np.flatnonzero(frame["cpu_share"].notna())[parts.test]
    column = "zone" if poison == "word" else "cpu_load"
    frame.loc[rows, column] = poison
    if poison == 1e6:
        frame.loc[rows, "cpu_share"] *= poison
    frame.to_csv(tmp_path / "poisoned.csv", index=False)
    runs = []
    for name, path in (("clean", table), ("poisoned", tmp_path / "poisoned.csv")):
        config = of_table(path, "data.ignore=[big]", "train.epochs=2")
        run = RunFolder(train_run(config, folder=tmp_path / name).folder)
        runs.append((final(run, config), run.read_json("data.json")["learnt"]))
    (one, learnt), (other, taught) = runs
    assert learnt == taught
    chex.assert_trees_all_equal(one[0].params, other[0].params)
    assert one[1] == other[1]
    assert one[2] != other[2], "the poison is strong enough to be seen"


def test_a_class_that_only_the_test_has_is_refused_before_anything_is_written(sequences, tmp_path):
    text = (
        gzip.decompress(sequences[1].read_bytes())
        .decode()
        .replace("true slow fast", "true")
        .replace(":fast", ":quick", 1)
    )
    (tmp_path / "odd.ts").write_text(text)
    with pytest.raises(DataError, match="no train case has the class `quick` of `label`"):
        train_run(of_sequences((sequences[0], tmp_path / "odd.ts")), folder=tmp_path / "run")
    assert not (tmp_path / "run").exists()


MISFITS = {
    "loss=mae": "loss=mae does not go with task.kind=classify",
    "model=linear": "model=linear does not go with task.kind=classify",
    "model.normalise=last": "model.normalise=last does not go with task.kind=classify",
    "task.horizon=3": "task.horizon=3 does not go with task.kind=classify",
    "task.context=9": "task.context=9 does not go with task.kind=classify",
    "data.split.kind=share": "data.split.kind=share does not go with task.kind=classify",
    "data.lags=[1]": "data.lags=[1] does not go with task.kind=classify",
    "data.clip.kind=quantile": "data.clip does not go with task.kind=classify",
    "data.scale.log1p=true": "data.scale.log1p=true does not go with task.kind=classify",
    "evaluate.baselines=[last]": "evaluate.baselines=last does not go with task.kind=classify",
    "data.split.train=0.95": "data.split.train=0.95 and data.split.val=0.1 leave no test part",
    "data.test_path=x.ts": "data.test_path needs data.path and data.split.kind=random",
}


@pytest.mark.parametrize("override", MISFITS)
def test_settings_of_another_task_are_refused_with_a_hint(override):
    with pytest.raises(ConfigError) as caught:
        load_config([], ["model=mlp", "task.kind=classify", override])
    assert caught.value.message == MISFITS[override]
    assert caught.value.hint
    assert caught.value.attempt.startswith("gymjax train ... ")


@pytest.mark.parametrize(
    "override", ["loss=cross_entropy", "data.split.kind=random", "data.ignore=[a]", "evaluate.baselines=[ridge]"]
)
def test_a_forecast_takes_no_settings_of_cases(override):
    with pytest.raises(ConfigError, match=r"does not go with task.kind=forecast"):
        load_config([], [override])


def test_a_task_has_its_own_defaults_wherever_it_is_said(tmp_path):
    (tmp_path / "c.yaml").write_text("task: {kind: classify}\nloss: {smoothing: 0.1}\nmodel: {hidden: 5}\n")
    config = load_config([tmp_path / "c.yaml"])
    assert (config.loss.kind, config.loss.smoothing, config.model.normalise) == ("cross_entropy", 0.1, "none")
    config = load_config([], ["task.kind=regress", "data.split.val=0.2"])
    assert (config.loss.kind, config.data.split.kind, config.data.split.val) == ("mse", "random", 0.2)
    assert (config.task.horizon, config.evaluate.baselines) == (1, ("mean", "ridge"))
    with pytest.raises(ConfigError, match="there is nothing to classify"):
        plan_run(load_config([], ["task.kind=classify"]))
    assert len(plan_run(load_config([], ["task.kind=regress", "model=mlp"])).train) == 3500


def raw_cases(path):
    """The sequences and labels of a file of one channel, as a few lines of Python read them."""
    lines = gzip.decompress(path.read_bytes()).decode().split("@data\n")[1].split()
    parts = [line.rsplit(":", 1) for line in lines]
    return np.array([[float(x) for x in values.split(",")] for values, _ in parts]), [word for _, word in parts]


@pytest.mark.parametrize(("name", "known"), [("GunPoint", 137 / 150), ("ItalyPowerDemand", 983 / 1029)])
def test_the_nearest_neighbour_of_real_sequences_is_that_of_their_raw_values(real_data, tmp_path, name, known):
    files = [real_data / "ucr" / name / f"{name}_{part}.ts.gz" for part in ("TRAIN", "TEST")]
    (x, words), (new, truth) = map(raw_cases, files)
    said = [words[np.square(x - row).sum(axis=1).argmin()] for row in new]
    right = np.mean([one == other for one, other in zip(said, truth, strict=True)])
    result = train_run(of_sequences(files, "train.epochs=1"), folder=tmp_path / "run")
    assert result.scores["cases"] == len(truth)
    assert result.scores["baselines"]["nearest"]["label"]["accuracy"] == pytest.approx(right)
    assert right == pytest.approx(known)


def test_what_is_for_forecasts_refuses_cases_before_anything_is_read(table, tmp_path):
    config = of_table(table)
    run = RunFolder(tmp_path)
    run.write_config(config.document(), "a run")
    run.write_json("data.json", {"columns": {}})
    ways = {
        "cv": lambda: cross_validate(config),
        "backtest": lambda: backtest(config=config),
        "backtest ": lambda: backtest(run),
        "anomalies": lambda: find_anomalies(run),
    }
    for command, way in ways.items():
        with pytest.raises(ConfigError, match=f"`gymjax {command.strip()}` is for forecasts"):
            way()
