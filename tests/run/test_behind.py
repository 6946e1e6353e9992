"""Saves beside the training: the same bits, errors told, nothing told before it is on the disk."""

import threading

import pytest
from ends import StopAt, final, same
from small import small_config

from gym_jax.errors import Interrupted, StorageError
from gym_jax.run import session
from gym_jax.run.behind import Behind
from gym_jax.run.folder import RunFolder
from gym_jax.run.train import resume_run, train_run
from gym_jax.train.checkpoint import read_metadata, saved_steps


def test_one_thing_at_a_time_is_taken_once():
    begun, gate = [], threading.Event()
    with Behind() as behind:
        assert behind.take() is None
        behind.begin(lambda: gate.wait(10) and 1)
        assert behind.take() is None, "it is still on its way"
        gate.set()
        behind.begin(lambda: begun.append(2) or 2)
        assert behind.wait() == 2
        assert behind.take() is None
    assert begun == [2]


def fail():
    raise OSError("full")


@pytest.mark.parametrize("asked", ["begin", "wait", "leave"])
def test_an_error_is_raised_by_who_asks_next(asked):
    def ask():
        with Behind() as behind:
            behind.begin(fail)
            if asked == "begin":
                behind.begin(lambda: None)
            elif asked == "wait":
                behind.wait()

    with pytest.raises(OSError, match="full"):
        ask()


def test_the_first_error_is_told_and_the_work_waited_for():
    done = threading.Event()

    def work():
        done.set()
        fail()

    def ask():
        with Behind() as behind:
            behind.begin(work)
            raise ValueError("first")

    with pytest.raises(ValueError, match="first"):
        ask()
    assert done.is_set()


@pytest.mark.parametrize("kind", ["mlp", "lstm"])
def test_a_run_saved_behind_has_the_bits_of_one_that_waits(kind, tmp_path):
    often = ("run.save_seconds=0", "train.patience=2")
    for name, behind in (("behind", "true"), ("waits", "false")):
        config = small_config(tmp_path, kind, *often, f"run.save_behind={behind}")
        with pytest.raises(Interrupted):
            train_run(config, folder=tmp_path / name, stop=StopAt(7))
        resume_run(RunFolder(tmp_path / name))
    same(final(RunFolder(tmp_path / "behind"), config), final(RunFolder(tmp_path / "waits"), config))
    assert saved_steps(tmp_path / "behind" / "checkpoints") == saved_steps(tmp_path / "waits" / "checkpoints")


def test_a_save_is_told_when_it_is_on_the_disk(tmp_path):
    run, told = RunFolder(tmp_path / "run"), []

    def watch(event):
        if event.kind == "saved":
            told.append(event.facts["step"])
            assert run.read_json("status.json")["saved"] >= told[-1]

    train_run(small_config(tmp_path, "mlp", "run.save_seconds=0"), folder=run.path, watch=watch)
    assert told == sorted(set(told))
    assert len(told) >= 2


def test_a_disk_that_fails_behind_ends_the_run(tmp_path, monkeypatch):
    save, count = session.save_checkpoint, []

    def full(*args):
        count.append(1)
        if len(count) == 3:
            raise StorageError("the disk is full", hint="", attempt="")
        return save(*args)

    monkeypatch.setattr(session, "save_checkpoint", full)
    with pytest.raises(StorageError, match="the disk is full"):
        train_run(small_config(tmp_path, "mlp", "run.save_seconds=0"), folder=tmp_path / "run")
    status = RunFolder(tmp_path / "run").read_json("status.json")
    assert (status["status"], status["exit_code"]) == ("failed", 6)
    monkeypatch.undo()
    assert resume_run(RunFolder(tmp_path / "run")).status == "done"


def test_what_is_saved_later_says_what_was_then(tmp_path):
    """The best state waits for the next save: what is added up meanwhile belongs to the next epoch."""
    config = small_config(tmp_path, "mlp", "train.epochs=3")
    with pytest.raises(Interrupted):
        train_run(config, folder=tmp_path / "run", stop=StopAt(8))
    checkpoints = tmp_path / "run" / "checkpoints"
    for step in saved_steps(checkpoints):
        metadata = read_metadata(checkpoints / str(step))
        counted = metadata["sums"].get("loss", [0, 0])[1]
        assert (counted > 0) == (metadata["position"][1] > 0), "sums begin anew with an epoch"
    assert len(saved_steps(checkpoints)) == 2
