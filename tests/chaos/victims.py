"""What is harmed: a process that saves, in ours or with Orbax alone, and a server that forks one for every fault.

python victims.py serve      # a request a line on stdin, an outcome a line on stdout
"""

import faulthandler
import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from judge import judge

STEPS, KEPT = 5, 2


def state_of(step: int) -> dict[str, Any]:
    """Return the state that a step has: every number follows from the step."""
    random = np.random.default_rng(step)
    layers = {f"layer_{i}": jnp.asarray(random.normal(size=(64, 64)), jnp.float32) for i in range(3)}
    return {"params": layers, "moments": jax.tree.map(jnp.square, layers), "step": jnp.int32(step)}


def digest(tree: Any) -> str:
    """Return a hash of every bit of a tree of arrays."""
    parts = [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(jax.device_get(tree))]
    return hashlib.sha256(b"".join(parts)).hexdigest()


class Ours:
    """Checkpoints as a run of gym_jax makes and takes them up."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def restore(self) -> tuple[int, Any] | None:
        """Return the newest whole step and its state, None when nothing was saved yet."""
        from gym_jax.train.checkpoint import mend, restore_checkpoint, saved_steps

        faults = mend(self.folder)
        steps = saved_steps(self.folder)
        if not steps and faults:
            raise SystemExit(4)
        return (steps[-1], restore_checkpoint(self.folder / str(steps[-1]), state_of(0))) if steps else None

    def save(self, step: int) -> None:
        """Save a step, and drop old ones."""
        from gym_jax.train.checkpoint import retain, save_checkpoint, saved_steps

        save_checkpoint(self.folder, step, state_of(step))
        retain(self.folder, saved_steps(self.folder)[-KEPT:])

    def close(self) -> None:
        """There is nothing to wait for."""


class PlainOrbax:
    """Checkpoints as Orbax's own manager makes and takes them up, without more."""

    def __init__(self, folder: str, background: bool = False) -> None:
        import orbax.checkpoint as ocp

        self.ocp = ocp
        options = ocp.CheckpointManagerOptions(max_to_keep=KEPT, enable_async_checkpointing=background)
        self.manager = ocp.CheckpointManager(folder, options=options)

    def restore(self) -> tuple[int, Any] | None:
        """Return the latest step and its state."""
        step = self.manager.latest_step()
        if step is None:
            return None
        abstract = jax.tree.map(self.ocp.utils.to_shape_dtype_struct, state_of(0))
        return step, self.manager.restore(step, args=self.ocp.args.StandardRestore(abstract))

    def save(self, step: int) -> None:
        """Save a step; the manager drops old ones."""
        self.manager.save(step, args=self.ocp.args.StandardSave(state_of(step)))

    def close(self) -> None:
        """Wait for what is on its way."""
        self.manager.wait_until_finished()
        self.manager.close()


SUBJECTS: dict[str, Callable[[str], Any]] = {
    "gym_jax": Ours,
    "plain-orbax": PlainOrbax,
    "plain-orbax-async": lambda folder: PlainOrbax(folder, background=True),
}


def save_all(subject: str, folder: str) -> dict[str, Any]:
    """Go on from the newest step, and save until the last; return where it began and whether the bits were right."""
    one = SUBJECTS[subject](folder)
    found = one.restore()
    right = found is None or digest(found[1]) == digest(state_of(found[0]))
    for step in range(found[0] + 1 if found else 1, STEPS + 1):
        one.save(step)
    one.close()
    return {"from": found[0] if found else None, "right": right}


def take_up(subject: str, folder: str) -> dict[str, Any]:
    """Return which step is taken up, and whether its bits are right."""
    one = SUBJECTS[subject](folder)
    found = one.restore()
    return {
        "from": found[0] if found else None,
        "right": found is not None and digest(found[1]) == digest(state_of(found[0])),
    }


def train(subject: str, folder: str, words: list[str], devices: int | None = None) -> dict[str, Any]:
    """Train a small run as `gymjax train` does, or go on with it; return a hash of all that it leaves."""
    from gym_jax.cli import main

    if devices is not None:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:devices])
    code = main(["train", "--run-dir", folder, "--resume", "auto", "-q", *words])
    return {"status": code, "bits": bits_of(folder) if code == 0 else None}


