"""Tables and sequences through the command line: plan, check, train, evaluate, predict, runs."""

import json

import pandas as pd
import pytest

from gym_jax.cli import main
from gym_jax.data import generate_table

QUICK = ["--epochs=2", "--batch-size=64", "-m", "mlp", "model.hidden=[8]"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame = generate_table(rows=200)
    frame.assign(big=(frame["cpu_share"] > 0.3).map({True: "yes", False: "no"})).to_csv("t.csv", index=False)
    return tmp_path


def document(capsys, *words):
    assert main([*words, "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def test_a_regression_from_check_to_prediction(here, capsys):
    asked = ["--target", "cpu_share", "task.kind=regress", "data.ignore=[big]"]
    assert document(capsys, "data", "check", "t.csv", *asked)["cases"] == {"train": 140, "val": 20, "test": 40}
    plan = document(capsys, "train", "--data", "t.csv", *asked, *QUICK, "--dry-run")["plan"]
    assert (plan["cases"], plan["parameters"]) == ({"train": 140, "val": 20, "test": 40}, 8 * 8 + 8 + 8 + 1)
    assert not (here / "runs").exists()
    assert main(["train", "--data", "t.csv", *asked, *QUICK, "--name", "one"]) == 0
    out, err = capsys.readouterr()
    assert "200 cases, target cpu_share; 140 train, 20 val and 40 test" in err
    assert len([line for line in err.splitlines() if line.startswith("epoch") and " rows/s " in line]) == 2
    assert "cpu_share: test, 40 cases, 40 values" in out
    assert document(capsys, "evaluate", "one", "--split", "val")["cases"] == 20
    assert main(["predict", "one", "--data", "t.csv", "--out", "said.csv"]) == 0
    assert "... 200 rows in" in capsys.readouterr().out
    said = pd.read_csv("said.csv")
    assert list(said) == [*pd.read_csv("t.csv"), "predicted_cpu_share"]
    assert document(capsys, "predict", "one")["forecast"][0]["priority"] == int(said["priority"][0])
    best = document(capsys, "runs", "best", "--metric", "r2")
    assert (best["best"], best["groups"][0]["of"]["task"]) == ("one", "regress")


def test_a_classification_is_printed_with_its_confusion(here, capsys):
    asked = ["--data", "t.csv", "--target", "big", "task.kind=classify", "data.ignore=[cpu_share]"]
    assert main(["train", *asked, *QUICK, "--name", "two", "--seeds", "2"]) == 0
    out, err = capsys.readouterr()
    assert "200 cases, target big (2 classes)" in err
    assert "how often each class is taken for which" in out
    assert "one member alone: accuracy" in out
    assert main(["runs", "best", "--metric", "accuracy"]) == 0
    assert ", big, classify, 40 test cases" in capsys.readouterr().out
    rows = document(capsys, "predict", "two", "--members", "best")["forecast"]
    assert rows[0]["predicted_big"] in ("yes", "no")
    assert rows[0]["probability_yes"] + rows[0]["probability_no"] == pytest.approx(1)
    assert main(["export", "two", "--out", "weights"]) == 0
    manifest = json.loads((here / "weights" / "manifest.json").read_text())
    assert manifest["spec"]["learnt"]["classes"] == ["no", "yes"]


@pytest.mark.parametrize(
    ("words", "code", "lines"),
    [
        (
            ["--data", "t.csv", "task.kind=regress"],
            3,
            [
                "error: which column of `t.csv` is to be learnt? it has cpu_load, memory_share, disk_io_mbps, "
                "network_io_mbps, process_count, priority, hour, weekday, cpu_share, big",
                "hint: name it",
                "try: gymjax train ... --target COLUMN",
            ],
        ),
        (
            ["--data", "t.csv", "task.kind=classify", "loss=mae"],
            2,
            [
                "error: loss=mae does not go with task.kind=classify",
                "hint: it learns the class of every case, with cross_entropy",
                "try: gymjax train ... loss=cross_entropy",
            ],
        ),
        (
            ["--data", "t.csv", "task.kind=clasify"],
            2,
            [
                "error: `task.kind=clasify` (from the command line) is not known",
                "hint: did you mean `classify`?",
                "try: gymjax config show task",
            ],
        ),
        (
            ["--data", "t.csv", "--target", "big", "task.kind=classify", "data.split.train=0.001", "data.split.val=0"],
            3,
            [
                "error: no case is left for the train part: there are 200",
                "hint: it takes more cases, or other shares",
                "try: gymjax train ... data.split.train=0.7 data.split.val=0.1",
            ],
        ),
    ],
)
def test_what_is_wrong_is_three_lines_and_nothing_is_written(here, capsys, words, code, lines):
    assert main(["train", *words]) == code
    assert capsys.readouterr().err.rstrip("\n").split("\n") == lines
    assert not (here / "runs").exists()
