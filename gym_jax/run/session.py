"""What a training run carries from chunk to chunk, and how it is saved and taken up again."""

import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp

from gym_jax.config.migrate import SCHEMA_VERSION, readable
from gym_jax.errors import CheckpointError, Diverged
from gym_jax.optim import Plateau, with_scale
from gym_jax.run.behind import Behind
from gym_jax.run.folder import RunFolder
from gym_jax.run.snapshot import Snapshot, on_host, read_plateau, read_stopping, with_key
from gym_jax.run.trouble import Trouble
from gym_jax.train.checkpoint import (
    mend,
    read_metadata,
    restore_checkpoint,
    retain,
    save_checkpoint,
    saved_steps,
)
from gym_jax.train.loop import Position, Progress
from gym_jax.train.places import is_apart
from gym_jax.train.processes import broadcast, group, together
from gym_jax.train.stopping import EarlyStop
from gym_jax.types import TrainState

LOGGER = logging.getLogger(__name__)
KEEP_LAST = 2


@dataclass
class Session:
    """The state of a run between two chunks."""

    folder: RunFolder
    facts: Mapping[str, Any]
    """Config, columns, series and scaler: saved beside the parameters of every step."""
    state: TrainState
    position: Position = field(default_factory=Position)
    stopping: EarlyStop = field(default_factory=EarlyStop)
    plateau: Plateau = field(default_factory=Plateau)
    """What the host makes of the learning rate."""
    sums: dict[str, list[float]] = field(default_factory=dict)
    """Total and count of each metric over the epoch so far."""
    best: tuple[TrainState, dict[str, Any]] | None = None
    """The best state and its metadata, on the host, until it is on the disk."""
    step: int = 0
    """Optimiser steps so far; the state may be gone by the time they are read off it."""
    faults: dict[int, str] = field(default_factory=dict)
    """Saved steps that can not be gone on from, and why."""
    trouble: Trouble = field(default_factory=Trouble)
    """What is made of steps that are not to be trusted."""
    behind: Behind = field(default_factory=Behind)
    """Where saves are written while training goes on."""

    def __post_init__(self) -> None:
        self.step = int(self.state.step)

    def advance(self, progress: Progress) -> dict[str, Any] | None:
        """Take in a chunk; return what was left out of it and why, if anything was.

        To roll a chunk back, the state before it must not have been given away. Raises Diverged at a step that is not
        to be trusted, unless it may be left out; nothing of it is ever saved.
        """
        fault, policy = self.trouble.find(progress.metrics), self.trouble.policy
        left_out, steps = None, len(progress.metrics["loss"].total)
        if fault is not None:
            self.trouble.lost += 1 if policy == "rollback" else fault.steps
            where = self.trouble.locate(self.position.epoch, self.position.batch + fault.first)
            step, epoch = self.step + fault.first + 1, self.position.epoch + 1
            words = f"{fault.words} at step {step} (epoch {epoch}){where and f'; {where}'}"
            if policy == "stop":
                raise self._diverged(words)
            if self.trouble.lost > self.trouble.limit:
                lost = f"{self.trouble.lost} {'chunks' if policy == 'rollback' else 'steps'}"
                raise self._diverged(f"{words}; {lost} of this epoch are lost, train.nan_limit={self.trouble.limit}")
            left_out = {"step": step, "epoch": epoch, "reason": words}
            left_out |= {"left_out": steps if policy == "rollback" else fault.steps, "policy": policy}
            self.folder.log("left_out", **left_out)
        self.position = progress.position
        self.step += steps
        if left_out is not None and policy == "rollback":
            assert progress.state is not None
            self.state = self.state._replace(step=progress.state.step)
            return left_out
        if progress.state is not None:
            self.state = progress.state
        for name, mean in progress.metrics.items():
            old = self.sums.get(name, [0.0, 0.0])
            self.sums[name] = [old[0] + math.fsum(mean.total.tolist()), old[1] + math.fsum(mean.count.tolist())]
        return left_out

    def means(self) -> dict[str, float]:
        """Return the means of the epoch so far; NaN where all of it was left out."""
        sums = {"loss": (0.0, 0.0), "grad_norm": (0.0, 0.0), **self.sums}
        return {name: total / count if count else math.nan for name, (total, count) in sums.items()}

    def end_epoch(self, value: float | None, course: Mapping[str, Any] | None = None) -> bool:
        """Take in a validation value (None: there is none); return whether it is the best so far.

        `course` holds the settings by which the host lowers the rate, None when it does not.
        """
        self.sums, self.trouble.lost = {}, 0
        if value is None:
            return False
        if not math.isfinite(value):
            where = f"step {self.step} (epoch {self.position.epoch})"
            raise self._diverged(f"the validation loss is not finite at {where}")
        self.stopping = self.stopping.update(value, epoch=self.position.epoch, step=self.step)
        better = self.stopping.best_step == self.step
        if course is not None:
            before, self.plateau = self.plateau, self.plateau.update(value, **course)
            if self.plateau.scale != before.scale:
                self.state = self.state._replace(opt_state=with_scale(self.state.opt_state, self.plateau.scale))
        if better:
            self.best = (on_host(self.state), self.metadata())
        return better

    @property
    def best_step(self) -> int:
        """The step whose weights the run ends with."""
        return self.stopping.best_step or self.step

    def take_best(self) -> None:
        """Take up the step whose weights the run ends with; it has been saved."""
        if self.best_step != self.step:
            self.state = restore_checkpoint(self.folder.checkpoints / str(self.best_step), self.state)

    def metadata(self) -> dict[str, Any]:
        """Return what a checkpoint carries beside its arrays."""
        return {
            **self.facts,
            "position": list(self.position),
            "stopping": [_number(self.stopping.best), *self.stopping[1:]],
            "plateau": [_number(self.plateau.best), *self.plateau[1:]],
            "sums": dict(self.sums),  # a copy: it is saved later, perhaps while the next chunk is added up
            "trouble": self.trouble.to_json(),
        }

    def save(self) -> int:
        """Write the best step, then this one, then drop what is neither best nor among the newest; return this one.

        Raises Diverged instead when a parameter is not finite.
        """
        self.write()
        self.drop()
        return self.step

    def save_behind(self) -> int | None:
        """Begin to save, and go on; return the step that was still on its way, which is waited for.

        Raises as `save` does, for that step too.
        """
        taken = self._take()

        def work() -> int:
            self._commit(taken)
            self._drop(taken.step, taken.best_step)
            return taken.step

        return self.behind.begin(work)

    def write(self) -> None:
        """Write the best step, then this one. Raises Diverged instead when a parameter is not finite."""
        taken = self._take()
        self.behind.wait()
        self._commit(taken)

    def drop(self) -> None:
        """Drop the steps that are neither best nor among the newest, nor pinned."""
        self._drop(self.step, self.best_step)

    def _take(self) -> Snapshot:
        """Return the session as it is to be saved; its best is then no longer its own."""
        if not _finite(self.state.params):
            raise self._diverged(f"a parameter is not finite at step {self.step}")
        best, self.best = self.best, None
        return Snapshot(self.step, self.position.epoch, on_host(self.state), self.metadata(), self.best_step, best)

    def _commit(self, taken: Snapshot) -> None:
        began = time.monotonic()
        self.folder.sync("metrics.jsonl")
        self._commit_best(taken.best)
        self._save(taken.step, taken.state, taken.metadata)
        self.folder.status(epochs=taken.epochs, steps=taken.step, saved=taken.step)
        LOGGER.debug("saved step %d of %s in %.3f s", taken.step, self.folder.path, time.monotonic() - began)

    def _commit_best(self, best: tuple[TrainState, dict[str, Any]] | None) -> None:
        """Write the best state when it is not on the disk yet."""
        if best is not None:
            state, metadata = best
            self._save(int(state.step), state, metadata)
            self.folder.status(saved=int(state.step))

    def _save(self, step: int, state: TrainState, metadata: Mapping[str, Any]) -> None:
        """Write a step: process 0 alone, where it has all of the state."""
        if group().writer or is_apart(state):
            save_checkpoint(self.folder.checkpoints, step, with_key(state), metadata)

    def _drop(self, step: int, best_step: int) -> None:
        if not group().writer:
            return
        newest = [found for found in saved_steps(self.folder.checkpoints) if found <= step][-KEEP_LAST:]
        retain(self.folder.checkpoints, {*newest, best_step, *self.folder.pinned()})

    def _diverged(self, message: str) -> Diverged:
        """Return the error, once what was best is safe."""
        self.behind.wait()
        self._commit_best(self.best)
        self.best = None
        steps = saved_steps(self.folder.checkpoints)
        kept = f"the weights of step {self.stopping.best_step or steps[-1]} are whole" if steps else "nothing was saved"
        return Diverged(
            message,
            hint=f"a lower rate or stricter clipping is the usual cure, or train.on_nan=skip for bad batches; {kept}",
            attempt="gymjax train ... optim.lr=1e-4 train.clip=0.5",
        )

    def mend(self) -> None:
        """Delete what a save that was cut short has left, and set damaged steps aside. The lock must be held."""
        for step, (fault, aside) in mend(self.folder.checkpoints).items():
            self.folder.log("damaged", step=step, fault=fault, moved=aside.name)
            self.faults[step] = fault

    def restore(self, limit: int | None = None) -> bool:
        """Take up the newest whole checkpoint, if there is one, and cut metrics.jsonl back to it.

        `limit` is its last step. Raises CheckpointError when the run was saved before but none of it can be read.
        """
        with together("mend"):
            step = self._choose(limit) if group().writer else None
        step = broadcast("step", step)
        if step is not None:
            path = self.folder.checkpoints / str(step)
            metadata = read_metadata(path)
            self.state = restore_checkpoint(path, self.state)
            self.step = step
            self.position = Position(*metadata["position"])
            self.stopping = read_stopping(metadata)
            self.plateau = read_plateau(metadata)
            self.sums = metadata["sums"]
            self.trouble.take_up(metadata.get("trouble", {}))
            LOGGER.debug("took up step %d of %s at %s", step, self.folder.path, self.position)
        lines = self.folder.read_lines("metrics.jsonl")
        if lines or (self.folder.path / "metrics.jsonl").exists():
            self.folder.rewrite_lines("metrics.jsonl", [line for line in lines if line["step"] <= self.step])
        return step is not None

    def _choose(self, limit: int | None) -> int | None:
        """Set damaged steps aside; return the newest that the run can go on from, None when it was never saved."""
        self.mend()
        found = saved_steps(self.folder.checkpoints)
        steps = [step for step in found if limit is None or step <= limit]
        step = next((step for step in reversed(steps) if self._is_whole(step, steps)), None)
        if step is None and (self.faults or (not found and self.folder.read_json("status.json").get("saved"))):
            told = "; ".join(f"step {step}: {fault}" for step, fault in sorted(self.faults.items(), reverse=True))
            raise CheckpointError(
                f"no checkpoint of {self.folder.path} can be read, although it was saved before{told and f' ({told})'}",
                hint="its checkpoints were moved or damaged; a run never starts again at zero by itself",
                attempt=f"ls {self.folder.checkpoints}",
            )
        return step

    def _is_whole(self, step: int, steps: Sequence[int]) -> bool:
        """Return whether the run can go on from a step: with its best so far. Raises on one of a later version."""
        path = self.folder.checkpoints / str(step)
        metadata = read_metadata(path)
        if not readable(metadata.get("schema")) or metadata["schema"] > SCHEMA_VERSION:
            raise CheckpointError(
                f"checkpoint {path} has schema {metadata.get('schema')}, this version reads up to {SCHEMA_VERSION}",
                hint="it was written by a later version of gym_jax",
                attempt="pip install --upgrade gym-jax",
            )
        best = read_stopping(metadata).best_step
        if best in (0, *steps):
            return True
        self.faults[step] = f"the best step before it, {best}, is gone"
        return False


@jax.jit
def _finite(params: Any) -> Any:
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(params)] or [jnp.array(True)]).all()


def _number(value: float) -> float | None:
    return None if math.isinf(value) else value