def signalled(subject: str, folder: str, words: list[str], kind: str, turn: int, seconds: float) -> dict[str, Any]:
    """Train, and be told to stop when an event comes for the so-manieth time, or after a time."""
    import threading

    from gym_jax.cli.signals import stop_on_signals
    from gym_jax.config.load import load_config
    from gym_jax.errors import GymJaxError
    from gym_jax.run.folder import RunFolder
    from gym_jax.run.train import train_run

    found: dict[str, Any] = {"last": 0, "at": None}
    seen = 0

    def strike() -> None:
        found["at"] = time.time()
        os.kill(os.getpid(), signal.SIGTERM)

    def watch(event: Any) -> None:
        nonlocal seen
        found["last"] = max(found["last"], event.facts.get("step", 0))
        seen += event.kind == kind
        if event.kind == kind and seen == turn:
            strike()

    timer = threading.Timer(seconds, strike)
    if kind == "time":
        timer.start()
    with stop_on_signals() as stop:
        try:
            train_run(load_config([], words), folder=folder, watch=watch, stop=stop)
            found["status"] = 0
        except GymJaxError as error:
            found["status"] = error.exit_code
        timer.cancel()  # the run is over: nobody is told any more
    found["saved"] = RunFolder(folder).read_json("status.json").get("steps")
    return found


def bits_of(folder: str) -> str:
    """Return a hash of every bit that a run leaves: state, position, metrics and scores."""
    from gym_jax.run.folder import RunFolder
    from gym_jax.run.load import read_config

    sys.path.insert(0, str(Path(__file__).parents[1]))
    from ends import final

    run = RunFolder(folder)
    state, facts, lines, scores = final(run, read_config(run))
    told = json.dumps([facts, scores], sort_keys=True).encode()
    return hashlib.sha256(digest(state).encode() + told + lines).hexdigest()


ACTS: dict[str, Callable[..., dict[str, Any]]] = {
    "bits": lambda subject, folder: {"bits": bits_of(folder)},
    "save": save_all,
    "take up": take_up,
    "train": train,
    "signalled": signalled,
    "judge": judge,
}


def act(request: dict[str, Any]) -> int:
    """Do what a request asks for in this process, and write what came of it; return the exit status."""
    os.environ.update(request.get("environment", {}))
    stacks = open(stacks_of(request), "w")  # noqa: SIM115 - it is open as long as the process lives
    faulthandler.dump_traceback_later(max(1, request.get("seconds", 30) - 2), file=stacks)
    try:
        found = ACTS[request["act"]](request["subject"], request["folder"], **request.get("options", {}))
        status = found.pop("status", 0)
    except SystemExit as error:
        found, status = {}, int(error.code or 0)
    except BaseException as error:
        found, status = {"error": f"{type(error).__name__}: {error}"[:500]}, getattr(error, "exit_code", 1)
    with open(request["out"], "w") as file:
        json.dump(found, file)
    return status


def stacks_of(request: dict[str, Any]) -> Path:
    """Return the file in which a process that takes too long says what all of its threads do."""
    return Path(request["out"]).with_suffix(".stacks")


def begin(request: dict[str, Any]) -> int:
    """Fork a process that does what a request asks for; return its number."""
    from gym_jax.cli.leave import leave

    child = os.fork()
    if child == 0:
        quiet = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(quiet, number)
        (leave if request["subject"] == "gym_jax" else sys.exit)(act(request))  # who is held up by threads hangs
    return child


def end(child: int, request: dict[str, Any]) -> dict[str, Any]:
    """Wait for a process, kill it when asked to, and return what came of it; one that outlives its time hung."""
    status, began = None, time.monotonic()
    fatal = request.get("kill_after")
    while status is None and (passed := time.monotonic() - began) < request.get("seconds", 30):
        if fatal is not None and passed >= fatal:
            os.kill(child, signal.SIGKILL)
            fatal = None
        done, raw = os.waitpid(child, os.WNOHANG)
        status = os.waitstatus_to_exitcode(raw) if done else None
        time.sleep(0.002)
    if status is None:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    out = Path(request["out"])
    found = json.loads(out.read_text()) if out.exists() else {}
    took = time.monotonic() - began
    if status is None and stacks_of(request).is_file():
        found["stacks"] = stacks_of(request).read_text()
    return {"status": status, "hung": status is None, "took": took, "ended": time.time(), **found}


def serve() -> None:
    """Do what every line of stdin asks for in a process of its own; one in the background runs beside the next ones."""
    told = os.fdopen(os.dup(1), "w")
    behind: dict[str, tuple[int, dict[str, Any]]] = {}
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            found = end(*behind.pop(request["wait"]))
        elif request.get("background"):
            behind[request["out"]] = (begin(request), request)
            found = {}
        else:
            found = end(begin(request), request)
        print(json.dumps(found), file=told, flush=True)


if __name__ == "__main__":
    import orbax.checkpoint  # noqa: F401 - once, and not in every child

    import gym_jax.cli.train
    import gym_jax.run.train  # noqa: F401

    serve()
