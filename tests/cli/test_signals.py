"""Real signals to a real process: SIGTERM and Ctrl-C save and leave with their code; a second one leaves at once."""

import json
import os
import signal
import subprocess
import sys

import pytest

from gym_jax.cli import main
from gym_jax.train.checkpoint import saved_steps


def start(folder, *more):
    """Start a run that would take minutes; return it once it has trained its first epoch."""
    command = [sys.executable, "-m", "gym_jax", "train", "--model", "mlp", "--epochs=5000", "--run-dir", str(folder)]
    small = ["train.patience=null", "data.stride=8", "model.hidden=[8]", "data.synthetic.series=3", "--plain", *more]
    process = subprocess.Popen([*command, *small], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if line.startswith("epoch"):
            return process
    raise AssertionError(process.communicate())


@pytest.mark.posix
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["SIGTERM", "SIGINT"])
def test_a_signal_saves_and_leaves_with_its_code(number, code, tmp_path, capsys):
    process = start(tmp_path / "run")
    os.kill(process.pid, number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert out == ""
    error, hint, attempt = err.rstrip().split("\n")[-3:]
    assert error.startswith(f"error: stopped by {'SIGTERM' if code == 143 else 'Ctrl-C'} and saved at step ")
    assert (hint, attempt) == (
        f"hint: the run is in {tmp_path / 'run'}",
        f"try: gymjax train --resume {tmp_path / 'run'}",
    )
    status = json.loads((tmp_path / "run" / "status.json").read_text())
    assert status["status"] == "stopped"
    assert status["steps"] == max(saved_steps(tmp_path / "run" / "checkpoints"))
    assert main(["train", "--resume", str(tmp_path / "run"), "--max-time", "0s", "-q"]) == 0
    assert "stopped by --max-time" in capsys.readouterr().out


@pytest.mark.posix
def test_a_second_signal_leaves_at_once(tmp_path):
    process = start(
        tmp_path / "run", "train.chunk=4096", "data.stride=1", "data.synthetic.days=60", "model.hidden=[512,512]"
    )
    os.kill(process.pid, signal.SIGTERM)
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=5)
    assert process.returncode in (130, 143)
