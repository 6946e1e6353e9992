"""A sweep: every combination once, what is finished stays, and a table by validation loss."""

import json
import statistics

import numpy as np
import pandas as pd
import pytest
from ends import StopAt
from small import small_config
from tune.worker import FEW, quick

from gym_jax.config.load import load_config
from gym_jax.data.read import read
from gym_jax.errors import ConfigError, Interrupted
from gym_jax.run import assemble
from gym_jax.run.folder import RunFolder
from gym_jax.tune import trial as trials
from gym_jax.tune.space import split_words
from gym_jax.tune.sweep import begin_sweep, combinations, sweep

WORDS = ("optim.lr=1e-3,1e-2", "train.seed=range(0,2)", "model.dropout=0,0.2")


def grid(root, *words, batch=8, overrides=()):
    config, space = small_config(root, "mlp", *FEW, "run.name=grid", *overrides), split_words(words)[0]
    return config, space, combinations(config, space), batch


def run(root, *words, **options):
    config, space, found, batch = grid(root, *words)
    return sweep(begin_sweep(config, space, batch), found, **options)


def test_combinations_are_the_product_with_the_last_key_fastest(tmp_path):
    _, _, found, _ = grid(tmp_path, "optim.lr=1e-3,1e-2", "model.hidden=[8],[16]", "train.seed=range(0,2)")
    assert [tuple(values.values()) for values, _ in found] == [
        (lr, hidden, seed) for lr in (1e-3, 1e-2) for hidden in ([8], [16]) for seed in (0, 1)
    ]
    assert [config.train.seed for _, config in found] == [0, 1] * 4


def test_what_a_kind_does_not_have_makes_no_combination(tmp_path):
    _, _, found, _ = grid(tmp_path, "model=mlp,lstm,linear", "model.layers=1,2", "model.dropout=0,0.1")
    assert [(c.model.kind, v.get("model.layers"), v.get("model.dropout")) for v, c in found] == [
        *[("mlp", None, d) for d in (0, 0.1)],
        *[("lstm", n, d) for n in (1, 2) for d in (0, 0.1)],
        ("linear", None, None),
    ]


def test_an_interval_and_a_combination_that_does_not_fit_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="has no end of values"):
        grid(tmp_path, "optim.lr=interval(1e-4,1e-2)")
    with pytest.raises(ConfigError, match=r"heads=4 does not divide model\.width=6"):
        grid(tmp_path, "model.width=8,6", "model.heads=2,4", overrides=("model=transformer", "model.width=8"))
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    root = tmp_path_factory.mktemp("sweep")
    told = []
    return root, run(root, *WORDS, tell=told.append), told


def test_every_combination_is_a_run_and_the_table_is_by_validation_loss(swept):
    root, found, told = swept
    assert found["run_status"] == "done"
    losses = [row["val_loss"] for row in found["runs"]]
    assert losses == sorted(losses)
    assert len(losses) == 8
    for row in found["runs"]:
        folder = RunFolder(root / "grid" / row["run"])
        assert folder.read_json("status.json")["best"]["val_loss"] == row["val_loss"]
        assert folder.read_json("scores.json")["part"] == "test"
        assert folder.read_config()["optim"]["lr"] == row["values"]["optim.lr"]
    assert [event.facts["trial"] for event in told if event.kind == "trial"] == list(range(8))
    assert load_config([root / "grid" / "best.yaml"]).optim.lr == found["runs"][0]["values"]["optim.lr"]
    assert json.loads((root / "grid" / "runs.json").read_text())["runs"] == found["runs"]


def test_means_over_seeds_are_of_the_runs_that_differ_in_it_alone(swept):
    _, found, _ = swept
    assert len(found["over_seeds"]) == 4
    first = found["over_seeds"][0]
    own = [
        row["val_loss"]
        for row in found["runs"]
        if {**row["values"], "train.seed": 0} == {**first["values"], "train.seed": 0}
    ]
    assert (first["seeds"], len(own)) == (2, 2)
    assert first["val_loss"] == pytest.approx(statistics.fmean(own), rel=1e-12)
    assert first["sd"] == pytest.approx(abs(own[0] - own[1]) / 2**0.5, rel=1e-9)


def test_what_is_finished_stays(swept):
    root, found, _ = swept
    times = {path: path.stat().st_mtime_ns for path in (root / "grid" / "trials").rglob("metrics.jsonl")}
    again = run(root, *WORDS)
    assert again == found
    assert {path: path.stat().st_mtime_ns for path in times} == times
    with pytest.raises(ConfigError, match="was begun with another: space"):
        run(root, *WORDS[:2])


@pytest.mark.slow
def test_stopped_and_taken_up_again_is_the_same_sweep(swept, tmp_path):
    _, found, _ = swept
    with pytest.raises(Interrupted, match="SIGTERM") as caught:
        run(tmp_path, *WORDS, stop=StopAt(3))
    assert caught.value.exit_code == 143
    assert {RunFolder(path).read_json("status.json")["status"] for path in (tmp_path / "grid/trials").iterdir()} == {
        "stopped"
    }
    assert run(tmp_path, *WORDS)["runs"] == found["runs"]


def test_the_data_are_read_once(tmp_path, monkeypatch):
    path, reads = tmp_path / "usage.csv", []
    times = pd.date_range("2026-01-05", periods=300, freq="h")
    pd.DataFrame({"ds": times, "cpu": np.sin(np.arange(300.0)) + 1}).to_csv(path, index=False)

    def counted(path, *rest, **more):
        reads.append(path)
        return read(path, *rest, **more)

    monkeypatch.setattr(assemble, "read", counted)
    keys = (f"data.path={path}", "data.target=[cpu]", "task.context=8")
    config, space, found, _ = grid(tmp_path, "optim=adam,sgd", overrides=keys)
    assert {row["state"] for row in sweep(begin_sweep(config, space, 1), found)["runs"]} == {"complete"}
    assert len(reads) == 1


def test_losses_of_different_things_are_not_called_best(tmp_path, monkeypatch):
    monkeypatch.setattr(trials, "train_run", quick)
    solved = run(tmp_path / "a", "model=last,linear", "data.stride=8,4")
    assert (solved["best"], [row["val_loss"] for row in solved["runs"]]) == (None, [None] * 4)
    found = run(tmp_path / "b", "loss=mae,mse")
    assert found["best"] is None
    assert found["notes"][0].startswith("loss changes what the validation loss is of")
    assert not (tmp_path / "b/grid/best.yaml").exists()
