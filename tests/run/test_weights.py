"""Which weights judge and forecast: the best step's, averaged where training averages; everybody says which."""

import itertools
import json

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from optax.contrib import ScheduleFreeState
from small import CONTEXT, HORIZON, small_config
from tolerances import FLOAT32

from gym_jax.cli import main
from gym_jax.config.load import load_config
from gym_jax.run.evaluate import evaluate_run
from gym_jax.run.export import export_run
from gym_jax.run.folder import RunFolder
from gym_jax.run.load import load_run, load_weights
from gym_jax.run.plan import fresh_state, plan_run
from gym_jax.run.predict import predict_run
from gym_jax.run.runs import open_run
from gym_jax.run.scores import score_run
from gym_jax.run.train import train_run
from gym_jax.train.checkpoint import restore_checkpoint, saved_steps
from gym_jax.types import Inputs

AVERAGED = {
    "trained": ["optim.lr=0.02", "train.epochs=3"],
    "ema": ["optim.lr=0.03", "train.epochs=5", "train.ema=0.8"],
    "schedule_free": ["optim.lr=0.05", "train.epochs=3", "optim=schedule_free"],
}
"""Rates so high that the last epoch is not the best."""


@pytest.fixture(scope="module", params=AVERAGED)
def run(request, tmp_path_factory):
    root = tmp_path_factory.mktemp(request.param)
    overrides = ("schedule=constant", "data.synthetic.gaps=0", "run.save_seconds=0", *AVERAGED[request.param])
    return request.param, open_run(train_run(small_config(root, "mlp", *overrides)).folder)


def best_of(folder):
    """Return the step with the lowest validation loss and the state saved there."""
    lines = folder.read_lines("metrics.jsonl")
    best = min(lines, key=lambda line: line["val_loss"])["step"]
    assert best < lines[-1]["step"] == max(saved_steps(folder.checkpoints)), "the last epoch must not be the best"
    config = load_config([folder.path / "config.yaml"])
    return best, jax.device_get(
        restore_checkpoint(folder.checkpoints / str(best), fresh_state(plan_run(config)))._replace(key=None)
    )


def judging(weights, state):
    """Return the parameters that must judge, out of what lies in the checkpoint."""
    if weights == "ema":
        return state.ema
    if weights == "schedule_free":
        nodes = jax.tree.leaves(state.opt_state, is_leaf=lambda node: isinstance(node, ScheduleFreeState))
        (found,) = [node for node in nodes if isinstance(node, ScheduleFreeState)]
        return jax.tree.map(lambda z, y: (y - 0.1 * z) / 0.9, found.z, state.params)  # b1 = 0.9
    return state.params


def test_the_averages_of_the_best_step_are_scored_evaluated_forecast_with_and_exported(run, tmp_path):
    weights, folder = run
    best, state = best_of(folder)
    expected = judging(weights, state)
    near = {"rtol": FLOAT32, "atol": FLOAT32} if weights == "schedule_free" else {"rtol": 0, "atol": 0}
    apart = [np.abs(a - b).max() for a, b in zip(*map(jax.tree.leaves, (expected, state.params)), strict=True)]
    assert (max(apart) > 1e-3) == (weights != "trained")

    scores, trained = folder.read_json("scores.json"), load_run(folder)
    assert scores["step"] == trained.step == load_weights(folder).step == best
    for params in (trained.variables["params"], load_weights(folder).params):
        chex.assert_trees_all_close(params, expected, **near)
    own = score_run(trained.config, trained.prepared, trained.model, {"params": expected})["model"]["targets"]
    for seen in (scores, evaluate_run(folder)):
        assert seen["model"]["targets"]["cpu_cores"]["mae"] == pytest.approx(own["cpu_cores"]["mae"], rel=1e-5)

    manifest = export_run(folder, tmp_path / "plain")
    assert manifest["step"] == best
    with np.load(tmp_path / "plain" / "weights.npz") as arrays:
        chex.assert_trees_all_close({part: dict(named(arrays, part)) for part in expected}, expected, **near)

    panel, scaler = trained.prepared.panel, trained.prepared.scaler
    series = np.arange(len(panel.series))
    ends = panel.offsets[1:, None] - np.arange(CONTEXT, 0, -1)
    past = scaler.transform(panel.values[ends.ravel()], np.repeat(series, CONTEXT)).reshape(*ends.shape, 1)
    answer = np.asarray(trained.model.apply({"params": expected}, Inputs(past=jnp.asarray(past))))
    frame = predict_run(folder)
    assert frame.attrs["step"] == best
    assert answer.shape[1] == HORIZON
    np.testing.assert_allclose(frame["cpu_cores"], scaler.restore(answer, series).ravel(), rtol=1e-5)


