"""From the first chunk to the last: train, validate, note, save, stop; the loop of a run."""

import contextlib
import functools
import math
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from gym_jax.data.ahead import ahead
from gym_jax.data.order import sequential, shuffled
from gym_jax.metrics import plain
from gym_jax.run.assemble import build_loss, build_optimiser, host_course, step_settings
from gym_jax.run.folder import RunFolder
from gym_jax.run.pace import Pace, Rates
from gym_jax.run.placement import with_layout
from gym_jax.run.plan import Plan
from gym_jax.run.session import Session
from gym_jax.run.start import keep_settings, unnamed
from gym_jax.train.copies import refuse_unlike
from gym_jax.train.loop import Portion, Position, Progress, resident, train_portions
from gym_jax.train.parallel import Epoch, Order, make_epoch, make_evaluation
from gym_jax.train.processes import group
from gym_jax.train.profile import profiled
from gym_jax.train.race import AGREE, AGREE_ROUNDED, Won, race, record_gradients
from gym_jax.train.step import make_eval_step, make_train_step
from gym_jax.train.watchdog import beat
from gym_jax.types import Examples, Step, TrainState

Chunk = TypeVar("Chunk")
Judge = Callable[[int, float], bool]
"""`(epoch, validation loss)`: whether a run is given up there."""


class Event(NamedTuple):
    """What may be shown.

    `start`, `placement`, `chunk`, `epoch`, `member`, `left_out`, `saved`, `scored`; `tracker` when one has failed,
    `sent` when a finished run went to one.
    """

    kind: str
    facts: dict[str, Any]


