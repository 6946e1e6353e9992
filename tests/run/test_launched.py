"""Real trainings under the launcher, harmed from within: they end as they should, and where they go on, to the bit."""

import json
import os
import subprocess
import sys

import pytest
from conftest import ROOT
from ends import final, same

from gym_jax.errors import GymJaxError
from gym_jax.launch.supervise import supervise
from gym_jax.run.folder import RunFolder
from gym_jax.run.load import read_config
from gym_jax.train.checkpoint import saved_steps

WORDS = [
    *(
        "train",
        "--model",
        "mlp",
        "model.hidden=[8]",
        "data.synthetic.series=3",
        "data.synthetic.days=3",
        "data.stride=8",
    ),
    *("task.context=24", "task.horizon=4", "train.batch_size=16", "train.epochs=4", "train.chunk=3"),
    *("train.patience=null", "evaluate.baselines=[last]", "run.save_seconds=0.2", "run.watchdog_seconds=20"),
]


def launch(fault, rank, chunk, folder, *more, count=2, restarts=0):
    """Launch processes of which one harms itself; return what was told, and what process 0 printed."""
    said, command = [], [sys.executable, str(ROOT / "tests" / "chaos" / "rank.py"), fault, str(rank), str(chunk)]
    environ = {**os.environ, "JAX_NUM_CPU_DEVICES": "1", "PYTHONPATH": str(ROOT)}
    out = supervise(
        [*command, *WORDS, "--run-dir", str(folder), *more],
        count,
        restarts=restarts,
        environ=environ,
        say=lambda rank, line: said.append((rank, line)),
    )
    return said, out.decode()


def ends(folder):
    run = RunFolder(folder)
    return final(run, read_config(run))


@pytest.mark.posix
@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2])
def test_a_killed_process_is_started_again_and_ends_with_the_bits_of_one_that_was_not(count, tmp_path):
    launch("none", 0, 0, tmp_path / "whole", count=count)
    said, out = launch("kill", count - 1, 8, tmp_path / "harmed", "--json", count=count, restarts=1)
    assert any(line.startswith("chaos again") for _, line in said)
    assert json.loads(out)["run_status"] == "done"
    same(ends(tmp_path / "whole"), ends(tmp_path / "harmed"))


@pytest.mark.posix
@pytest.mark.slow
def test_sigterm_to_one_of_two_saves_the_same_step_on_both(tmp_path):
    with pytest.raises(GymJaxError) as caught:
        launch("told", 1, 7, tmp_path / "run", restarts=3)
    assert caught.value.exit_code == 143
    run = RunFolder(tmp_path / "run")
    status, steps = run.read_json("status.json"), saved_steps(run.checkpoints)
    assert (status["status"], status["exit_code"]) == ("stopped", 143)
    assert status["steps"] == steps[-1]
    assert caught.value.message == f"stopped by SIGTERM and saved at step {steps[-1]}"
    assert [line["step"] for line in run.read_lines("log.jsonl") if line["event"] == "stopped"] == [steps[-1]]


@pytest.mark.posix
@pytest.mark.slow
def test_two_that_differ_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(GymJaxError, match=r"optim\.lr is 0\.001 in process 0, 0\.5 in process 1") as caught:
        launch("unlike:optim.lr=0.5", 1, 0, tmp_path / "run")
    assert caught.value.exit_code == 2
    assert not (tmp_path / "run").exists()


@pytest.mark.posix
@pytest.mark.slow
def test_a_flipped_bit_is_found_and_never_saved(tmp_path):
    with pytest.raises(GymJaxError, match=r"no longer alike at step .*: process 1 differs in params/") as caught:
        launch("flip", 1, 7, tmp_path / "run", "run.save_seconds=1000")
    assert caught.value.exit_code == 7
    assert saved_steps(tmp_path / "run" / "checkpoints") == []


@pytest.mark.slow
def test_a_training_that_stands_still_says_where_and_leaves_with_7(tmp_path):
    """Alone and without a launcher, too."""
    rank = [sys.executable, str(ROOT / "tests" / "chaos" / "rank.py"), "stuck", "0", "8"]
    words = [*WORDS, "run.watchdog_seconds=2", "--run-dir", str(tmp_path / "run"), "--json", "-q"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*rank, *words], capture_output=True, text=True, timeout=120, env=environ, check=False)
    assert done.returncode == 7
    assert (json.loads(done.stdout)["code"], json.loads(done.stdout)["exit_code"]) == ("run.stuck", 7)
    assert "in hang" in done.stderr
    assert done.stderr.rstrip().splitlines()[-3].startswith("error: nothing was trained for ")
    assert "in hang" in (tmp_path / "run" / "stacks-0.txt").read_text()
    status = RunFolder(tmp_path / "run").read_json("status.json")
    assert (status["status"], status["exit_code"]) == ("failed", 7)
