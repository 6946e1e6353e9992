"""What processes make sure of together, by hand: what differs is named, a stuck one says where, none is outlived."""

import dataclasses
import json
import os
import sys

import jax
import pytest
from small import small_config

from gym_jax.errors import ConfigError, Interrupted, PeerError
from gym_jax.launch.child import LAUNCH
from gym_jax.run import peers
from gym_jax.run.folder import RunFolder
from gym_jax.train import processes
from gym_jax.train.processes import Group


@pytest.fixture
def two(monkeypatch):
    """Be process 0 of two, of which the other says what it is given, or else the same."""
    monkeypatch.setattr(processes._Joined, "group", Group(0, 2))
    said = {}

    def gather(name, value, seconds=0):
        other = json.loads(json.dumps(value))
        if name in said:
            other = {**other, **said[name]} if isinstance(other, dict) else said[name]
        return [value, other]

    monkeypatch.setattr(peers, "gather", gather)
    monkeypatch.setattr(processes, "gather", gather)
    return said


def test_processes_that_are_alike_begin(two, tmp_path):
    peers.refuse_different(small_config(tmp_path))


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("optim.lr", 0.5, "optim.lr is 0.001 in process 0, 0.5 in process 1"),
        ("train.seed", 7, "train.seed is 0 in process 0, 7 in process 1"),
        ("version of jax", "0.1", f"version of jax is {jax.__version__} in process 0, 0.1 in process 1"),
        ("run", "/runs/a", "run is a new one in process 0, /runs/a in process 1"),
        ("newest checkpoint", 40, "newest checkpoint is None in process 0, 40 in process 1"),
        ("data.days", 9, "data.days is None in process 0, 9 in process 1"),
    ],
)
def test_what_differs_is_named_with_the_processes(key, value, words, two, tmp_path):
    two["facts"] = {key: value}
    with pytest.raises(ConfigError) as caught:
        peers.refuse_different(small_config(tmp_path))
    assert caught.value.message == f"the processes were not started alike: {words}"
    assert caught.value.exit_code == 2


def test_other_bytes_of_the_data_are_found(two, tmp_path):
    file = tmp_path / "cpu.csv"
    file.write_text("a")
    config = small_config(tmp_path)
    config = config.model_copy(update={"data": dataclasses.replace(config.data, path=str(file))})
    two["facts"] = {"SHA-256 of data file 0": "ca978112ca1b"}
    peers.refuse_different(config)  # of "a", from FIPS 180-4's known answers
    file.write_text("b")
    with pytest.raises(ConfigError, match="SHA-256 of data file 0 is 3e23e8160039 in process 0, ca978112ca1b in proc"):
        peers.refuse_different(config)


def test_paths_of_equal_data_may_differ(two, tmp_path):
    facts = peers._facts(small_config(tmp_path), None)
    assert {"data.path", "data.test_path", "run.root"}.isdisjoint(facts)
    assert {"task.horizon", "model.hidden", "train.seed", "version of numpy", "run"} <= set(facts)


def test_the_newest_step_of_the_run_is_among_the_facts(two, tmp_path):
    for step in (20, 40):
        (tmp_path / "checkpoints" / str(step)).mkdir(parents=True)
        (tmp_path / "checkpoints" / str(step) / "_CHECKPOINT_METADATA").write_text("{}")
    facts = peers._facts(small_config(tmp_path), RunFolder(tmp_path))
    assert (facts["run"], facts["newest checkpoint"]) == (str(tmp_path), 40)


def test_of_five_that_differ_each_value_is_told_once():
    said = [{"a": 1}, {"a": 2}, {"a": 1}, {"a": 3}, {"a": 2}]
    assert peers._difference("a", said) == ("a is 1 in process 0 and 2, 2 in process 1 and 4, 3 in process 3")


@pytest.fixture
def exits(monkeypatch):
    """Take down with what the process would leave, instead of leaving."""
    found = []
    monkeypatch.setattr(os, "_exit", lambda code: found.append(("now", code)))
    monkeypatch.setattr(peers, "_leave_after", lambda seconds, code: found.append((seconds, code)))
    return found


