"""`gymjax launch` from outside: what it refuses, what it passes on, and that it loads no JAX itself."""

import json
import os
import subprocess
import sys

import pytest
from conftest import ROOT

from gym_jax.cli import main
from gym_jax.cli.launch import telling
from gym_jax.errors import PeerError
from gym_jax.launch import supervise as supervision
from gym_jax.launch.child import LAUNCH, read_error, read_run
from gym_jax.launch.supervise import Again
from gym_jax.run.fit import Event


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["launch"], "error: nothing to launch"),
        (["launch", "--", "evaluate", "latest"], "error: `evaluate` can not be launched"),
        (["launch", "-n", "2", "--", "launch", "--", "train"], "error: `launch` can not be launched"),
    ],
)
def test_what_is_no_training_is_refused(words, error, capsys):
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        error,
        "hint: what follows -- is the command of each process; only train runs in several",
        "try: gymjax launch -n 2 -- train --model lstm",
    ]


@pytest.fixture
def asked(monkeypatch):
    """Have what the launcher is asked for, instead of processes."""
    found = {}

    def supervise(command, count, **how):
        found.update(command=command, count=count, **how)
        return b"the result\n"

    monkeypatch.setattr(supervision, "supervise", supervise)
    return found


def test_options_reach_the_launcher_and_words_the_processes(asked, capsys):
    words = ["--model", "lstm", "optim.lr=0.1", "-q", "--debug"]
    assert main(["launch", "-n", "3", "--restarts", "5", "--devices-per-process", "2", "--", "train", *words]) == 0
    assert capsys.readouterr().out == "the result\n"
    assert asked["command"] == [sys.executable, "-m", "gym_jax", "train", *words]
    assert (asked["count"], asked["restarts"]) == (3, 5)
    assert asked["environ"]["JAX_NUM_CPU_DEVICES"] == "2"


def test_alone_it_starts_one_process_once(asked, monkeypatch):
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", "7")
    assert main(["launch", "--", "train"]) == 0
    assert (asked["count"], asked["restarts"], asked["environ"]["JAX_NUM_CPU_DEVICES"]) == (1, 0, "7")


@pytest.mark.posix
def test_several_processes_share_the_cores_unless_something_else_is_said(asked, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(7)))
    monkeypatch.delenv("JAX_NUM_CPU_DEVICES")
    for words, devices in (("-n 2", "3"), ("-n 9", "1"), ("-n 1", None), ("-n 2 --devices-per-process 5", "5")):
        main(["launch", *words.split(), "--", "train"])
        assert asked["environ"].get("JAX_NUM_CPU_DEVICES") == devices
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", "4")
    main(["launch", "-n", "2", "--", "train"])
    assert asked["environ"]["JAX_NUM_CPU_DEVICES"] == "4"


def test_json_is_asked_of_the_processes_once(asked):
    main(["launch", "--json", "--", "train"])
    assert asked["command"][3:] == ["train", "--json"]
    main(["launch", "--json", "--", "train", "--json"])
    assert asked["command"][3:] == ["train", "--json"]


def test_lines_have_their_process_and_a_restart_says_why_and_from_where(asked, capsys):
    main(["launch", "-n", "2", "--restarts", "3", "--", "train"])
    capsys.readouterr()
    asked["say"](1, "epoch 1/2")
    asked["tell"](Again(PeerError("process 1 of 2 was killed by SIGKILL"), 1, 1.0, 1200))
    asked["tell"](Again(PeerError("gone"), 2, 2.0, 0))
    assert capsys.readouterr().err.splitlines() == [
        "[1] epoch 1/2",
        "launch: process 1 of 2 was killed by SIGKILL; restart 1 of 3 in 1 s, from step 1,200",
        "launch: gone; restart 2 of 3 in 2 s, from the beginning",
    ]


def test_quiet_it_says_nothing_of_restarts(asked, capsys):
    main(["launch", "-q", "--restarts", "3", "--", "train"])
    capsys.readouterr()
    asked["tell"](Again(PeerError("gone"), 1, 1.0, 0))
    assert capsys.readouterr().err == ""


def test_the_launcher_loads_no_jax():
    lines = "import sys\nimport gym_jax.cli.launch, gym_jax.launch.supervise\nprint('jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "False\n"


def test_a_launched_process_says_where_its_run_is_and_why_it_ends(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(LAUNCH, str(tmp_path))
    (tmp_path / "launch.json").write_text(json.dumps({"launcher": os.getppid(), "attempt": 1}))
    seen = []
    telling(seen.append, as_json=False)(Event("start", {"folder": "/runs/a"}))
    assert str(read_run(tmp_path)) == "/runs/a"
    assert [event.kind for event in seen] == ["start"]
    monkeypatch.setattr("gym_jax.cli.follow_launcher", lambda: None)  # these tests are to outlive their parent
    assert main(["train", "--model", "ltsm"]) == 2
    error = read_error(tmp_path, 0)
    assert (error.exit_code, error.code, error.hint) == (2, "config.invalid", "did you mean `lstm`?")
    assert read_error(tmp_path, 1) is None


def test_a_stuck_training_is_one_json_document(capsys):
    error = PeerError("nothing was trained", code="run.stuck")
    telling(pytest.fail, as_json=True)(Event("stuck", {"error": error}))
    document = json.loads(capsys.readouterr().out)
    assert (document["command"], document["code"], document["exit_code"]) == ("train", "run.stuck", 7)
    telling(pytest.fail, as_json=False)(Event("stuck", {"error": error}))
    assert capsys.readouterr().out == ""
