"""The command line's ways to begin: from a run's settings, its weights, its state; at a rate that was tried."""

import hashlib
import json

import chex
import numpy as np
import pytest
from small import small_csv

from gym_jax.cli import main
from gym_jax.run.folder import RunFolder
from gym_jax.run.load import load_run, load_weights

SMALL = ["-m", "mlp", "model.hidden=[8]", "--context", "24", "--horizon", "4", "data.stride=6", "-q"]
SMALL += ["train.batch_size=32", "evaluate.baselines=[last]"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small_csv(tmp_path / "cpu.csv")
    return tmp_path


def train(*words):
    return main(["train", "-d", "cpu.csv", "--target", "cpu", *SMALL, *words])


@pytest.mark.parametrize(
    "words",
    [
        ["--epochs", "3"],
        ["--epochs", "3", "train.ema=0.9", "train.accumulate=2", "schedule=plateau", "schedule.patience=1"],
        ["--epochs", "2", "optim=schedule_free", "schedule=warmup_constant", "loss=quantiles", "data.lags=[12]"],
    ],
    ids=["defaults", "averaged", "schedule-free"],
)
def test_config_show_of_a_finished_run_trains_it_again_to_the_bit(words, here, capsys):
    assert train(*words, "--run-dir", "first") == 0
    capsys.readouterr()
    assert main(["config", "show", "first"]) == 0
    (here / "again.yaml").write_text(capsys.readouterr().out)
    assert main(["train", "--config", "again.yaml", "--run-dir", "second", "-q"]) == 0
    first, second = RunFolder(here / "first"), RunFolder(here / "second")
    for name in ("metrics.jsonl", "scores.json", "config.yaml", "data.json"):
        assert (second.path / name).read_bytes() == (first.path / name).read_bytes(), name
    chex.assert_trees_all_equal(load_weights(second).params, load_weights(first).params)


def test_init_from_takes_the_weights_of_a_run_by_any_of_its_names(here, capsys):
    assert train("--epochs", "1", "--name", "donor") == 0
    assert (
        train("--epochs", "1", "--init-from", "latest", "train.freeze=[layer_0,head]", "train.seed=5", "--dry-run") == 2
    )
    assert "every parameter is frozen" in capsys.readouterr().err
    assert train("--epochs", "1", "--init-from", "donor", "train.freeze=[layer_0]", "--run-dir", "child") == 0
    donor, child = (load_weights(RunFolder(here / name)).params for name in ("runs/donor", "child"))
    chex.assert_trees_all_equal(child["layer_0"], donor["layer_0"])
    assert RunFolder(here / "child").read_config()["train"]["init_from"] == str(here / "runs" / "donor")


def test_fork_starts_a_child_and_leaves_the_parent_alone(here, capsys):
    assert train("--epochs", "2", "--run-dir", "parent") == 0
    before = (here / "parent" / "status.json").read_bytes()
    assert (
        main(["train", "--resume", "parent", "--fork", "--lr", "1e-4", "--epochs", "3", "--run-dir", "child", "-q"])
        == 0
    )
    child = RunFolder(here / "child")
    assert (here / "parent" / "status.json").read_bytes() == before
    assert [line["epoch"] for line in child.read_lines("metrics.jsonl")] == [1, 2, 3]
    settings = child.read_config()
    assert settings["run"]["parent"] == str(here / "parent")
    assert settings["optim"]["lr"] == 1e-4
    capsys.readouterr()
    assert main(["runs", "show", "child"]) == 0
    assert "parent" in capsys.readouterr().out


def test_resume_takes_what_changes_neither_program_nor_data_and_refuses_the_rest(here, capsys):
    assert train("--epochs", "1", "--run-dir", "run") == 0
    assert main(["train", "--resume", "run", "--lr", "0.1", "data.stride=7", "-q"]) == 2
    error = capsys.readouterr().err
    assert "`optim.lr` would change" in error
    assert "`data.stride` would change" in error
    assert "--fork" in error.splitlines()[-1]
    assert main(["train", "--resume", "run", "--config", "cpu_allocation"]) == 2
    assert main(["train", "--fork", "--lr", "0.1"]) == 2
    capsys.readouterr()
    assert main(["train", "--resume", "run", "--epochs", "3", "-q", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["epochs"] == 3


def test_find_lr_suggests_a_rate_and_writes_nothing(here, capsys):
    before = sorted(path.name for path in here.iterdir())
    assert train("--find-lr", "--json") == 0
    found = json.loads(capsys.readouterr().out)["find_lr"]
    assert 1e-5 < found["suggestion"] < 1
    assert len(found["curve"]) == 200
    assert train("--find-lr") == 0
    out = capsys.readouterr().out
    assert f"try: gymjax train ... --lr {found['suggestion']:.2g}" in out
    assert sorted(path.name for path in here.iterdir()) == before
    assert train("--find-lr", "-m", "linear", "~model.hidden") == 2


def test_profile_leaves_a_trace_and_changes_no_number(here):
    assert train("--epochs", "2", "train.chunk=1", "--profile", "--run-dir", "seen") == 0
    assert train("--epochs", "2", "train.chunk=1", "--run-dir", "unseen") == 0
    assert train("--epochs", "1", "train.chunk=1000", "--profile", "--run-dir", "one chunk") == 0
    for name in ("seen", "one chunk"):
        (trace,) = (here / name / "profile").rglob("*.xplane.pb")
        assert b"PjitFunction(epoch)" in trace.read_bytes(), "the trace must hold the training program"
    assert not (here / "unseen" / "profile").exists()
    lines = [(here / name / "metrics.jsonl").read_bytes() for name in ("seen", "unseen")]
    assert lines[0] == lines[1]


def test_predict_gives_a_column_for_every_quantile_in_order(here, capsys):
    for loss in ("quantiles", "gaussian"):
        assert train("--epochs", "1", f"loss={loss}", "--run-dir", loss) == 0
        capsys.readouterr()
        assert main(["predict", loss, "--json"]) == 0
        rows = json.loads(capsys.readouterr().out)["forecast"]
        assert {"cpu", "cpu_q0.1", "cpu_q0.5", "cpu_q0.9"} <= rows[0].keys()
        assert all(row["cpu"] == pytest.approx(row["cpu_q0.5"], rel=1e-5) for row in rows)
        if loss == "gaussian":
            assert all(row["cpu_q0.1"] < row["cpu"] < row["cpu_q0.9"] for row in rows)


def test_debug_logs_every_chunk_in_the_run(here):
    assert (
        train("--epochs", "1", "train.chunk=2", "track.log_level=debug", "run.save_seconds=0", "--run-dir", "run") == 0
    )
    events = [line["event"] for line in RunFolder(here / "run").read_lines("log.jsonl")]
    assert {"chunk", "saved", "epoch"} <= set(events)


def test_a_child_takes_what_is_typed_and_its_own_schedule(here, capsys):
    assert train("--epochs", "1", "--run-dir", "parent") == 0
    assert main(["train", "--resume", "parent", "--epochs", "2", "-q"]) == 0
    assert RunFolder(here / "parent").read_config()["schedule"]["steps"]
    assert main(["train", "--resume", "parent", "--fork", "run.name=child", "--epochs", "3", "-q"]) == 0
    settings = RunFolder(here / "runs" / "child").read_config()
    assert settings["schedule"]["steps"] is None
    capsys.readouterr()
    assert main(["train", "--resume", "parent", "--fork", "--dry-run"]) == 2
    assert "leaves none" in capsys.readouterr().err
    assert train("--init-from", "parent", "--horizon", "5", "--dry-run") == 2
    assert "head/kernel" in capsys.readouterr().err
    assert main(["train", "--resume", "parent", "--find-lr"]) == 2
    suggested = capsys.readouterr().err.splitlines()[-1].removeprefix("try: gymjax ")
    assert main([*suggested.split(), "--epochs", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["find_lr"]["curve"]
    assert main(["runs", "prune", "--root", ".", "--status", "done", "--all", "--json"]) == 0
    kept = {row["name"]: row["why"] for row in json.loads(capsys.readouterr().out)["kept"]}
    assert "parent" not in kept, "the child lies below another folder"
    assert main(["runs", "prune", "--older-than", "7"]) == 2


def test_the_start_of_another_run_is_not_pruned(here, capsys):
    assert train("--epochs", "1", "--name", "first") == 0
    assert train("--epochs", "1", "--name", "second", "train.init_from=first") == 0
    capsys.readouterr()
    assert main(["runs", "prune", "--status", "done", "--all", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in document["runs"]] == ["second"]
    assert document["kept"] == [{"name": "first", "why": "the start of second"}]


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ("trained", []),
        ("ema", ["train.ema=0.9"]),
        ("schedule_free", ["optim=schedule_free", "schedule=constant", "optim.lr=0.01"]),
    ],
)
def test_export_holds_the_weights_that_forecast_and_says_which(weights, words, here, capsys):
    assert train("--epochs", "2", "--run-dir", "run", *words) == 0
    capsys.readouterr()
    assert main(["export", "run", "--out", "plain", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)["manifest"]
    manifest = json.loads((here / "plain" / "manifest.json").read_text())
    run = load_run(RunFolder(here / "run"))
    assert manifest["weights"] == shown["weights"] == run.weights == weights
    assert manifest["step"] == run.step == RunFolder(here / "run").read_json("scores.json")["step"]
    assert manifest["config"] == RunFolder(here / "run").read_config()
    content = (here / "plain" / "weights.npz").read_bytes()
    assert hashlib.sha256(content).hexdigest() == manifest["files"]["weights.npz"]["sha256"]
    with np.load(here / "plain" / "weights.npz") as arrays:
        for part, leaves in run.variables["params"].items():
            for name, leaf in leaves.items():
                np.testing.assert_array_equal(arrays[f"{part}/{name}"], leaf)
        assert set(arrays) == set(manifest["arrays"])
    before = sorted(path.name for path in here.iterdir())
    assert main(["export", "run", "--out", "plain"]) == 2
    assert "exists already" in capsys.readouterr().err
    assert sorted(path.name for path in here.iterdir()) == before


def test_words_that_are_empty_or_say_two_things_start_no_training(here, capsys):
    (here / "config.yaml").write_text("train: {epochs: 1}\n")  # what an empty path would find
    before = sorted(path.name for path in here.iterdir())
    for words, code, said in (
        (["--resume", ""], 4, "no run at ``"),
        (["--max-time", ""], 2, "is no length of time"),
        (["--init-from", ""], 2, "`train.init_from=''` (from the command line) is empty"),
        (["--name", "a", "--run-dir", "b"], 2, "both say where the run is kept"),
        (["--name", "latest"], 2, "means another run"),
    ):
        assert train(*words) == code
        assert said in capsys.readouterr().err
    assert sorted(path.name for path in here.iterdir()) == before


def test_a_name_is_the_run_that_resume_auto_means(here, capsys):
    assert train("--epochs", "2", "--name", "a", "--max-time", "0") == 0
    assert train("--epochs", "2", "--name", "b", "--resume", "auto") == 0
    assert RunFolder(here / "runs" / "a").read_json("status.json")["status"] == "stopped"
    assert RunFolder(here / "runs" / "b").read_json("status.json")["status"] == "done"
    capsys.readouterr()
    assert train("--epochs", "2", "--name", "b", "--resume", "auto", "--json") == 0
    assert json.loads(capsys.readouterr().out)["run_status"] == "complete"
    assert main(["train", "--resume", "a", "--name", "c"]) == 2
    assert "--name is for new runs" in capsys.readouterr().err


def test_data_that_moved_are_the_same_data(here, capsys):
    assert train("--epochs", "2", "--run-dir", "run", "--max-time", "0") == 0
    (here / "cpu.csv").rename(here / "moved.csv")
    assert main(["train", "--resume", "run", "--data", "moved.csv", "-q"]) == 0
    assert RunFolder(here / "run").read_config()["data"]["path"] == str(here / "moved.csv")
    assert main(["evaluate", "run"]) == 0
    (here / "moved.csv").write_text("unique_id,ds,cpu\n")
    capsys.readouterr()
    assert main(["train", "--resume", "run", "--epochs", "3"]) == 4
    assert "changed since the run began" in capsys.readouterr().err


def test_runs_are_looked_for_where_the_run_is_kept(here, capsys):
    assert train("--epochs", "1", "run.root=exp", "--name", "a") == 0
    assert main(["train", "--resume", "a", "run.root=exp", "--epochs", "2", "-q"]) == 0
    assert main(["train", "--resume", "latest", "--root", "exp", "--epochs", "3", "-q"]) == 0
    assert RunFolder(here / "exp" / "a").read_config()["run"]["root"] == "exp"
    for command in ("evaluate", "predict"):
        assert main([command, "latest", "--root", "exp"]) == 0
    assert main(["export", "a", "--root", "exp", "--out", "plain"]) == 0
    assert train("--epochs", "1", "--root", "exp", "--init-from", "latest", "--name", "b") == 0
    assert {path.name for path in here.iterdir()} == {"cpu.csv", "exp", "plain"}


def test_a_dry_run_knows_its_folder_and_refuses_one_that_is_taken(here, capsys):
    capsys.readouterr()
    assert train("--run-dir", "run", "--dry-run", "--json") == 0
    assert json.loads(capsys.readouterr().out)["plan"]["folder"] == str(here / "run")
    assert train("--epochs", "1", "--run-dir", "run") == 0
    for words in (["--dry-run"], []):
        capsys.readouterr()
        assert train("--run-dir", "run", *words) == 2
        assert "exists already" in capsys.readouterr().err
