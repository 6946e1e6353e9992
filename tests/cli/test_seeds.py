"""`gymjax train --seeds`: a group from the command line, what is said of it, and what is refused."""

import json
import shutil

import pytest

from gym_jax.cli import main
from gym_jax.cli.crew import crew_closing, crew_words, leaving_line
from gym_jax.cli.progress import placement_lines
from gym_jax.cli.show import member_line

SMALL = [
    *("--epochs=2", "--context=24", "--horizon=4", "--batch-size=32", "data.stride=8", "model.hidden=[8]"),
    *("data.synthetic.series=3", "data.synthetic.days=3", "evaluate.baselines=[last]"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("seeds")


@pytest.fixture
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def group(here, capsys):
    """A group of two and what was printed when it was trained; trained once."""
    said = here / "said.json"
    if not said.exists():
        assert main(["train", "-m", "mlp", "--seeds", "2", "--seed", "4", *SMALL, "--name", "both", "--json"]) == 0
        said.write_text(json.dumps(list(capsys.readouterr())))
    return json.loads(said.read_text())


def test_two_seeds_are_trained_told_and_printed_as_one_document(group, here):
    out, err = group
    document = json.loads(out)
    assert (document["command"], document["run_status"]) == ("train", "done")
    assert document["best"]["seed"] in (4, 5)
    assert document["scores"]["members"]["seeds"] == [4, 5]
    assert "2 members at once, seeds 4 to 5" in err
    assert "  2 of 2 training" in err
    assert "each restored its best epoch; best is seed " in err
    config = json.loads((here / "runs/both/members/5/status.json").read_text())
    assert config["status"] == "done"


def test_people_read_the_mean_the_spread_and_whose_weights(group, here, capsys):
    assert main(["train", "--resume", "both", "-q"]) == 0
    assert "already complete" in capsys.readouterr().out
    for words in (["runs", "show", "both"], ["evaluate", "both"]):
        assert main(words) == 0
        out = capsys.readouterr().out
        assert "mlp, mean of 2" in out
        assert "\none member alone: MAE 0." in out
        assert " over 2 seeds\n" in out
        assert "made with the mean of 2 members: the weights of the best step of each" in out
    assert main(["runs", "show", "both"]) == 0
    assert "4 done, 2 epochs; 5 done, 2 epochs" in capsys.readouterr().out
    assert main(["runs", "list", "--json"]) == 0
    assert [run["name"] for run in json.loads(capsys.readouterr().out)["runs"]] == ["both"]
    assert main(["runs", "best", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["best"] == "both"


def test_the_mean_or_the_best_of_the_members_is_asked(group, here, capsys):
    for members, columns in {"mean": ["cpu_cores", "cpu_cores_spread"], "best": ["cpu_cores"]}.items():
        assert main(["predict", "both", "--members", members, "--json"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert list(document["forecast"][0])[3:] == columns
        assert len(document["seeds"]) == len(columns)
    assert main(["predict", "both", "--members", "best", "-o", "best.csv"]) == 0
    assert "of the best member, seed " in capsys.readouterr().out
    assert main(["predict", "both", "--data", "x.parquet", "--out", "folder"]) == 2
    assert "--members best" in capsys.readouterr().err
    assert main(["evaluate", "both", "--members", "best", "--json"]) == 0
    scored = json.loads(capsys.readouterr().out)
    assert scored["seed"] == document["seeds"][0]
    assert "members" not in scored
    assert main(["export", "both", "--out", "weights"]) == 0
    assert f"of the best member, seed {scored['seed']}" in capsys.readouterr().out


REFUSED = {
    ("--seeds", "0"): "error: `train.seeds=0` (from the command line) is not > 0",
    ("--seeds", "2", "-m", "last"): "error: train.seeds=2 means nothing to model=last",
    ("--seeds", "2", "--find-lr"): "error: train.seeds=2 does not go with --find-lr",
    ("--resume", "both", "--fork"): "error: train.seeds=2 does not go with run.parent",
    ("--resume", "both", "--seeds", "3"): "error: `train.seeds` would change the program or the data of ",
    ("--init-from", "both"): "error: `train.init_from=",
}


@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
def test_what_does_not_go_with_seeds_is_refused_in_three_lines(words, group, here, capsys):
    assert main(["train", *words, *([] if "--resume" in words else SMALL[:1])]) in (2, 4)
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.rstrip("\n").split("\n")
    assert len(lines) == 3
    assert lines[0].startswith(REFUSED[words])
    assert not (here / "runs/both/members/6").exists()


def test_a_dry_run_says_how_the_members_share_the_machine(here, capsys):
    assert main(["train", "-m", "mlp", "--seeds", "3", *SMALL, "--dry-run", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)["plan"]
    assert (plan["seeds"], plan["first_seed"]) == (3, 0)
    assert plan["packing"] in ("turns", "vmap")


def test_a_group_is_pruned_as_one_run_with_all_its_members(group, here, capsys):
    shutil.copytree(here / "runs", here / "others")
    assert main(["runs", "prune", "--root", "others", "--status", "done", "--keep", "0", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["runs"], document["kept"][0]["name"]) == ([], "both"), "the best of its kind stays"
    assert main(["runs", "prune", "--root", "others", "--status", "done", "--all", "--yes", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [run["name"] for run in document["runs"]] == ["both"]
    files = [path for path in (here / "runs/both/members").rglob("*") if path.is_file()]
    assert document["bytes"] > sum(path.stat().st_size for path in files) > 0
    assert list((here / "others").iterdir()) == []


def test_the_words_of_a_group():
    assert crew_words({"training": 5, "seeds": 8}) == "  5 of 8 training"
    assert crew_words({}) == ""
    assert leaving_line({"seed": 3, "epoch": 7, "best_epoch": 5, "val_loss": 0.12}) == (
        "seed 3 stopped early after epoch 7; best epoch 5 (val_loss 0.12)"
    )
    assert leaving_line({"seed": 3, "reason": "the loss is not finite"}) == (
        "seed 3 is lost: the loss is not finite; the others go on"
    )
    ending = {"best": {"seed": 3, "epoch": 5, "step": 50, "val_loss": 0.1, "mean_val_loss": 0.2}, "seeds": 8}
    assert crew_closing({**ending, "stopped_early": 2, "lost": [1]}) == (
        "2 of 8 members stopped early; 1 of 8 diverged; each restored its best epoch; "
        "best is seed 3, epoch 5 (val_loss 0.1, mean of all 0.2)"
    )
    assert crew_closing({"best": {"seed": 0}, "seeds": 2, "stopped_early": 0, "lost": []}) == (
        "each ended with its last step"
    )
    mae = {"mean": 0.571, "sd": 0.006, "low": 0.566, "high": 0.576, "values": [0.0] * 8}
    assert member_line(mae) == "one member alone: MAE 0.571, 95 % interval of the mean 0.566 to 0.576 over 8 seeds"
    assert member_line({**mae, "low": None, "values": [0.571]}) == (
        "one member alone: MAE 0.571; 1 says nothing about the spread"
    )
    lane = {
        "packing": "turns",
        "placement": "cores",
        "devices": 2,
        "compile": "fast",
        "ms_per_step": 1.5,
        "fault": None,
    }
    loop = {**lane, "packing": "loop", "placement": "cores", "ms_per_step": None, "fault": "no room"}
    assert placement_lines({**lane, "race": [lane, loop], "seconds": 3.21}) == [
        "dropped loop over cores on 2 devices, fast: no room",
        "packing: turns on 2 devices, fast (turns on 2 devices, fast: 1.5 ms a step), settled in 3.2s",
    ]