def test_a_stuck_process_writes_down_where_it_stands_and_leaves_with_7(exits, tmp_path, monkeypatch):
    run, told = RunFolder(tmp_path), []
    run.status(status="running", steps=30)
    place = tmp_path / "launch"
    place.mkdir()
    monkeypatch.setenv(LAUNCH, str(place))
    peers._stuck(run, 40, 61.2, told.append)
    assert exits == [(peers.LAST, 7), ("now", 7)], "the last words have a limit too"
    assert "test_a_stuck_process_writes_down" in (tmp_path / "stacks-0.txt").read_text()
    status = run.read_json("status.json")
    assert (status["status"], status["exit_code"], status["steps"]) == ("failed", 7, 30)
    assert status["reason"] == "nothing was trained for 61 s after step 40"
    assert [line["event"] for line in run.read_lines("log.jsonl")] == ["stuck"]
    assert told[0].facts["error"].code == "run.stuck"
    assert json.loads((place / "error-0").read_text())["exit_code"] == 7


def test_a_disk_that_fails_keeps_no_stuck_process(exits, tmp_path):
    def refuse(event):
        raise RuntimeError

    peers._stuck(RunFolder(tmp_path / "gone"), 40, 61.2, refuse)
    assert exits[-1] == ("now", 7)


@pytest.mark.parametrize(
    ("given", "several", "launched", "seconds"),
    [
        (None, False, False, None),
        (None, True, False, 60),
        (None, False, True, 60),
        (5.0, False, False, 5),
        (500.0, True, True, 500),
    ],
)
def test_when_a_watchdog_is_there(given, several, launched, seconds, tmp_path, monkeypatch):
    found = []

    def guarded(limit, stuck):
        found.append(limit)
        return pytest.MonkeyPatch.context()

    monkeypatch.setattr(peers, "guarded", guarded)
    monkeypatch.setattr(processes._Joined, "group", Group(0, 2 if several else 1))
    monkeypatch.setenv(LAUNCH, str(tmp_path)) if launched else monkeypatch.delenv(LAUNCH, raising=False)
    config = small_config(tmp_path)
    config = config.model_copy(update={"run": config.run.model_copy(update={"watchdog_seconds": given})})
    with peers.guard(config, RunFolder(tmp_path), lambda: 0):
        pass
    assert found == [seconds]


def test_a_lost_peer_is_told_as_such_and_the_process_is_sure_to_leave(two, exits):
    lost = jax.errors.JaxRuntimeError("UNKNOWN: Gloo all-reduce failed: Connection reset by peer")
    words = "another process of the run is gone, noticed after step 40"
    with pytest.raises(PeerError, match=words) as caught, peers.outlived_by_none(RunFolder("/runs/a"), lambda: 40):
        raise lost
    assert (caught.value.__cause__, caught.value.attempt) == (lost, "gymjax train --resume /runs/a")
    assert exits == [(peers.LAST, 7)]


@pytest.mark.parametrize(
    ("error", "code"),
    [(ZeroDivisionError(), 1), (ConfigError("x"), 2), (jax.errors.JaxRuntimeError("OUT_OF_MEMORY"), 1)],
)
def test_any_other_error_stays_and_has_a_limit(error, code, two, exits):
    with pytest.raises(type(error)), peers.outlived_by_none(RunFolder("/runs/a"), lambda: 40):
        raise error
    assert exits == [(peers.LAST, code)]


def test_who_was_asked_to_stop_has_no_limit_nor_has_one_that_is_alone(two, exits, monkeypatch):
    with pytest.raises(Interrupted), peers.outlived_by_none(RunFolder("/runs/a"), lambda: 40):
        raise Interrupted("saved", exit_code=143)
    monkeypatch.setattr(processes._Joined, "group", Group())
    with pytest.raises(ZeroDivisionError), peers.outlived_by_none(RunFolder("/runs/a"), lambda: 40):
        raise ZeroDivisionError
    assert exits == []


@pytest.mark.parametrize(("code", "parted"), [(0, True), (143, True), (130, True), (1, False), (7, False), (2, False)])
def test_one_of_several_leaves_at_once_when_it_failed_and_with_the_others_else(code, parted, two, monkeypatch):
    from gym_jax.cli import main  # noqa: F401 - it loads the module that its function hides

    leaving, did = sys.modules["gym_jax.cli.leave"], []
    monkeypatch.setattr(leaving, "_part", lambda: did.append("part"))
    monkeypatch.setattr(os, "_exit", lambda code: did.append(code))
    with pytest.raises(SystemExit):  # beyond os._exit, which does not return
        leaving.leave(code)
    assert did == ([*(["part"] if parted else []), code])
