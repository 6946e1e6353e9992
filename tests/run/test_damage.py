"""Damaged checkpoints: a run goes on from an older whole step to the same bits, and never at zero by itself."""

import json
import shutil

import pytest
from ends import StopAt, final, same
from small import small_config

from gym_jax.errors import CheckpointError, Interrupted
from gym_jax.run.evaluate import evaluate_run
from gym_jax.run.folder import RunFolder
from gym_jax.run.load import load_weights
from gym_jax.run.train import resume_run, train_run
from gym_jax.train import manifest
from gym_jax.train.checkpoint import find_damage, saved_steps
from gym_jax.train.manifest import MANIFEST

OFTEN = ["run.save_seconds=0"]
LATE = ["train.epochs=8", "optim=adam", "optim.lr=0.1", "schedule=warmup_constant", "schedule.warmup=0.99"]
"""A rate that rises: the best epoch comes early."""


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A run that was stopped with two steps saved, and how it ends when nothing happens."""
    root = tmp_path_factory.mktemp("damage")
    config = small_config(root, "mlp", *OFTEN)
    whole = final(RunFolder(train_run(config, folder=root / "whole").folder))
    with pytest.raises(Interrupted):
        train_run(config, folder=root / "run", stop=StopAt(8))
    return root / "run", whole


@pytest.fixture
def run(stopped, tmp_path):
    return RunFolder(shutil.copytree(stopped[0], tmp_path / "run"))


def flip(run, step):
    """Change one bit of the arrays of a step."""
    path = max((run.checkpoints / str(step)).rglob("d/*"), key=lambda path: path.stat().st_size)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_run_goes_on_from_the_step_before_a_damaged_one(run, stopped):
    steps = saved_steps(run.checkpoints)
    assert len(steps) >= 2
    flip(run, steps[-1])
    told = []
    resume_run(run, watch=told.append)
    same(final(run), stopped[1])
    (start,) = (event.facts for event in told if event.kind == "start")
    assert start["step"] == steps[-2]
    assert start["damaged"].keys() == {steps[-1]}
    assert start["damaged"][steps[-1]].endswith("has other bytes than were saved")
    assert (run.checkpoints / f"{steps[-1]}.bad-1").is_dir()
    (line,) = (line for line in run.read_lines("log.jsonl") if line["event"] == "damaged")
    assert (line["step"], line["moved"]) == (steps[-1], f"{steps[-1]}.bad-1")


def test_a_save_that_was_cut_short_does_not_count(run, stopped):
    newest = run.checkpoints / str(saved_steps(run.checkpoints)[-1])
    (newest / "gym_jax.json").unlink()
    (newest / "state" / "_METADATA").write_bytes(b"")
    resume_run(run)
    same(final(run), stopped[1])
    assert not list(run.checkpoints.glob("*.bad-*"))


def test_nothing_begins_at_zero_when_every_step_is_damaged(run):
    steps = saved_steps(run.checkpoints)
    for step in steps:
        flip(run, step)
    with pytest.raises(CheckpointError) as caught:
        resume_run(run)
    assert caught.value.exit_code == 4
    for step in steps:
        assert f"step {step}: its file" in caught.value.message
    assert {path.name for path in run.checkpoints.iterdir()} == {f"{step}.bad-1" for step in steps}
    with pytest.raises(CheckpointError, match="although it was saved before"):
        resume_run(run)


def test_a_run_does_not_go_on_without_its_best_step(tmp_path):
    config = small_config(tmp_path, "mlp", *OFTEN, *LATE)
    with pytest.raises(Interrupted):
        train_run(config, folder=tmp_path / "run", stop=StopAt(30))
    run = RunFolder(tmp_path / "run")
    lines = run.read_lines("metrics.jsonl")
    best = min(lines, key=lambda line: line["val_loss"])["step"]
    steps = saved_steps(run.checkpoints)
    assert best == steps[0] < steps[-2], "the best step is older than the newest two"
    flip(run, best)
    with pytest.raises(CheckpointError, match=f"step {steps[-1]}: the best step before it, {best}, is gone"):
        resume_run(run)
    assert [str(step) for step in steps[1:]] == sorted(
        path.name for path in run.checkpoints.glob("[0-9]*") if "." not in path.name
    )


def test_no_forecast_is_made_with_damaged_weights(stopped, run):
    resume_run(run)
    flip(run, run.read_json("status.json")["best"]["step"])
    with pytest.raises(CheckpointError, match="has other bytes than were saved"):
        evaluate_run(run)


def test_which_step_was_best_is_not_read_from_a_damaged_one(run):
    """The newest one says whose weights to take; another number in it would name another whole step."""
    older, newest = saved_steps(run.checkpoints)[-2:]
    path = run.checkpoints / str(newest) / "_CHECKPOINT_METADATA"
    document = json.loads(path.read_text())
    document["custom_metadata"]["stopping"][2] = older
    path.write_text(json.dumps(document))
    with pytest.raises(CheckpointError, match="has other bytes than were saved"):
        load_weights(run)


def test_a_reader_meets_whole_steps_while_they_are_written_and_dropped(stopped, run, monkeypatch):
    """Between looking for the best step and reading it, the run saves twice and drops it."""
    from gym_jax.run import load

    seen = []
    restore = load.restore_checkpoint

    def late(path, like):
        seen.append(path.name)
        if len(seen) == 1:
            shutil.copytree(path, path.with_name("999"))
            shutil.rmtree(path)
        return restore(path, like)

    monkeypatch.setattr(load, "restore_checkpoint", late)
    assert load.load_weights(run).step == 999
    assert len(seen) == 2


@pytest.mark.parametrize(
    ("name", "content"),
    [("data.json", "[" * 100_000), ("status.json", "[" * 100_000), ("checkpoints/{step}/gym_jax.json", "[" * 100_000)],
)
def test_a_document_that_is_too_deep_is_damage(run, name, content):
    (run.path / name.format(step=max(saved_steps(run.checkpoints)))).write_text(content)
    with pytest.raises(CheckpointError):
        evaluate_run(run)


@pytest.mark.parametrize("name", ["/etc/passwd", "../../status.json"])
def test_a_manifest_names_files_of_its_step_alone(run, name):
    path = run.checkpoints / str(max(saved_steps(run.checkpoints))) / MANIFEST
    document = json.loads(path.read_text())
    del document["seal"]
    document["files"][name] = [1, "0"]
    path.write_text(json.dumps({**document, "seal": manifest._seal(document)}))
    assert find_damage(path.parent) == f"its file {name} is gone"


def test_a_step_that_tells_nothing_of_its_run_is_refused_in_words(run):
    step = run.checkpoints / str(max(saved_steps(run.checkpoints)))
    (step / MANIFEST).unlink()
    (step / "_CHECKPOINT_METADATA").write_text("")
    with pytest.raises(CheckpointError):
        evaluate_run(run)
