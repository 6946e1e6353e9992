"""From the first chunk to the last: train, validate, note, save, stop; the loop of a run."""

import contextlib
import functools
import math
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from gym_jax.data.order import sequential, shuffled
from gym_jax.metrics import plain
from gym_jax.run.assemble import build_loss, build_optimiser, host_course, step_settings
from gym_jax.run.plan import Plan
from gym_jax.run.session import Session
from gym_jax.train.loop import Progress, train
from gym_jax.train.parallel import Epoch, make_epoch, make_evaluation
from gym_jax.train.profile import profiled
from gym_jax.train.step import make_eval_step, make_train_step
from gym_jax.types import TrainState


class Event(NamedTuple):
    """Something a caller may want to show: `start`, `chunk`, `epoch`, `saved`, `scored`."""

    kind: str
    facts: dict[str, Any]


def fit(
    plan: Plan,
    session: Session,
    tell: Callable[[Event], None],
    stop: Callable[[], int | None] | None,
    deadline: float,
) -> int | None:
    """Train until the end, a stop or the time limit; return None, or the exit code to leave with after saving."""
    config, run = plan.config, session.folder
    if session.stopping.exhausted(config.train.patience):
        return None
    tx, schedule = build_optimiser(config, plan.steps)
    loss = build_loss(config)
    step_for = functools.partial(make_train_step, plan.model, loss, tx, **step_settings(config))
    course = host_course(config)
    validate = _validation(plan, loss)
    saved = mark = time.monotonic()
    windows = 0
    for progress in _chunks(plan, session, make_epoch(step_for, plan.layout)):
        session.advance(progress)
        windows += progress.windows
        lr = float(schedule(session.step - 1)) * session.plateau.scale
        rate = {"step": session.step, "lr": lr, "loss": session.means()["loss"]}
        seconds = time.monotonic() - mark
        if progress.epoch_done:
            line = {"epoch": session.position.epoch, **rate, "grad_norm": session.means()["grad_norm"]}
            value = validate(session.state) if len(plan.val) else None
            if value is not None:
                line["val_loss"] = value
            best = session.end_epoch(value, course)
            run.append("metrics.jsonl", {key: plain(v) for key, v in line.items()})
            speed = {"seconds": round(seconds, 3), "windows_per_second": round(windows / max(seconds, 1e-9))}
            run.log("epoch", epoch=session.position.epoch, step=session.step, **speed)
            tell(Event("epoch", {**line, **speed, "best": best, "epochs": config.train.epochs}))
            mark, windows = time.monotonic(), 0
        else:
            speed = {"windows_per_second": round(windows / max(seconds, 1e-9))}
            place = {"epoch": session.position.epoch, "batch": session.position.batch, "batches": progress.batches}
            if config.track.log_level == "debug":
                run.log("chunk", **place, **{key: plain(v) for key, v in rate.items()}, **speed)
            tell(Event("chunk", {**place, **rate, **speed, "epochs": config.train.epochs}))
        if progress.epoch_done and session.stopping.exhausted(config.train.patience):
            run.log("early_stop", epoch=session.position.epoch, best_epoch=session.stopping.best_epoch)
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
            if config.track.log_level == "debug":
                run.log("saved", step=session.step)
            tell(Event("saved", {"step": session.step}))
    return None


def _chunks(plan: Plan, session: Session, epoch: Epoch) -> Iterator[Progress]:
    """Yield the chunks from where the session stands; go on from its state when the host has changed that."""
    config, examples = plan.config, plan.layout.replicate(plan.train)
    done, trace = 0, contextlib.ExitStack()
    left = (config.train.epochs - session.position.epoch) * -(-plan.steps // plan.chunk)
    first = 1 if left > 1 else 0  # the first chunk compiles: it is traced only when it is the only one
    with trace:
        if config.track.profile and first == 0:
            trace.enter_context(profiled(session.folder.path / "profile"))
        going = True
        while going:
            going = False
            for progress in train(
                epoch,
                session.state,
                examples,
                lambda number: shuffled(config.train.seed, number, len(plan.train), config.train.batch_size),
                epochs=config.train.epochs,
                chunk=plan.chunk,
                start=session.position,
            ):
                yield progress
                done += 1
                if config.track.profile and done == first:
                    trace.enter_context(profiled(session.folder.path / "profile"))
                elif done == first + config.track.profile:
                    trace.close()
                if session.state is not progress.state:
                    going = True
                    break


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
        return total / (count or 1)

    return validate
