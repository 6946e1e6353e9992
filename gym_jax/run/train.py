"""A training run from configuration to scores, in a folder of its own; interrupted runs go on bit by bit."""

import functools
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from gym_jax.config.schema import Config
from gym_jax.data.order import sequential, shuffled
from gym_jax.errors import CheckpointError, GymJaxError, Interrupted
from gym_jax.models.registry import MODELS
from gym_jax.run.assemble import build_loss, build_optimiser, fingerprint, reading, same_data
from gym_jax.run.environment import environment
from gym_jax.run.folder import SCHEMA_VERSION, RunFolder, create_run, list_runs
from gym_jax.run.load import read_config
from gym_jax.run.plan import Plan, columns, describe, fresh_state, plan_run
from gym_jax.run.scores import score_run, solve
from gym_jax.run.session import Session
from gym_jax.train.checkpoint import restore_checkpoint, saved_steps
from gym_jax.train.loop import train
from gym_jax.train.parallel import make_epoch, make_evaluation
from gym_jax.train.step import make_eval_step, make_train_step
from gym_jax.types import TrainState


class Event(NamedTuple):
    """Something a caller may want to show: `start`, `chunk`, `epoch`, `saved`, `scored`."""

    kind: str
    facts: dict[str, Any]


class Result(NamedTuple):
    """How a run ended. `status` is `done`, `complete` (it was done before) or `stopped`."""

    folder: Path
    status: str
    epochs: int
    steps: int
    best: dict[str, Any]
    scores: dict[str, Any]


def train_run(
    config: Config,
    *,
    folder: str | Path | None = None,
    watch: Callable[[Event], None] | None = None,
    stop: Callable[[], int | None] | None = None,
    max_seconds: float | None = None,
) -> Result:
    """Train in a new run folder (`folder`, or one under `run.root`) and score the best weights on the test part.

    `watch` is told what happens; `stop` is asked between chunks and answers with an exit code to save and leave with.
    """
    deadline = _deadline(max_seconds)
    plan = plan_run(config)
    run = create_run(config.run.root, label=config.model.kind, name=config.run.name, exact=folder)
    with run.lock():
        run.write_json("env.json", environment())
        run.write_json("data.json", {**columns(plan), **fingerprint(config)})
        run.write_json("choices.json", {"devices": len(plan.layout.devices), "chunk": plan.chunk})
        # last, because a folder with a config.yaml is a run
        run.write_config(unnamed(config).document(), "gymjax train --config THIS-FILE repeats the run")
        return _train(plan, run, watch, stop, deadline)


def resume_run(
    run: RunFolder,
    *,
    watch: Callable[[Event], None] | None = None,
    stop: Callable[[], int | None] | None = None,
    max_seconds: float | None = None,
) -> Result:
    """Go on with an interrupted run in place, to the bit as if it had not been interrupted.

    Raises CheckpointError when the data are no longer what they were.
    """
    deadline = _deadline(max_seconds)
    config = read_config(run)
    with run.lock():
        status = run.read_json("status.json")
        if status.get("status") == "done":
            return Result(
                run.path, "complete", status["epochs"], status["steps"], status["best"], run.read_json("scores.json")
            )
        if not same_data(run.read_json("data.json"), fingerprint(config)):
            raise CheckpointError(
                f"the data of {run.path} changed since the run began",
                hint="a run goes on only with the very data it began with; train anew on the new ones",
                attempt=f"gymjax train --config {run.path}/config.yaml",
                code="checkpoint.data_changed",
            )
        return _train(plan_run(config, run.read_json("choices.json")), run, watch, stop, deadline)


def find_resumable(config: Config, folder: str | Path | None = None) -> RunFolder | None:
    """Return the newest unfinished run of the very same settings under `run.root`; with `folder`, the run in it."""
    for run in reversed(list_runs(config.run.root) if folder is None else [RunFolder(folder)]):
        try:
            over = run.read_json("status.json").get("status") == "done" and folder is None
            if not over and read_config(run) == unnamed(config):
                return run
        except GymJaxError:  # a damaged run, or one of another version, is not this one
            continue
    return None


def unnamed(config: Config) -> Config:
    """Return the settings without the name of one run: what another run can repeat."""
    return config.model_copy(update={"run": config.run.model_copy(update={"name": None})})


def _train(
    plan: Plan,
    run: RunFolder,
    watch: Callable[[Event], None] | None,
    stop: Callable[[], int | None] | None,
    deadline: float,
) -> Result:
    config = plan.config
    tell = watch or (lambda event: None)
    facts = {"schema": SCHEMA_VERSION, "config": unnamed(config).document(), **columns(plan)}
    session = Session(run, facts, fresh_state(plan))
    resumed = session.restore()
    run.status(status="running", epochs=session.position.epoch, steps=session.step)
    run.log("resumed" if resumed else "started", step=session.step, epoch=session.position.epoch)
    try:
        tell(Event("start", {"folder": str(run.path), "resumed": resumed, "step": session.step, **describe(plan)}))
        if MODELS[config.model.kind].solve is not None:
            if not resumed:
                params = solve(config.model.kind, plan.model, reading(plan.model, plan.train))
                session.state = session.state._replace(params=params)
            stopped = None
        else:
            stopped = _loop(plan, session, tell, stop, deadline)
        session.save()
        if stopped is None and stop:  # it may have come during the last chunk: scoring can wait for a resume
            stopped = stop()
        if stopped is not None:
            return _leave(session, stopped)
        if session.stopping.best_step and session.stopping.best_step != session.step:
            session.state = restore_checkpoint(run.checkpoints / str(session.best_step), session.state)
        scores = score_run(config, plan.prepared, plan.model, jax.device_get(session.state.variables))
    except Interrupted:
        raise
    except BaseException as error:
        code = error.exit_code if isinstance(error, GymJaxError) else 1
        run.status(status="failed", exit_code=code, reason=str(error) or type(error).__name__)
        run.log("failed", reason=str(error) or type(error).__name__)
        raise
    last = max(saved_steps(run.checkpoints))
    best: dict[str, Any] = {"step": session.best_step, "epoch": session.stopping.best_epoch or session.position.epoch}
    if math.isfinite(session.stopping.best):
        best["val_loss"] = session.stopping.best
    run.write_json("scores.json", {"step": session.best_step, **scores})
    run.status(status="done", epochs=session.position.epoch, steps=last, best=best)
    run.log("done", step=last)
    early = MODELS[config.model.kind].solve is None and session.position.epoch < config.train.epochs
    ending = {"best": best, "stopped_early": early, "epoch": session.position.epoch, "epochs": config.train.epochs}
    tell(Event("scored", {**ending, "scores": scores}))
    return Result(run.path, "done", session.position.epoch, last, best, scores)


