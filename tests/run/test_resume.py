"""2N steps = N steps, interruption, N steps: parameters, optimiser, keys, order, early stop and metrics, to the bit."""

import functools
import json
import os
import signal
import subprocess
import sys
import time

import chex
import jax
import pytest
from ends import StopAt, final, same
from small import small_config

from gym_jax.data import shuffled
from gym_jax.errors import CheckpointError, Interrupted, RunInUse
from gym_jax.run.assemble import build_loss, build_optimiser
from gym_jax.run.evaluate import evaluate_run
from gym_jax.run.folder import RunFolder
from gym_jax.run.plan import plan_run
from gym_jax.run.train import find_resumable, resume_run, train_run
from gym_jax.train.checkpoint import restore_checkpoint, saved_steps
from gym_jax.train.parallel import make_epoch
from gym_jax.train.step import init_state, make_train_step

KINDS = ("mlp", "lstm", "transformer")


@functools.cache
def uninterrupted(kind, root):
    result = train_run(small_config(root, kind), folder=f"{root}/{kind}")
    return final(RunFolder(result.folder))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return str(tmp_path_factory.mktemp("whole"))


QUANTILES = ["loss=quantiles", "optim=lion", "optim.lr=1e-4", "schedule=one_cycle"]
LOWERED = ["schedule=plateau", "schedule.patience=1", "schedule.threshold=0.9"]
CHOICES = {
    "accumulated and averaged quantiles": [*QUANTILES, "train.accumulate=3", "train.ema=0.9"],
    "schedule-free": ["optim=schedule_free", "schedule=constant"],
    "lowered on a plateau in bfloat16": [*LOWERED, "train.compute_dtype=bfloat16"],
    "likelihood with frozen parts": ["loss=gaussian", "train.freeze=[layer_0]", "optim=muon", "schedule=step"],
}


@pytest.mark.parametrize("overrides", CHOICES.values(), ids=CHOICES)
def test_every_choice_of_training_resumes_to_the_bit(overrides, tmp_path):
    config = small_config(tmp_path, "mlp", *overrides)
    whole = RunFolder(train_run(config, folder=tmp_path / "whole").folder)
    with pytest.raises(Interrupted):
        train_run(config, folder=tmp_path / "run", stop=StopAt(12))
    run = RunFolder(tmp_path / "run")
    resume_run(run)
    ends = [final(folder, config) for folder in (whole, run)]
    same(*ends)
    if "schedule=plateau" in overrides:
        rates = [line["lr"] for line in run.read_lines("metrics.jsonl")]
        assert rates == pytest.approx([1e-3, 1e-3, 5e-4, 2.5e-4]), "the first epoch can not fail to improve"


PLACES = {"mid-epoch": 2, "mid-second-epoch": 7, "epoch-boundary": 10}
STOPS = [
    pytest.param(kind, chunks, id=f"{place}-{kind}", marks=[pytest.mark.slow] * (kind != "mlp" and chunks > 2))
    for place, chunks in PLACES.items()
    for kind in KINDS
]


