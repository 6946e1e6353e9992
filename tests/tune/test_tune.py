"""A search from its beginning to its end: what is written, what is refused, what others see of it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from ends import StopAt
from small import small_config
from tune.worker import FEW, SPACE, WORKER, quick, search, told

from gym_jax.config.document import flat
from gym_jax.config.load import load_config
from gym_jax.errors import ConfigError, Diverged, Interrupted
from gym_jax.run.folder import RunFolder
from gym_jax.run.ranking import read_entry
from gym_jax.run.runs import list_runs, open_run
from gym_jax.tune import trial as trials
from gym_jax.tune.space import split_words
from gym_jax.tune.tune import begin_tune, tune


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    root = tmp_path_factory.mktemp("tune")
    return root / "search", tune(search(root, 5, trials=10, pruner="percentile"))


def test_trial_0_has_the_settings_that_everything_is_varied_from(tuned):
    path, found = tuned
    base = flat(load_config([path / "base.yaml"]).document())
    first = found["trials"][0]["values"]
    assert first == {key: base[key] for key in first if key != "optim.b1"} | {"optim.b1": 0.9}


def test_the_best_settings_are_a_file_that_repeats_the_trial(tuned):
    path, found = tuned
    best = min((row for row in found["trials"] if row["state"] == "complete"), key=lambda row: row["value"])
    assert found["best"] == best
    assert load_config([path / "best.yaml"]) == load_config([Path(best["run"]) / "config.yaml"])
    assert json.loads((path / "trials.json").read_text())["best"] == best


def test_a_file_of_the_best_that_a_kill_left_out_is_written(tuned):
    path, _ = tuned
    before = (path / "best.yaml").read_bytes()
    (path / "best.yaml").unlink()
    tune(search(path.parent, 5, trials=10, pruner="percentile"))
    assert (path / "best.yaml").read_bytes() == before


def test_trials_are_runs_that_others_see(tuned):
    path, found = tuned
    entries = [read_entry(run) for run in list_runs(path / "trials")]
    assert sorted(entry.name for entry in entries) == [f"{number:04d}" for number in range(10)]
    states = {"done": "complete", "pruned": "pruned"}
    assert {int(entry.name): states[entry.status] for entry in entries} == {
        row["trial"]: row["state"] for row in found["trials"]
    }
    assert open_run(path / "trials" / "0003").read_lines("metrics.jsonl")


def test_a_pruned_trial_says_so_and_stays_small(tuned):
    _, found = tuned
    pruned = [row for row in found["trials"] if row["state"] == "pruned"]
    assert pruned
    for row in pruned:
        run = RunFolder(row["run"])
        status = run.read_json("status.json")
        assert (status["status"], status["epochs"]) == ("pruned", row["epochs"])
        assert "behind the finished trials" in status["reason"]
        assert sum(file.stat().st_size for file in run.path.rglob("*") if file.is_file()) < 30_000


def test_no_trial_knows_the_test_part(tuned):
    path, _ = tuned
    assert not list(path.rglob("scores.json"))


def test_importance_and_pictures(tuned):
    _, found = tuned
    assert found["pictures"]
    assert min(Path(picture).stat().st_size for picture in found["pictures"]) > 5000
    assert set(found["importance"]) <= {"optim.lr", "model.dropout", "optim.b1"}


@pytest.mark.slow
def test_another_metric_is_of_the_val_part(tmp_path):
    found = tune(search(tmp_path, 2, trials=2, metric="r2"))
    assert (found["direction"], found["pruner"]["kind"]) == ("maximize", "none")
    for row in found["trials"]:
        scores = RunFolder(row["run"]).read_json("scores.json")
        assert scores["part"] == "val"
        assert scores["model"]["targets"]["cpu_cores"]["r2"] == row["value"]


def test_a_signal_saves_within_a_trial_and_the_search_goes_on_there(tmp_path):
    whole = tune(search(tmp_path / "whole", 1, trials=1))
    with pytest.raises(Interrupted, match="Ctrl-C") as caught:
        tune(search(tmp_path / "cut", 1, trials=1), stop=StopAt(2, 130))
    assert caught.value.exit_code == 130
    assert caught.value.attempt.startswith("gymjax tune --resume ")
    run = RunFolder(tmp_path / "cut/search/trials/0000")
    assert run.read_json("status.json")["status"] == "stopped"
    begun = run.read_json("status.json")["epochs"]
    assert begun > 0
    told_of = []
    assert told(tune(search(tmp_path / "cut", 1, trials=1), tell=told_of.append)) == told(whole)
    assert next(event.facts["epoch"] for event in told_of if event.kind == "epoch") == begun + 1


def test_the_time_is_up_between_and_more_trials_may_be_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(trials, "train_run", quick)
    none = tune(search(tmp_path, 1, trials=2), seconds=0)
    assert (none["run_status"], none["trials"]) == ("stopped", [])
    two = tune(search(tmp_path, 1, trials=2))
    four = tune(search(tmp_path, 1, trials=2), trials=4)
    assert (len(two["trials"]), len(four["trials"])) == (2, 4)
    assert told(four)[:2] == told(two)
    assert four["asked"] == 4


@pytest.mark.slow
def test_more_trials_may_be_asked_where_those_of_one_program_were_too_few(tmp_path):
    two = tune(search(tmp_path, 4, trials=2))
    assert (tmp_path / "search/batches/0000").is_dir(), "they were trained together, and saved"
    five = tune(search(tmp_path, 4, trials=2), trials=5)
    assert told(five)[:2] == told(two)
    assert {row["state"] for row in five["trials"]} <= {"complete", "pruned"}
    assert len(five["trials"]) == 5


def test_what_diverges_is_told_and_the_search_goes_on(tmp_path, monkeypatch):
    def train_run(config, **options):
        if options["folder"].name == "0001":
            raise Diverged("the loss is not finite at step 3")
        return quick(config, **options)

    monkeypatch.setattr(trials, "train_run", train_run)
    found = tune(search(tmp_path, 1, trials=3))
    assert [row["state"] for row in found["trials"]] == ["complete", "diverged", "complete"]
    assert found["trials"][1]["reason"] == "the loss is not finite at step 3"


def test_a_combination_that_is_no_configuration_fails_and_the_search_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(trials, "train_run", quick)
    config = small_config(tmp_path, "transformer", *FEW[1:], "run.name=search")
    space = split_words(("model.width=8,6", "model.heads=2,4"))[0]
    found = tune(begin_tune(config, space, trials=8, sampler="random")[0])
    for row in found["trials"]:
        fits = row["values"]["model.width"] % row["values"]["model.heads"] == 0
        assert row["state"] == ("complete" if fits else "failed")
    assert {row["state"] for row in found["trials"]} == {"complete", "failed"}


REFUSED = {
    ("task.horizon=2,4",): "`task.horizon` changes what is asked",
    ("data.split.train=0.5,0.6",): "`data.split.train` changes what is asked",
    ("loss=mae,mse",): "`loss` changes the unit of the validation loss",
    ("data.scale.kind=standard,robust",): "`data.scale.kind` changes the unit",
    ("model=mlp,linear",): "model=linear is solved at once",
}


@pytest.mark.parametrize("space", REFUSED)
def test_trials_that_could_not_be_compared_are_refused(space, tmp_path):
    with pytest.raises(ConfigError) as caught:
        search(tmp_path, 1, space=space)
    assert REFUSED[space] in caught.value.message
    assert list(tmp_path.iterdir()) == []


def test_without_a_val_part_or_with_an_unknown_metric_nothing_begins(tmp_path):
    with pytest.raises(ConfigError, match="there is no val part"):
        search(tmp_path, 1, "data.split.val=0")
    with pytest.raises(ConfigError, match="--metric mea is not known") as caught:
        search(tmp_path, 1, metric="mea")
    assert "did you mean" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_search_goes_on_only_as_it_began(tuned):
    path, _ = tuned
    with pytest.raises(ConfigError, match=r"was begun with another: train\.epochs, batch"):
        search(path.parent, 4, "train.epochs=9", trials=10, pruner="percentile")
    with pytest.raises(ConfigError, match="with another: space"):
        search(path.parent, 5, trials=10, pruner="percentile", space=SPACE[:1])


@pytest.mark.slow
def test_two_processes_share_a_search(tmp_path):
    words = [sys.executable, WORKER, tmp_path, "1", "8", "never", "1"]
    both = [subprocess.Popen(words, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate()[1][-2000:] for process in both] == ["", ""]
    found = tune(search(tmp_path, 1))
    assert len(found["trials"]) == 8
    assert {row["state"] for row in found["trials"]} <= {"complete", "pruned"}
    assert len({json.dumps(row["values"]) for row in found["trials"]}) == 8