def fit(
    plan: Plan,
    session: Session,
    tell: Callable[[Event], None],
    stop: Callable[[], int | None] | None,
    deadline: float,
    judge: Judge | None = None,
) -> int | None:
    """Train until the end, a stop or the time limit; return None, or the exit code to leave with after saving.

    Where the judge gives a run up, the code is 0.
    """
    config, run = plan.config, session.folder
    if session.stopping.exhausted(config.train.patience):
        return None
    tx, schedule = build_optimiser(config, plan.steps)
    loss = build_loss(config)
    skip = config.train.on_nan == "skip"
    step_for = functools.partial(make_train_step, plan.model, loss, tx, **step_settings(config), skip=skip)
    course = host_course(config)
    plan, epoch = settle_layout(plan, session, step_for, tell)
    validate = _validation(plan, loss)
    rates = Rates(schedule, plan.steps)
    pace = Pace(config, stop, deadline)
    mark, windows = time.monotonic(), 0

    def note_saved(step: int | None) -> None:
        if step is None:
            return
        if config.track.log_level == "debug":
            run.log("saved", step=step)
        tell(Event("saved", {"step": step}))

    chunks = -(-plan.steps // plan.chunk) * (config.train.epochs - session.position.epoch)
    profile = config.track.profile if group().writer else 0
    for progress in traced(_chunks(plan, session, epoch, pace.hold), run, profile, chunks):
        note_saved(session.behind.take())
        if left_out := session.advance(progress):
            tell(Event("left_out", left_out))
        if progress.state is not None and pace.compares:
            refuse_unlike(session.state, session.step)
        windows += progress.windows * (plan.stream.readers if plan.stream else 1)
        lr = rates.after(session.step) * session.plateau.scale
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
        if progress.epoch_done and judge and value is not None and judge(session.position.epoch, value):
            return 0
        if progress.epoch_done and session.stopping.exhausted(config.train.patience):
            run.log("early_stop", epoch=session.position.epoch, best_epoch=session.stopping.best_epoch)
            return None
        if progress.state is None:
            continue
        over = session.position.epoch == config.train.epochs
        if pace.code is not None and not over:
            return pace.code
        if not over and pace.due:
            note_saved(session.save_behind() if config.run.save_behind else session.save())
            pace.saved = time.monotonic()
    return None


def settle_layout(
    plan: Plan, session: Session, step_for: Callable[..., Step], tell: Callable[[Event], None]
) -> tuple[Plan, Epoch]:
    """Return the plan with the layout that won, and its compiled epoch; the run keeps the choice for when it resumes.

    The state of the session is moved there.
    """
    config, run = plan.config, session.folder
    if not plan.lanes:
        return plan, make_epoch(step_for, plan.layout)
    if plan.stream is None:
        order = shuffled(config.train.seed, session.position.epoch, len(plan.train), config.train.batch_size)
        won = hold_race(plan, run, step_for, session.state, order, tell)
    else:
        portion = next(plan.stream.portions(session.position, session.position.epoch + 1))
        won = hold_race(plan._replace(train=portion.examples), run, step_for, session.state, portion.order, tell)
    session.state = won.layout.replicate(session.state)
    plan = plan._replace(layout=won.layout, lanes=(), config=with_layout(config, won.layout))
    keep_settings(run, plan.config)
    session.facts = {**session.facts, "config": unnamed(plan.config).document()}
    return plan, won.epoch


def hold_race(
    plan: Plan,
    run: RunFolder,
    step_for: Callable[..., Step],
    state: TrainState,
    order: np.ndarray,
    tell: Callable[[Event], None],
    make: Callable[..., Any] | None = None,
) -> Won:
    """Race the plan's lanes over a chunk of the order; note, tell and return what came of it."""
    config, began = plan.config, time.monotonic()
    probe_for = functools.partial(
        make_train_step, plan.model, build_loss(config), record_gradients(), **step_settings(config)
    )
    tolerance = AGREE if config.train.compute_dtype == "float32" else AGREE_ROUNDED
    chunk = order[: plan.chunk]
    won = race(step_for, probe_for, state, plan.train, chunk, plan.lanes, make=make, tolerance=tolerance)
    facts = {**won.layout.names, "race": [lane.facts for lane in won.lanes]}
    run.write_json("choices.json", {**run.read_json("choices.json"), **facts})
    seconds = round(time.monotonic() - began, 3)
    run.log("placement", **facts, seconds=seconds)
    tell(Event("placement", {**facts, "seconds": seconds}))
    return won


def _chunks(plan: Plan, session: Session, epoch: Epoch, hold: Callable[[Position], bool]) -> Iterator[Progress]:
    """Yield the chunks from where the session stands; go on from its state when the host has changed that."""
    if plan.config.train.on_nan == "rollback":
        epoch = keeping(epoch)
    open_portions = _portions(plan)
    going = True
    while going:
        going, start = False, session.position
        with open_portions(start) as portions:
            for progress in train_portions(epoch, session.state, portions, chunk=plan.chunk, start=start, hold=hold):
                yield progress
                if progress.state is not None and session.state is not progress.state:
                    going = True
                    break


def _portions(plan: Plan) -> Callable[[Position], contextlib.AbstractContextManager[Iterator[Portion]]]:
    """Return a function of where to begin that opens what is left to train on, on the plan's devices."""
    train, stream = plan.config.train, plan.stream
    if stream is not None:

        def placed(start: Position) -> Iterator[Portion]:
            for portion in stream.portions(start, train.epochs):
                examples, rows = plan.layout.replicate(portion.examples), portion.order
                order = rows if stream.readers == 1 else plan.layout.beside(rows)
                yield portion._replace(examples=examples, order=order)

        return lambda start: ahead(placed(start))
    examples = plan.layout.replicate(plan.train)

    def order(number: int) -> Order:
        return shuffled(train.seed, number, len(plan.train), train.batch_size)

    return lambda start: contextlib.nullcontext(resident(examples, order, train.epochs, start))


def keeping(epoch: Epoch) -> Epoch:
    """Return an epoch that gives a copy of the state away, so that there is a way back."""
    return lambda state, examples, order: epoch(jax.tree.map(jnp.copy, state), examples, order)


def traced(chunks: Iterator[Chunk], run: RunFolder, count: int, left: int) -> Iterator[Chunk]:
    """Yield what `chunks` does, about `left` of them, and trace `count` of these into the run folder."""
    first = 1 if left > 1 else 0  # the first chunk compiles: it is traced only when it is the only one
    with contextlib.ExitStack() as trace:
        if count and first == 0:
            trace.enter_context(profiled(run.path / "profile"))
        for done, chunk in enumerate(chunks, 1):
            yield chunk
            if count and done == first:
                trace.enter_context(profiled(run.path / "profile"))
            elif done == first + count:
                trace.close()


def _validation(plan: Plan, loss: Any) -> Callable[[TrainState], float]:
    """Return the compiled validation: the mean loss over every window of the val part."""
    if not len(plan.val):
        return lambda state: math.nan
    train = plan.config.train
    judge = functools.partial(make_eval_step, plan.model, loss, shards=train.shards)
    program = make_evaluation(judge, plan.layout)
    most, batch_size = len(plan.val) if plan.stream is None else plan.stream.sizes["val"].windows, train.batch_size
    size = min(-(-most // batch_size), 3 * plan.chunk)

    def held(windows: Examples, count: int) -> tuple[Examples, Order]:
        order = sequential(count, batch_size)
        order = np.pad(order, ((0, -len(order) % size), (0, 0)), constant_values=-1)
        return plan.layout.replicate(windows), order

    parts = [held(plan.val, len(plan.val))] if plan.stream is None else []
    if plan.stream is not None and len(plan.stream.chunks["val"]) == 1:
        parts = [held(one.windows, one.count) for one in plan.stream.all_of("val")]

    def validate(state: TrainState) -> float:
        total = count = 0.0
        with contextlib.ExitStack() as open_:
            chunks = iter(parts)
            if plan.stream is not None and not parts:
                made = plan.stream.all_of("val")
                chunks = open_.enter_context(ahead(held(one.windows, one.count) for one in made))
            for examples, order in chunks:
                for begin in range(0, len(order), size):
                    loss = jax.device_get(program(state, examples, order[begin : begin + size])["loss"])
                    total, count = total + math.fsum(loss.total.tolist()), count + math.fsum(loss.count.tolist())
                    beat()
        return total / (count or 1)

    return validate
