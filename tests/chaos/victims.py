"""What is harmed: a process that saves, in ours or with Orbax alone, and a server that forks one for every fault.

python victims.py serve      # a request a line on stdin, an outcome a line on stdout
"""

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


ACTS = {"save": save_all, "take up": take_up}


def act(request: dict[str, Any]) -> int:
    """Do what a request asks for in this process, and write what came of it; return the exit status."""
    os.environ.update(request.get("environment", {}))
    try:
        found: dict[str, Any] = ACTS[request["act"]](request["subject"], request["folder"])
        status = 0
    except SystemExit as error:
        found, status = {}, int(error.code or 0)
    except BaseException as error:
        found, status = {"error": f"{type(error).__name__}: {error}"[:500]}, getattr(error, "exit_code", 1)
    with open(request["out"], "w") as file:
        json.dump(found, file)
    return status


def serve() -> None:
    """Fork a process for every line of stdin; a child that outlives its time has hung and is killed."""
    from gym_jax.cli.leave import leave

    told = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            quiet = os.open(os.devnull, os.O_RDWR)
            for number in (0, 1, 2):
                os.dup2(quiet, number)
            (leave if request["subject"] == "gym_jax" else sys.exit)(act(request))  # who is held up by threads hangs
        status, end = None, time.monotonic() + request.get("seconds", 30)
        while status is None and time.monotonic() < end:
            done, raw = os.waitpid(child, os.WNOHANG)
            status = os.waitstatus_to_exitcode(raw) if done else None
            time.sleep(0.005)
        if status is None:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        out = Path(request["out"])
        found = json.loads(out.read_text()) if out.exists() else {}
        print(json.dumps({"status": status, "hung": status is None, **found}), file=told, flush=True)


if __name__ == "__main__":
    import orbax.checkpoint  # noqa: F401 - once, and not in every child

    import gym_jax.train.checkpoint  # noqa: F401

    serve()
