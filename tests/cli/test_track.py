"""`--track` at the door: which trackers there are, what is refused, what is told, and that results stay results."""

import json

import pytest

from gym_jax.cli import main
from gym_jax.cli.candidates import complete_tracker
from gym_jax.cli.parse import parse_trackers
from gym_jax.run import tracking
from gym_jax.run.folder import RunFolder
from gym_jax.track import TRACKERS
from gym_jax.track.tensorboard import FILE

TRAIN = [
    *("train", "--model=mlp", "--epochs=2", "--context=24", "--horizon=4", "--batch-size=32", "data.stride=8"),
    *("model.hidden=[8]", "data.synthetic.series=3", "data.synthetic.days=3", "evaluate.baselines=[]", "--name=a"),
]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_track_writes_an_event_file_and_leaves_the_result_alone(here, capsys):
    assert main([*TRAIN, "--track", "tensorboard", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["run_status"] == "done"
    assert "tracker" not in err
    assert (here / "runs" / "a" / FILE).stat().st_size > 1000
    assert RunFolder("runs/a").read_config()["track"]["to"] == ["tensorboard"]
    assert main(["train", "--resume", "a", "--track", "none"]) == 0
    assert "sent" not in capsys.readouterr().err


def test_a_finished_run_is_sent_later(here, capsys):
    assert main([*TRAIN, "-q"]) == 0
    assert not (here / "runs" / "a" / FILE).exists()
    capsys.readouterr()
    assert main(["train", "--resume", "a", "--track", "tensorboard", "--plain"]) == 0
    out, err = capsys.readouterr()
    assert err.splitlines() == ["sent to tensorboard"]
    assert "this run was already complete" in out
    assert (here / "runs" / "a" / FILE).stat().st_size > 1000


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("tensorbord", "did you mean `tensorboard`?"),
        ("tensorboard,wnadb", "did you mean `wandb`?"),
        ("comet", "choose from mlflow, tensorboard, wandb"),
    ],
)
def test_an_unknown_tracker_is_answered_and_nothing_written(words, hint, here, capsys):
    assert main([*TRAIN, "--track", words]) == 2
    err = capsys.readouterr().err.splitlines()
    assert err[1] == f"hint: {hint}"
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_a_missing_extra_is_refused_before_anything_is_written(more, here, capsys, monkeypatch):
    monkeypatch.setitem(TRACKERS, "mlflow", TRACKERS["mlflow"]._replace(needs=("no_such_package",)))
    assert main([*TRAIN, "--track", "tensorboard,mlflow", *more]) == 8
    assert capsys.readouterr().err.splitlines() == [
        "error: mlflow can not be logged to: no_such_package is not installed",
        "hint: metrics.jsonl has the curves anyhow; --track none goes without, and a tracker may join later",
        "try: pip install 'gym-jax[mlflow]'",
    ]
    assert list(here.iterdir()) == []


class Raises:
    def start(self):
        raise ConnectionError("no route to the tracker")


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_tracker_that_fails_is_told_of_once(form, here, capsys, monkeypatch):
    monkeypatch.setattr(tracking, "make_tracker", lambda name, place, state: Raises())
    assert main([*TRAIN, "--track", "tensorboard", "--plain", "--log-format", form, "--log-file", "x.log"]) == 0
    err = [line for line in capsys.readouterr().err.splitlines() if "no route" in line]
    told = [line for line in (here / "x.log").read_text().splitlines() if "no route" in line]
    assert (len(err), len(told)) == (1, 1)
    if form == "text":
        assert err[0].startswith("warning: tracker tensorboard is off: ConnectionError: no route to the tracker")
        assert " warning tracker " in told[0]
    else:
        record = json.loads(err[0])
        assert (record["level"], record["event"], record["tracker"]) == ("warning", "tracker", "tensorboard")


def test_names_are_taken_as_people_write_them():
    assert parse_trackers("TensorBoard, wandb,") == ["tensorboard", "wandb"]
    assert parse_trackers("none") == []


def test_completion_goes_on_behind_a_comma():
    assert complete_tracker("") == ["tensorboard", "wandb", "mlflow"]
    assert complete_tracker("wandb,m") == ["wandb,tensorboard", "wandb,mlflow"]
