"""Which weights judge and forecast: the best step's, averaged where training averages; everybody says which."""

import json

import chex
import jax
import numpy as np
import pytest
from small import small_config

from gym_jax.cli import main
from gym_jax.config.load import load_config
from gym_jax.run.evaluate import evaluate_run
from gym_jax.run.folder import RunFolder, open_run
from gym_jax.run.load import load_run, load_weights
from gym_jax.run.plan import fresh_state, plan_run
from gym_jax.run.predict import predict_run
from gym_jax.run.scores import score_run
from gym_jax.run.train import train_run
from gym_jax.train.average import evaluation_params
from gym_jax.train.checkpoint import restore_checkpoint, saved_steps

AVERAGED = {
    "trained": [],
    "ema": ["train.ema=0.9"],
    "schedule_free": ["optim=schedule_free", "schedule=constant", "optim.lr=0.01"],
}


@pytest.fixture(scope="module", params=AVERAGED)
def run(request, tmp_path_factory):
    root = tmp_path_factory.mktemp(request.param)
    return request.param, open_run(train_run(small_config(root, "mlp", *AVERAGED[request.param])).folder)


def saved_state(run, step):
    config = load_config([run.path / "config.yaml"])
    return config, restore_checkpoint(run.checkpoints / str(step), fresh_state(plan_run(config)))


def test_the_averages_are_what_is_scored_evaluated_and_forecast_with(run):
    weights, folder = run
    scores = folder.read_json("scores.json")
    config, state = saved_state(folder, scores["step"])
    expected = evaluation_params(state)
    if weights != "trained":
        assert any(
            np.abs(a - b).max() > 1e-4 for a, b in zip(*map(jax.tree.leaves, (expected, state.params)), strict=True)
        )
    trained = load_run(folder)
    chex.assert_trees_all_equal(trained.variables["params"], expected)
    chex.assert_trees_all_equal(load_weights(folder).params, expected)
    again = score_run(config, trained.prepared, trained.model, {"params": jax.device_get(expected)})
    assert again["model"] == scores["model"] == evaluate_run(folder)["model"]
    raw = score_run(config, trained.prepared, trained.model, {"params": jax.device_get(state.params)})
    assert (raw["model"] == scores["model"]) == (weights == "trained")


def test_everybody_says_which_weights_these_are(run, capsys):
    weights, folder = run
    assert folder.read_json("scores.json")["weights"] == weights
    assert folder.read_json("status.json")["weights"] == weights
    assert evaluate_run(folder)["weights"] == weights
    assert predict_run(folder).attrs["weights"] == weights
    for command in ("evaluate", "predict"):
        assert main([command, str(folder.path), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["weights"] == weights


def test_the_best_step_is_the_one_that_is_used(tmp_path):
    """A rate that rises without bound after the first epochs makes the last step worse than the best."""
    overrides = ("schedule=constant", "optim=sgd", "optim.lr=0.5", "train.clip=null", "train.epochs=5", "loss=mse")
    folder = open_run(train_run(small_config(tmp_path, "mlp", *overrides)).folder)
    lines = folder.read_lines("metrics.jsonl")
    best = min(lines, key=lambda line: line["val_loss"])
    last = max(saved_steps(folder.checkpoints))
    assert best["step"] < last, "this test needs a run whose last epoch is not its best"
    trained = load_run(folder)
    assert trained.step == best["step"] == folder.read_json("scores.json")["step"]
    _, state = saved_state(folder, best["step"])
    chex.assert_trees_all_equal(trained.variables["params"], state.params)


def test_weights_are_read_without_the_data(tmp_path):
    from small import small_csv

    path = small_csv(tmp_path / "cpu.csv")
    overrides = (f"data.path={path}", "data.target=cpu", "train.epochs=1", "data.calendar=[day]", "data.lags=[12]")
    folder = RunFolder(train_run(small_config(tmp_path, "lstm", *overrides)).folder)
    expected = load_run(folder).variables["params"]
    path.unlink()
    chex.assert_trees_all_equal(load_weights(folder).params, expected)
