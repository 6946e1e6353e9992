"""What happens when a run goes wrong: its exit code, its words, and nothing lost."""

import jax
import jax.numpy as jnp
import pytest
from small import small_config

from gym_jax import errors
from gym_jax.errors import EXIT_CODES, ConfigError, Diverged, GymJaxError, StorageError
from gym_jax.run.evaluate import evaluate_run
from gym_jax.run.folder import RunFolder
from gym_jax.run.load import load_weights
from gym_jax.run.plan import fresh_state, plan_run
from gym_jax.run.session import Session
from gym_jax.run.train import train_run
from gym_jax.train.checkpoint import saved_steps


def test_a_loss_that_is_not_finite_stops_the_run_and_is_never_saved(tmp_path):
    config = small_config(
        tmp_path, "mlp", "optim.kind=sgd", "optim.lr=1e30", "loss.kind=mse", "train.clip=null", "run.save_seconds=0"
    )
    with pytest.raises(Diverged, match=r"the loss is not finite at step \d+ \(epoch 1\)") as caught:
        train_run(config, folder=tmp_path / "run")
    assert caught.value.exit_code == 5
    run = RunFolder(tmp_path / "run")
    status = run.read_json("status.json")
    assert (status["status"], status["exit_code"]) == ("failed", 5)
    assert saved_steps(run.checkpoints) == []
    assert caught.value.hint.endswith("nothing was saved")


def test_what_was_best_before_a_run_diverged_is_kept(tmp_path):
    """Nothing is on the disk yet when the loss is lost: what was best waits in memory."""
    overrides = ("optim=sgd", "optim.lr=2", "schedule=warmup_constant", "schedule.warmup=0.99", "loss=mse")
    config = small_config(tmp_path, "mlp", *overrides, "train.clip=null", "train.epochs=6")
    with pytest.raises(Diverged) as caught:
        train_run(config, folder=tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    lines = run.read_lines("metrics.jsonl")
    best = min(lines, key=lambda line: line["val_loss"])["step"]
    assert saved_steps(run.checkpoints) == [best]
    assert caught.value.hint.endswith(f"the weights of step {best} are whole")
    assert load_weights(run).step == best
    assert evaluate_run(run)["notes"], "scores of a run that failed carry a note"


def test_a_disk_that_refuses_is_a_storage_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError) as caught:
        train_run(small_config(tmp_path, "last"), folder=tmp_path / "file" / "run")
    assert caught.value.exit_code == 6
    assert caught.value.lines()[0] == f"error: {tmp_path / 'file' / 'run'} can not be written: Not a directory"


def test_every_error_has_its_own_exit_code():
    kinds = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, GymJaxError)]
    codes = [kind.exit_code for kind in kinds if kind not in (GymJaxError, errors.Interrupted)]
    assert sorted(codes) == sorted(set(EXIT_CODES) - {0, 130, 143})
    assert len({kind.code for kind in kinds if kind is not errors.RunFailed}) == len(kinds) - 1


def test_an_observer_that_fails_fails_the_run_and_says_so(tmp_path):
    def fail(event):
        raise RuntimeError("observer")

    with pytest.raises(RuntimeError, match="observer"):
        train_run(small_config(tmp_path, "mlp"), folder=tmp_path / "run", watch=fail)
    assert RunFolder(tmp_path / "run").read_json("status.json")["reason"] == "observer"


def test_parameters_that_are_not_finite_are_never_saved(tmp_path):
    """One step whose loss is finite and whose update is not."""
    config = small_config(tmp_path, "mlp", "optim.lr=1e38", "train.epochs=1", "train.batch_size=100000")
    with pytest.raises(Diverged):
        train_run(config, folder=tmp_path / "run")
    assert saved_steps(tmp_path / "run" / "checkpoints") == []


def test_a_session_refuses_to_save_what_is_not_finite(tmp_path):
    plan = plan_run(small_config(tmp_path, "mlp"))
    state = fresh_state(plan)
    broken = jax.tree.map(lambda leaf: leaf.at[0].set(jnp.nan), state.params)
    session = Session(RunFolder(tmp_path), {"schema": 1}, state._replace(params=broken))
    with pytest.raises(Diverged, match="a parameter is not finite at step 0"):
        session.save()
    assert saved_steps(tmp_path / "checkpoints") == []


@pytest.mark.parametrize("last", ["env.json", "data.json", "choices.json", "config.yaml"])
def test_what_was_killed_before_it_was_a_run_is_begun_anew(tmp_path, monkeypatch, last):
    config, write = small_config(tmp_path, "last", "evaluate.baselines=[]"), RunFolder._write

    def killed(folder, name, text):
        if name == last:
            (folder.path / f".{name}.1.tmp").write_text(text[:9])
            raise SystemExit
        write(folder, name, text)

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "_write", killed)
        with pytest.raises(SystemExit):
            train_run(config, folder=tmp_path / "run")
    assert train_run(config, folder=tmp_path / "run").status == "done"


@pytest.mark.parametrize("mine", [{"data.json": "{}"}, {".lock": "mine", "env.json": "{}"}, {"notes.txt": ""}])
def test_a_folder_of_somebody_else_is_left_alone(tmp_path, mine):
    folder = tmp_path / "run"
    folder.mkdir()
    for name, text in mine.items():
        (folder / name).write_text(text)
    with pytest.raises(ConfigError, match="exists already"):
        train_run(small_config(tmp_path, "last"), folder=folder)
    assert {one.name: one.read_text() for one in folder.iterdir()} == mine


def test_a_line_that_a_full_disk_cut_short_takes_no_other_with_it(tmp_path):
    run = RunFolder(tmp_path)
    run.pin(3, "a child")
    with (tmp_path / "pins.jsonl").open("ab") as file:
        file.write(b'{"step": 4, "by": "caf\xc3')
    assert run.pinned() == {3}
    run.pin(5, "another")
    assert run.pinned() == {3, 5}, "what is appended begins a line of its own"
    assert (tmp_path / "pins.jsonl").read_bytes().count(b"\n") == 3
