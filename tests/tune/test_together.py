"""Trials in one program: each is its single run but for rounding, has its own numbers and its own end."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import small_config

from gym_jax.config.vary import vary
from gym_jax.models.dropout import Dropout, Kept
from gym_jax.run.folder import RunFolder
from gym_jax.run.own import alike, own_keys
from gym_jax.run.train import train_run
from gym_jax.train.checkpoint import saved_steps
from gym_jax.tune.together import run_together, shares
from gym_jax.tune.trial import LOSS, Way, run_trial

OWN = [
    {"optim.lr": 3e-2, "optim.weight_decay": 1e-3, "optim.b1": 0.9, "model.dropout": 0.2, "train.clip": 1.0},
    {"optim.lr": 1e-3, "optim.weight_decay": 1e-1, "optim.b1": 0.8, "model.dropout": 0.0, "train.clip": 0.1},
    {"optim.lr": 1e-2, "optim.weight_decay": 0.0, "optim.b1": 0.5, "model.dropout": 0.5, "train.clip": 9.0},
]
FREE = [
    {"schedule.final": 0.5, "train.seed": 0},
    {"schedule.final": 0.1, "train.seed": 7, "train.patience": 1},
    {"schedule.final": 0.0, "train.seed": 0},
]
"""What the program is given, what it does not know, and what only the host asks for."""


def members(root, *overrides):
    base = small_config(root, "mlp", "data.synthetic.days=2", "train.chunk=null", *overrides)
    return [vary(base, {**own, **free}, "a test") for own, free in zip(OWN, FREE, strict=True)]


def test_each_is_its_single_run(tmp_path):
    configs = members(tmp_path)
    assert len(own_keys(configs)) == 6
    assert alike(configs) == [[0, 1, 2]]
    trials = {number: (config, tmp_path / f"together/{number}") for number, config in enumerate(configs)}
    found = run_together(trials, tmp_path / "batch", Way(part="test"))
    for number, config in enumerate(configs):
        alone = RunFolder(train_run(config, folder=tmp_path / f"alone/{number}").folder)
        own = RunFolder(trials[number][1])
        lines, theirs = own.read_lines("metrics.jsonl"), alone.read_lines("metrics.jsonl")
        assert len(lines) == len(theirs) == found[number].epochs
        for name in ("loss", "grad_norm", "val_loss", "lr"):
            np.testing.assert_allclose([line[name] for line in lines], [line[name] for line in theirs], rtol=1e-4)
        scores = [run.read_json("scores.json")["model"]["targets"]["cpu_cores"]["mae"] for run in (own, alone)]
        assert scores[0] == pytest.approx(scores[1], rel=1e-4)
        assert found[number].value == own.read_json("status.json")["best"][LOSS]
        assert saved_steps(own.checkpoints) == saved_steps(alone.checkpoints)
    assert found[1].epochs < 4 or found[1].state == "complete"
    lines = RunFolder(tmp_path / "batch").read_lines("metrics.jsonl")
    own = [RunFolder(folder).read_lines("metrics.jsonl") for _, folder in trials.values()]
    assert lines[0]["members"] == 3, "also where trials have one seed"
    assert lines[0]["val_loss"] == pytest.approx(np.mean([each[0]["val_loss"] for each in own]))


def test_kept_draws_the_masks_of_a_rate():
    inputs, key = jnp.ones((64, 64)), {"dropout": jax.random.key(3)}
    for rate in (0.0, 0.1, 1 / 3, 0.7):
        fixed = Dropout(rate, deterministic=False).apply({}, inputs, rngs=key)
        given = jax.jit(lambda kept: Dropout(Kept(kept), deterministic=False).apply({}, inputs, rngs=key))
        np.testing.assert_allclose(given(np.float32(1 - rate)), fixed, rtol=1e-6)
    assert (Dropout(Kept(jnp.float32(0.5)), deterministic=True).apply({}, inputs) == inputs).all()


ALONE = {
    "another width": {"model.hidden": [8]},
    "another batch": {"train.batch_size": 8},
    "another optimiser": {"optim": "sgd"},
    "other data": {"data.stride": 4},
    "nothing clipped": {"train.clip": None},
}


@pytest.mark.parametrize("change", ALONE)
def test_what_needs_another_program_stands_alone(change, tmp_path):
    base = small_config(tmp_path, "mlp")
    other = vary(base, ALONE[change], "a test")
    assert alike([base, other, base]) == [[0, 2], [1]]


def test_a_momentum_of_nothing_is_another_program(tmp_path):
    base = small_config(tmp_path, "mlp", "optim=sgd", "optim.momentum=0.9")
    others = [vary(base, {"optim.momentum": value}, "a test") for value in (0.0, 0.5)]
    assert len(alike([base, *others])) == 3, "what chooses between programs is a constant"
    faster = vary(base, {"optim.lr": 0.5}, "a test")
    assert alike([base, faster]) == [[0, 1]]


def test_what_is_placed_or_is_a_group_is_trained_by_itself(tmp_path):
    assert shares(small_config(tmp_path, "mlp"))
    for words in (("train.seeds=2",), ("train.placement=one",), ("train.shards=2",), ("model=linear",)):
        assert not shares(small_config(tmp_path, "mlp", *words))


def test_one_is_given_up_the_others_go_on_as_they_would(tmp_path):
    configs = members(tmp_path)
    whole = {number: (config, tmp_path / f"whole/{number}") for number, config in enumerate(configs)}
    trials = {number: (config, tmp_path / f"trials/{number}") for number, config in enumerate(configs)}
    left = run_together(whole, tmp_path / "a", Way())
    found = run_together(trials, tmp_path / "b", Way(), lambda number, epoch, value: (number, epoch) == (0, 2))
    assert (found[0].state, found[0].epochs) == ("pruned", 2)
    run = RunFolder(trials[0][1])
    assert run.read_json("status.json")["status"] == "pruned"
    assert saved_steps(run.checkpoints) == []
    assert len(run.read_lines("metrics.jsonl")) == 2
    assert found[0].value == RunFolder(whole[0][1]).read_lines("metrics.jsonl")[1][LOSS]
    for number in (1, 2):
        assert found[number].value == pytest.approx(left[number].value, rel=1e-5)
    again = run_together(trials, tmp_path / "b", Way(), lambda *facts: False)
    assert again == found, "what has ended stays as it ended"


def test_a_single_trial_is_given_up_and_stays_so(tmp_path):
    config = small_config(tmp_path, "mlp", "data.synthetic.days=2", "train.chunk=null")
    found = run_trial(config, tmp_path / "one", Way(), lambda epoch, value: epoch == 2)
    assert (found.state, found.epochs) == ("pruned", 2)
    assert run_trial(config, tmp_path / "one", Way()) == found
    assert not (tmp_path / "one/checkpoints").exists()
