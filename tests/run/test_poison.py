"""What lies after the train part changes no trained parameter and no scaler, by a bit."""

import chex
import numpy as np
import pandas as pd
import pytest
from small import small_config, small_csv

from gym_jax.run.folder import RunFolder
from gym_jax.run.plan import fresh_state, plan_run
from gym_jax.run.train import train_run
from gym_jax.train.checkpoint import restore_checkpoint, saved_steps


def trained(tmp_path, name, path):
    config = small_config(tmp_path, "mlp", f"data.path={path}", "data.target=cpu")
    run = RunFolder(train_run(config, folder=tmp_path / name).folder)
    last = run.checkpoints / str(max(saved_steps(run.checkpoints)))
    return restore_checkpoint(last, fresh_state(plan_run(config))), run


@pytest.mark.parametrize("poison", [1e6, np.nan], ids=["huge", "missing"])
def test_the_future_is_poison_and_nobody_drank(tmp_path, poison):
    clean = pd.read_csv(small_csv(tmp_path / "clean.csv"))
    late = clean.groupby("unique_id").cumcount() >= 0.7 * 400
    changed = clean.assign(cpu=clean["cpu"].where(~late, clean["cpu"] * poison if poison == poison else poison))
    changed.loc[late & (changed.index % 5 == 0), "cpu"] = 3.0  # something must be left to score
    changed.to_csv(tmp_path / "poisoned.csv", index=False)
    left, clean_run = trained(tmp_path, "one", tmp_path / "clean.csv")
    right, dirty_run = trained(tmp_path, "two", tmp_path / "poisoned.csv")
    chex.assert_trees_all_equal(left.params, right.params)
    chex.assert_trees_all_equal(left.opt_state, right.opt_state)
    assert clean_run.read_json("data.json")["scaler"] == dirty_run.read_json("data.json")["scaler"]
    assert clean_run.read_json("profile.json") == dirty_run.read_json("profile.json")
    losses = [[line["loss"] for line in run.read_lines("metrics.jsonl")] for run in (clean_run, dirty_run)]
    assert losses[0] == losses[1]
    values = [[line["val_loss"] for line in run.read_lines("metrics.jsonl")] for run in (clean_run, dirty_run)]
    assert values[0] != values[1], "the poison is strong enough to be seen"