@pytest.mark.parametrize(("kind", "chunks"), STOPS)
def test_stopped_and_resumed(kind, chunks, root, tmp_path):
    config = small_config(tmp_path, kind)
    with pytest.raises(Interrupted) as caught:
        train_run(config, folder=tmp_path / "run", stop=StopAt(chunks))
    assert caught.value.exit_code == 143
    run = RunFolder(tmp_path / "run")
    assert run.read_json("status.json")["status"] == "stopped"
    chunks_per_epoch = -(-plan_run(config).steps // 3)
    assert (chunks % chunks_per_epoch == 0) == (chunks == 10), "the ids of this test name the position"
    assert resume_run(run).status == "done"
    same(final(run), uninterrupted(kind, root))


@pytest.mark.parametrize("placement", ["cores", "shard", "pmap"])
def test_stopped_and_resumed_on_several_devices(placement, tmp_path):
    settings = (f"train.placement={placement}", "train.devices=2")
    whole = train_run(small_config(tmp_path, "mlp", *settings), folder=tmp_path / "whole")
    with pytest.raises(Interrupted):
        train_run(small_config(tmp_path, "mlp", *settings), folder=tmp_path / "cut", stop=StopAt(7))
    run = RunFolder(tmp_path / "cut")
    assert run.read_json("choices.json")["devices"] == 2
    resume_run(run)
    same(final(run), final(RunFolder(whole.folder)))


@pytest.mark.parametrize("kind", KINDS)
def test_killed_without_warning_and_resumed(kind, root, tmp_path):
    config = small_config(tmp_path, kind, "run.save_seconds=0")
    seen = 0

    def die(event):
        nonlocal seen
        seen += event.kind == "saved"
        if seen == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_run(config, folder=tmp_path / "run", watch=die)
    run = RunFolder(tmp_path / "run")
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 3, "step": 9999}\n{"epoch": 4, "st')  # a line of the lost steps, and one cut short
    assert resume_run(run).status == "done"
    same(final(run), uninterrupted(kind, root))


@pytest.mark.posix
def test_sigkill_in_a_process_of_its_own(tmp_path, root):
    code = (
        "import sys; sys.path.insert(0, 'tests')\n"
        "from small import small_config\nfrom gym_jax.run.train import train_run\n"
        f"train_run(small_config({str(tmp_path)!r}, 'mlp', 'run.save_seconds=0'), folder={str(tmp_path / 'run')!r},"
        "watch=lambda event: print(event.kind, flush=True))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        saved = 0
        for line in process.stdout:
            saved += line.strip() == "saved"
            if saved == 4:
                os.kill(process.pid, signal.SIGKILL)
                break
        assert process.wait(30) == -signal.SIGKILL
    run = RunFolder(tmp_path / "run")
    assert run.read_json("status.json")["status"] == "running"
    assert resume_run(run).status == "done"
    same(final(run), uninterrupted("mlp", root))


def test_early_stop_ends_with_the_best_weights_after_a_resume_too(tmp_path):
    settings = ("train.epochs=12", "train.patience=2", "optim.lr=0.03", "schedule=constant")
    whole = train_run(small_config(tmp_path, "mlp", *settings), folder=tmp_path / "whole")
    assert whole.epochs < 12
    assert whole.best["epoch"] == whole.epochs - 2
    assert evaluate_run(whole.folder)["model"] == whole.scores["model"], "scored with the best weights"
    config = small_config(tmp_path, "mlp", *settings)
    after_the_best = (whole.epochs - 1) * -(-plan_run(config).steps // 3) + 1
    with pytest.raises(Interrupted):
        train_run(config, folder=tmp_path / "cut", stop=StopAt(after_the_best))
    resumed = resume_run(RunFolder(tmp_path / "cut"))
    assert resumed.epochs == whole.epochs
    assert resumed.best == whole.best
    assert resumed.scores == whole.scores
    assert whole.best["step"] in saved_steps(tmp_path / "whole" / "checkpoints")


def test_a_run_is_the_loop_of_the_library(tmp_path):
    """The last parameters are those of the public pieces, put together by hand over the orders of (seed, epoch)."""
    config = small_config(tmp_path, "lstm", "train.epochs=2", "train.seed=5")
    run = RunFolder(train_run(config).folder)
    plan = plan_run(config)
    tx, _ = build_optimiser(config, plan.steps)
    epoch = make_epoch(functools.partial(make_train_step, plan.model, build_loss(config), tx), plan.layout)
    state = init_state(plan.model, tx, jax.random.key(5), plan.train.take(jax.numpy.arange(1)).inputs)
    for number in range(2):
        state, _ = epoch(state, plan.train, shuffled(5, number, len(plan.train), config.train.batch_size))
    saved = restore_checkpoint(run.checkpoints / str(max(saved_steps(run.checkpoints))), state)
    chex.assert_trees_all_equal(saved.params, state.params)
    chex.assert_trees_all_equal(saved.opt_state, state.opt_state)


def test_a_finished_run_is_complete_and_untouched(tmp_path):
    result = train_run(small_config(tmp_path, "mlp"), folder=tmp_path / "run")
    before = {f: f.read_bytes() for f in result.folder.rglob("*") if f.is_file() and f.name != ".lock"}
    again = resume_run(RunFolder(result.folder))
    assert again.status == "complete"
    assert again.scores["verdict"] == result.scores["verdict"]
    assert before == {f: f.read_bytes() for f in result.folder.rglob("*") if f.is_file() and f.name != ".lock"}


def test_auto_finds_the_newest_unfinished_run_of_the_same_settings(tmp_path):
    config = small_config(tmp_path, "mlp")
    assert find_resumable(config) is None
    for _ in range(2):
        with pytest.raises(Interrupted):
            train_run(config, stop=StopAt(2))
        time.sleep(1.1)
    newest = max(p.parent for p in tmp_path.glob("*/status.json"))
    assert find_resumable(config).path == newest
    assert find_resumable(small_config(tmp_path, "mlp", "train.seed=1")) is None
    resume_run(find_resumable(config))
    assert find_resumable(config).path != newest


def test_changed_data_are_refused(tmp_path):
    from small import small_csv

    path = small_csv(tmp_path / "cpu.csv")
    config = small_config(tmp_path, "mlp", f"data.path={path}", "data.target=cpu")
    with pytest.raises(Interrupted):
        train_run(config, folder=tmp_path / "run", stop=StopAt(2))
    small_csv(path, seed=1)
    with pytest.raises(CheckpointError, match="changed since the run began"):
        resume_run(RunFolder(tmp_path / "run"))


def test_a_second_process_is_kept_out(tmp_path):
    result = train_run(small_config(tmp_path, "mlp"), folder=tmp_path / "run")
    run = RunFolder(result.folder)
    with run.lock(), pytest.raises(RunInUse, match=f"process {os.getpid()}") as caught:
        resume_run(run)
    assert caught.value.exit_code == 75


def test_metrics_hold_one_line_an_epoch_and_no_clock(tmp_path):
    result = train_run(small_config(tmp_path, "mlp"), folder=tmp_path / "run")
    lines = [json.loads(line) for line in (result.folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4]
    assert set(lines[0]) == {"epoch", "step", "lr", "loss", "grad_norm", "val_loss"}
