"""How a run ends: done and scored, stopped and saved, or failed; its folder says so."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from gym_jax.errors import GymJaxError, Interrupted
from gym_jax.run.folder import RunFolder
from gym_jax.run.session import Session
from gym_jax.train.average import weights_of
from gym_jax.train.checkpoint import saved_steps


class Result(NamedTuple):
    """How a run ended. `status` is `done`, `complete` (it was done before) or `stopped`."""

    folder: Path
    status: str
    epochs: int
    steps: int
    best: dict[str, Any]
    scores: dict[str, Any]


@contextmanager
def watched(run: RunFolder) -> Iterator[None]:
    """Have the folder say why the block failed, unless it was interrupted."""
    try:
        yield
    except Interrupted:
        raise
    except BaseException as error:
        fail(run, error)
        raise


def fail(run: RunFolder, error: BaseException, **facts: Any) -> None:
    """Mark a run as failed."""
    code = error.exit_code if isinstance(error, GymJaxError) else 1
    run.status(status="failed", exit_code=code, reason=str(error) or type(error).__name__, **facts)
    run.log("failed", reason=str(error) or type(error).__name__)


def finish(session: Session, scores: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """Write the scores, if any, of a run whose state is the best; return what was best and the last step saved."""
    run, last, weights = session.folder, max(saved_steps(session.folder.checkpoints)), weights_of(session.state)
    best: dict[str, Any] = {"step": session.best_step, "epoch": session.stopping.best_epoch or session.position.epoch}
    if math.isfinite(session.stopping.best):
        best["val_loss"] = session.stopping.best
    if scores:
        run.write_json("scores.json", {"step": session.best_step, "weights": weights, **scores})
    run.status(status="done", epochs=session.position.epoch, steps=last, best=best, weights=weights)
    run.log("done", step=last)
    return best, last


def mark_stopped(run: RunFolder, epoch: int, step: int, code: int) -> None:
    """Mark an interrupted run that has just been saved."""
    run.status(status="stopped", epochs=epoch, steps=step, exit_code=code)
    run.log("stopped", step=step, exit_code=code)


def leave(run: RunFolder, epoch: int, step: int, code: int) -> Result:
    """Close an interrupted run that has just been saved. Raises Interrupted unless its time was simply up."""
    mark_stopped(run, epoch, step, code)
    if code:
        raise Interrupted(
            f"stopped by {'Ctrl-C' if code == 130 else 'SIGTERM'} and saved at step {step}",
            exit_code=code,
            hint=f"the run is in {run.path}",
            attempt=f"gymjax train --resume {run.path}",
        )
    return Result(run.path, "stopped", epoch, step, {}, {})