def named(arrays, part):
    return ((name.partition("/")[2], arrays[name]) for name in arrays if name.startswith(f"{part}/"))


def test_everybody_says_which_weights_these_are(run, capsys):
    weights, folder = run
    assert folder.read_json("scores.json")["weights"] == weights
    assert folder.read_json("status.json")["weights"] == weights
    assert evaluate_run(folder)["weights"] == weights
    assert predict_run(folder).attrs["weights"] == weights
    for command in ("evaluate", "predict"):
        assert main([command, str(folder.path), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["weights"] == weights


def test_a_start_is_not_the_best_step_of_a_run_without_validation(tmp_path):
    """A warm start is saved at step 0, which is no step that was ever judged."""
    donor = train_run(small_config(tmp_path, "mlp", "train.epochs=1")).folder
    overrides = (f"train.init_from={donor}", "data.split.train=0.8", "data.split.val=0", "train.epochs=2")
    folder = open_run(train_run(small_config(tmp_path, "mlp", *overrides), folder=tmp_path / "run").folder)
    last = max(saved_steps(folder.checkpoints))
    assert saved_steps(folder.checkpoints) == [0, last]
    assert folder.read_json("scores.json")["step"] == load_run(folder).step == load_weights(folder).step == last


def test_the_rate_that_is_logged_is_the_one_that_moved_the_parameters(tmp_path):
    """Plain gradient descent, one step an epoch: what the parameters moved is the rate times the gradient's norm."""
    overrides = ("optim=sgd", "optim.lr=0.1", "schedule=one_cycle", "schedule.rise=2", "schedule.steps=4")
    once = (
        "train.batch_size=100000",
        "train.clip=null",
        "model.dropout=0",
        "run.save_seconds=0",
        "run.save_behind=false",
    )
    folder = tmp_path / "run"
    places = []

    def look(event):
        if event.kind in ("saved", "scored"):
            step = max(saved_steps(folder / "checkpoints"))
            params = load_weights(open_run(folder), step).params
            places.append(np.concatenate([leaf.ravel() for leaf in jax.tree.leaves(params)]))

    whole = ("data.split.train=0.8", "data.split.val=0", "train.epochs=4")
    config = small_config(tmp_path, "mlp", *overrides, *once, *whole)
    train_run(config, folder=folder, watch=look)
    lines = RunFolder(folder).read_lines("metrics.jsonl")
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert len({line["lr"] for line in lines}) == 4
    moved = [np.linalg.norm(after - before) for before, after in itertools.pairwise(places)]
    expected = [line["lr"] * line["grad_norm"] for line in lines[1:]]
    np.testing.assert_allclose(moved, expected, rtol=1e-3)


def test_weights_are_read_without_the_data(tmp_path):
    from small import small_csv

    path = small_csv(tmp_path / "cpu.csv")
    overrides = (f"data.path={path}", "data.target=cpu", "train.epochs=1", "data.calendar=[day]", "data.lags=[12]")
    folder = RunFolder(train_run(small_config(tmp_path, "lstm", *overrides)).folder)
    expected = load_run(folder).variables["params"]
    path.unlink()
    chex.assert_trees_all_equal(load_weights(folder).params, expected)
