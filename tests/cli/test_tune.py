"""`gymjax tune` and `gymjax sweep` from outside: lines, documents, refusals, signals, a missing extra."""

import json
import os
import signal
import sys

import pytest
from small import small_csv
from tune.worker import quick

from gym_jax.cli import main
from gym_jax.cli.search_show import settings_words, trial_line
from gym_jax.config.load import load_config
from gym_jax.train import cache
from gym_jax.tune import trial as trials
from gym_jax.tune import tune as searches

SMALL = [
    *("-m", "mlp", "--epochs=3", "--context=24", "--horizon=4", "train.batch_size=32", "data.stride=8"),
    *("data.synthetic.series=3", "data.synthetic.days=2", "model.hidden=[8]"),
]
LR = "optim.lr=tag(log, interval(1e-4, 1e-1))"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(trials, "train_run", quick)
    return tmp_path


def test_a_search_is_told_line_by_line_and_the_same_line_goes_on(here, capsys):
    line = ["tune", *SMALL, LR, "--trials=12", "--sampler=random", "--seed=4", "--pruner=none", "--warmup=0"]
    assert main(line) == 0
    out, err = capsys.readouterr()
    told = err.splitlines()
    assert told[0].startswith(f"search: {here}/runs/tune_mlp_")
    assert told[1].startswith("trial  0  val_loss ")
    assert "optim.lr=0.001" in told[1]
    assert len(told) == 13
    assert out.splitlines()[0] == "12 complete"
    assert "importance (" in out
    name = told[0].split()[1]
    assert f"train it: gymjax train --config runs/{name.split('/')[-1]}/best.yaml" in out
    assert main(line) == 0
    again, err = capsys.readouterr()
    assert "12 done before" in err
    assert again == out
    assert main(["tune", "--resume", name, "--trials=13", "--json", "-q"]) == 0
    document, err = capsys.readouterr()
    assert err == ""
    document = json.loads(document)
    assert (document["command"], document["status"], document["run_status"]) == ("tune", "ok", "done")
    assert (len(document["trials"]), document["seed"], document["sampler"]) == (13, 4, "random")