def _loop(
    plan: Plan,
    session: Session,
    tell: Callable[[Event], None],
    stop: Callable[[], int | None] | None,
    deadline: float,
) -> int | None:
    """Train until the end, a stop or the time limit; return None, or the exit code to leave with after saving."""
    config, layout = plan.config, plan.layout
    tx, schedule = build_optimiser(config, plan.steps)
    loss = build_loss(config)
    epoch = make_epoch(functools.partial(make_train_step, plan.model, loss, tx), layout)
    validate = _validation(plan, loss)
    examples = layout.replicate(plan.train)
    saved = mark = time.monotonic()
    windows = 0
    if session.stopping.exhausted(config.train.patience):
        return None
    steps = train(
        epoch,
        session.state,
        examples,
        lambda number: shuffled(config.train.seed, number, len(plan.train), config.train.batch_size),
        epochs=config.train.epochs,
        chunk=plan.chunk,
        start=session.position,
    )
    for progress in steps:
        session.advance(progress)
        windows += progress.windows
        rate = {"step": session.step, "lr": float(schedule(session.step - 1)), "loss": session.means()["loss"]}
        seconds = time.monotonic() - mark
        if progress.epoch_done:
            line = {"epoch": session.position.epoch, **rate, "grad_norm": session.means()["grad_norm"]}
            value = validate(session.state) if len(plan.val) else None
            if value is not None:
                line["val_loss"] = value
            best = session.end_epoch(value)
            session.folder.append("metrics.jsonl", {key: _finite(v) for key, v in line.items()})
            speed = {"seconds": round(seconds, 3), "windows_per_second": round(windows / max(seconds, 1e-9))}
            session.folder.log("epoch", epoch=session.position.epoch, step=session.step, **speed)
            tell(Event("epoch", {**line, **speed, "best": best, "epochs": config.train.epochs}))
            mark, windows = time.monotonic(), 0
        else:
            speed = {"windows_per_second": round(windows / max(seconds, 1e-9))}
            place = {"epoch": session.position.epoch, "batch": session.position.batch, "batches": progress.batches}
            tell(Event("chunk", {**place, **rate, **speed, "epochs": config.train.epochs}))
        if progress.epoch_done and session.stopping.exhausted(config.train.patience):
            session.folder.log("early_stop", epoch=session.position.epoch, best_epoch=session.stopping.best_epoch)
            return None
        code = stop() if stop else None
        if code is None and time.monotonic() >= deadline:
            code = 0
        over = session.position.epoch == config.train.epochs
        if code is not None and not over:
            return code
        if not over and time.monotonic() - saved >= config.run.save_seconds:
            session.save()
            saved = time.monotonic()
            tell(Event("saved", {"step": session.step}))
    return None


def _leave(session: Session, code: int) -> Result:
    """Close an interrupted run that has just been saved. Raises Interrupted unless its time was simply up."""
    run = session.folder
    run.status(status="stopped", epochs=session.position.epoch, steps=session.step, exit_code=code)
    run.log("stopped", step=session.step, exit_code=code)
    if code:
        raise Interrupted(
            f"stopped by {'Ctrl-C' if code == 130 else 'SIGTERM'} and saved at step {session.step}",
            exit_code=code,
            hint=f"the run is in {run.path}",
            attempt=f"gymjax train --resume {run.path}",
        )
    return Result(run.path, "stopped", session.position.epoch, session.step, {}, {})


def _validation(plan: Plan, loss: Any) -> Callable[[TrainState], float]:
    """Return the compiled validation: the mean loss over every window of the val part."""
    if not len(plan.val):
        return lambda state: math.nan
    program = make_evaluation(functools.partial(make_eval_step, plan.model, loss), plan.layout)
    examples = plan.layout.replicate(plan.val)
    order = sequential(len(plan.val), plan.config.train.batch_size)
    size = min(len(order), 3 * plan.chunk)
    order = np.pad(order, ((0, -len(order) % size), (0, 0)), constant_values=-1)

    def validate(state: TrainState) -> float:
        total = count = 0.0
        for begin in range(0, len(order), size):
            loss = jax.device_get(program(state, examples, order[begin : begin + size])["loss"])
            total, count = total + math.fsum(loss.total.tolist()), count + math.fsum(loss.count.tolist())
        return total / max(count, 1)

    return validate


def _deadline(seconds: float | None) -> float:
    return math.inf if seconds is None else time.monotonic() + seconds


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
