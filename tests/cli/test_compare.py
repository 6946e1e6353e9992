"""`gymjax compare`: its tables, its document, its file, its errors."""

import json
import re

import pytest

from gym_jax.cli import main

SMALL = [
    *("--epochs=1", "--horizon=4", "--batch-size=32", "data.stride=8", "model.hidden=[4]", "-q"),
    *("data.synthetic.series=5", "data.synthetic.days=3", "evaluate.baselines=[last]"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("compare")


@pytest.fixture
def here(folder, monkeypatch, capsys):
    """A folder with the runs `a` and `b`, trained once."""
    monkeypatch.chdir(folder)
    if not (folder / "runs").exists():
        for name, context in (("a", 24), ("b", 12)):
            assert main(["train", "-m", "mlp", *SMALL, "--context", str(context), "--name", name]) == 0
        capsys.readouterr()
    return folder


def test_people_read_who_is_better_or_that_nobody_knows(here, capsys):
    assert main(["compare", "a", "b", "--baseline", "last", "--metric", "rmse", "--part", "val"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    title = r"cpu_cores: val, [\d,]+ windows at [\d,]+ origins of 5 series, horizon 4 x 5min"
    assert re.fullmatch(title, lines[0])
    assert lines[1].split("  ")[1:] != []
    assert [line.split()[0] for line in lines[3:6]] == ["1", "2", "3"]
    assert {line.split()[1] for line in lines[3:6]} == {"a", "b", "last"}
    assert "Friedman over 5 series: p = " in out
    for pair in ("a and b", "a and last", "b and last"):
        one, other = pair.split(" and ")
        wanted = rf"(no evidence of a difference between {pair}: |({one}|{other}) is better than ({one}|{other}): )"
        assert len(re.findall(rf"^{wanted}.* of 5 series\.$", out, re.M)) == 1


def test_one_run_beside_a_baseline_is_one_document_that_is_written_too(here, capsys):
    assert main(["compare", "latest", "--baseline", "last", "--baseline", "linear", "--json", "-o", "found.json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["command"], document["metric"], document["part"]) == ("compare", "mae", "test")
    assert {row["name"] for row in document["leaderboard"]} == {"b", "last", "linear"}
    assert len(document["pairs"]) == 3
    assert all(len(pair["per_series"]["id"]) == 5 for pair in document["pairs"])
    assert document["out"] == str(here / "found.json")
    written = json.loads((here / "found.json").read_text())
    assert written["pairs"] == document["pairs"]
    assert {path.name for path in here.iterdir()} == {"runs", "found.json"}


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (["a"], 2, "error: there is nothing to compare with"),
        (["a", "c", "d"], 4, "error: no run at `c`; no run at `d`"),
        (["a", "b", "--metric", "maee"], 2, "error: `maee` is no metric to compare by"),
        (["a", "b", "--target", "cpu"], 2, "error: no run forecasts `cpu`"),
        (["a", "b", "-o", "nowhere/x.json"], 6, "error: /"),
    ],
    ids=["alone", "missing", "metric", "target", "out"],
)
def test_wrong_words_get_three_lines(here, capsys, words, code, error):
    assert main(["compare", *words]) == code
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.rstrip("\n").split("\n")
    assert [line.split(":")[0] for line in lines] == ["error", "hint", "try"]
    assert lines[0].startswith(error)


def test_a_statistic_of_the_window_is_compared_as_evaluate_scores_it(tmp_path, capsys):
    from gym_jax.run.evaluate import evaluate_run

    words = ["--context=12", "--horizon=4", "task.statistic=max", "train.epochs=1", "model.hidden=[4]", "-q"]
    made = ["data.synthetic.series=2", "data.synthetic.days=3", f"--root={tmp_path}", "--placement=one"]
    assert main(["train", "-m", "mlp", *words, *made, "--name=peak"]) == 0
    capsys.readouterr()
    assert main(["compare", "peak", f"--root={tmp_path}", "--baseline=last", "--json"]) == 0
    board = json.loads(capsys.readouterr().out)
    own = evaluate_run(tmp_path / "peak")
    (target,) = own["model"]["targets"]
    wanted = {"peak": own["model"]["targets"][target]["mae"], "last": own["baselines"]["last"][target]["mae"]}
    for row in board["leaderboard"]:
        assert row["mae"] == pytest.approx(wanted[row["name"]], rel=1e-6)


def test_labels_are_not_compared(tmp_path, capsys):
    table = tmp_path / "table.csv"
    table.write_text("a,b,label\n" + "\n".join(f"{i},{i * i % 7},{'xy'[i % 2]}" for i in range(40)) + "\n")
    words = ["task.kind=classify", "--target=label", "train.epochs=1", "model.hidden=[4]", "-q", f"--root={tmp_path}"]
    assert main(["train", "-m", "mlp", "--data", str(table), *words, "--name=labels"]) == 0
    for command in ("compare", "explain", "calibrate"):
        baseline = ["--baseline=last"] if command == "compare" else []
        assert main([command, "labels", f"--root={tmp_path}", *baseline]) == 2
        assert "is for forecasts" in capsys.readouterr().err