def test_a_space_may_stand_in_a_file_and_the_line_has_the_last_word(here, capsys):
    text = "optim.lr: [1e-3, 1e-2]\nmodel:\n  dropout: interval(0, 0.4)\ntrain.clip: [1, 2]\n"
    (here / "space.yaml").write_text(text)
    line = ["tune", *SMALL, "--space=space.yaml", "train.clip=3", "optim.lr=0.05,0.01", "--trials=1", "--json"]
    assert main([*line, "--name=mine", "--metric=val_loss", "--direction=minimize", "--percentile=30"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["space"] == {"model.dropout": "interval(0, 0.4)", "optim.lr": "0.05,0.01"}
    assert document["folder"] == str(here / "runs/mine")


def test_a_sweep_lists_trains_and_shows_its_runs(here, capsys):
    line = ["sweep", *SMALL, "optim.lr=1e-3,1e-2", "train.batch_size=16,32", "--name=grid"]
    assert main([*line, "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "trials/0003" in out
    assert f"4 runs in {here}/runs/grid; dry run: nothing was written" in out
    assert main([*line, "--dry-run", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["combinations"]
    assert listed[1] == {"optim.lr": 0.001, "train.batch_size": 32}
    assert not (here / "runs").exists()
    line = [word for word in line if not word.startswith("optim.lr")]
    assert main([*line, "--batch=1", "--space=space.yaml"]) == 2
    capsys.readouterr()
    assert main([*line, "--batch=1", "--timeout=0"]) == 0
    assert "not finished; go on with: gymjax sweep --resume runs/grid" in capsys.readouterr().out
    assert main(["sweep", "--resume", "grid"]) == 0
    out, err = capsys.readouterr()
    assert "trial 1  val_loss" in err
    assert out.splitlines()[0].split() == ["run", "val_loss", "best", "epoch", "epochs", "train.batch_size"]
    assert "the runs: gymjax runs list --root runs/grid/trials" in out
    assert main(["tune", "--resume", "grid"]) == 4
    assert "is of gymjax sweep" in capsys.readouterr().err


def test_options_are_settings(here, capsys, monkeypatch):
    kept: list[str] = []
    monkeypatch.setattr(cache, "keep_programs", kept.append)
    small_csv(here / "cpu.csv", rows=300)
    (here / "mine.yaml").write_text("train: {patience: 7}\n")
    line = ["-m", "mlp", "--data=cpu.csv", "--target=cpu", "--config=mine.yaml", "--root=others", "optim.lr=1e-3,1e-2"]
    line += ["--platform=cpu", "--compile-cache=programs", "--context=24", "--horizon=4", "--json"]
    for command in (["tune", "--trials=1"], ["sweep", "--batch=1"]):
        assert main([*command, *line]) == 0
        base = load_config([json.loads(capsys.readouterr().out)["folder"] + "/base.yaml"])
        assert (base.data.path, base.data.target) == (str(here / "cpu.csv"), ("cpu",))
        assert (base.train.patience, base.run.root, base.task.horizon) == (7, "others", 4)
    assert kept == ["programs"] * 2


REFUSED = {
    ("tune",): (2, "error: nothing is varied"),
    ("tune", "optim.lrr=1,2"): (2, "error: unknown key `optim.lrr` (from the space)"),
    ("tune", "optim.lr=1e-3,1e-2", "modl.x=1"): (2, "error: unknown key `modl.x` (from the command line)"),
    ("tune", LR, "--metric=mea"): (2, "error: --metric mea is not known"),
    ("tune", LR, "--timeout=soon"): (2, "error: --timeout soon is no length of time"),
    ("tune", "--space=none.yaml"): (2, "error: no space `none.yaml`"),
    ("tune", "--resume=none"): (4, "error: no search at `none`"),
    ("tune", LR, "--resume=none"): (2, "error: --resume goes on as the search began: settings is for new ones"),
    ("tune", "--batch=2", "--resume=none"): (2, "error: --resume goes on as the search began: --batch is for new ones"),
    ("sweep", LR): (2, f"error: `{LR}` has no end of values"),
    ("sweep", "optim.lr=shuffle(1,2)"): (2, "error: `optim.lr=shuffle(1,2)` is shuffled"),
    ("train", "optim.lr=1e-3,1e-2"): (2, "error: override `optim.lr=1e-3,1e-2` names several values"),
}


@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
def test_what_is_wrong_is_said_in_three_lines_and_nothing_is_written(words, here, capsys):
    code, message = REFUSED[words]
    assert main(list(words)) == code
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.rstrip("\n").split("\n")
    assert [line.split(":")[0] for line in lines] == ["error", "hint", "try"]
    assert lines[0].startswith(message)
    assert list(here.iterdir()) == []


@pytest.mark.posix
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_with_its_code_and_says_how_to_go_on(number, code, here, capsys, monkeypatch):
    def interrupted(config, *, stop, **options):
        os.kill(os.getpid(), number)
        assert stop() == code
        raise searches.Interrupted("as train does", exit_code=code)

    monkeypatch.setattr(trials, "train_run", interrupted)
    assert main(["tune", *SMALL, LR, "--trials=2", "--name=cut"]) == code
    err = capsys.readouterr().err
    assert f"try: gymjax tune --resume {here}/runs/cut" in err
    monkeypatch.setattr(trials, "train_run", quick)
    assert main(["tune", "--resume=cut", "-q"]) == 0
    assert "2 complete" in capsys.readouterr().out


def test_without_optuna_the_extra_is_named(here, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert main(["tune", *SMALL, LR]) == 8
    assert "try: pip install 'gym-jax[tune]'" in capsys.readouterr().err
    assert main(["sweep", *SMALL, "optim.lr=1e-3,1e-2", "--batch=1"]) == 0, "a grid needs none"


def test_the_words_of_a_trial():
    facts = {"trial": 3, "trials": 12, "metric": "val_loss", "value": 0.5, "leader": 1, "leading": 0.25, "epochs": 4}
    facts |= {"values": {"optim.lr": 1e-3, "model.hidden": [8, 8], "train.clip": None}, "reason": "a reason"}
    assert trial_line({**facts, "state": "pruned"}) == (
        "trial  3  val_loss 0.5       best 0.25 of trial 1  4 epochs, pruned  "
        "optim.lr=0.001 model.hidden=[8, 8] train.clip=null"
    )
    assert "  best so far  4 epochs  " in trial_line({**facts, "state": "complete", "leader": 3})
    assert trial_line({**facts, "state": "failed"}).startswith("trial  3  failed: a reason  optim.lr")
    assert settings_words({"a": True, "b": "x"}) == "a=True b=x"
