"""The loop of a group: its members trained in one program, each with its own order, early stop, best and schedule."""

import functools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from gym_jax.data.order import sequential
from gym_jax.errors import Diverged
from gym_jax.metrics import plain
from gym_jax.run.assemble import build_loss, host_course
from gym_jax.run.fit import Event, hold_race, traced
from gym_jax.run.folder import RunFolder
from gym_jax.run.members import Member, save_together, training
from gym_jax.run.own import own_keys, own_schedule, own_settings, own_step
from gym_jax.run.pace import Pace, Rates
from gym_jax.run.plan import Plan
from gym_jax.run.seats import Seats, seat
from gym_jax.train.loop import Position, Progress, train
from gym_jax.train.many import ManyEpoch, Pack, make_many_epoch, make_many_evaluation
from gym_jax.train.step import make_eval_step
from gym_jax.train.watchdog import beat
from gym_jax.types import Step, TrainState

Tell = Callable[[Event], None]
GroupJudge = Callable[[Member, int, float], bool]
"""`(member, epoch, validation loss)`: whether a member is given up there; its weights are not kept."""


def fit_group(
    plan: Plan,
    run: RunFolder,
    members: Sequence[Member],
    tell: Tell,
    stop: Callable[[], int | None] | None,
    deadline: float,
    judge: GroupJudge | None = None,
) -> int | None:
    """Train until no member is left, a stop or the time limit.

    Returns None, or the exit code to leave with after saving. Members leave at the end of an epoch, also where the
    judge gives them up; one that diverges within it is no longer looked at.
    """
    config, seeds = plan.config, len(members)
    if not training(members):
        return None
    names, configs = [member.who for member in members], [member.config for member in members]
    keys = own_keys(configs)
    step_for = functools.partial(own_step, plan)
    pack, epoch = settle_pack(plan, run, members, step_for, tell)
    validate = _validation(plan, pack, build_loss(config))
    rates = Rates(own_schedule(plan, own_settings(configs, keys)), plan.steps)
    pace = Pace(config, stop, deadline)
    mark, windows = time.monotonic(), 0

    begun = training(members)[0].session.position.epoch
    count = -(-plan.steps // plan.chunk) * (config.train.epochs - begun)
    chunks = _chunks(plan, members, pack, epoch, keys, pace.hold)
    for progress, seats in traced(chunks, run, config.track.profile, count):
        for owner, part in seats.deal(progress, plan.layout):
            try:
                if left_out := owner.session.advance(part):
                    tell(Event("left_out", {**owner.named, **left_out}))
            except Diverged as error:
                owner.lose(error, owner.session.position.epoch + 1)
                _tell_lost(owner, run, tell)
            windows += part.windows
        if not (live := training(members)):
            return None
        position, step = progress.position, live[0].session.step
        lr = dict(zip(names, np.broadcast_to(rates.after(step), len(names)).tolist(), strict=True))
        seconds = time.monotonic() - mark
        speed: dict[str, float] = {"windows_per_second": round(windows / max(seconds, 1e-9))}
        if progress.epoch_done:
            speed["seconds"] = round(seconds, 3)
            rolled = config.train.on_nan == "rollback" and seats.stale
            states = pack.place(seats.states()) if rolled else progress.state
            values = validate(states) if len(plan.val) else None
            better = [
                _end_epoch(owner, value, lr[owner.who], run, tell, judge)
                for owner, value in seats.judged(values)
                if owner.left is None
            ]
            live = training(members)
            known = {owner.who[1]: owner.lines[position.epoch] for owner in members if position.epoch in owner.lines}
            if known:
                line = _mean_line(list(known.values()))
                run.append("metrics.jsonl", line)
                run.log("epoch", epoch=position.epoch, step=step, **speed)
                crew = {"training": len(live), "seeds": seeds, "best": any(better), "per_seed": known}
                tell(Event("epoch", {**line, **speed, **crew, "epochs": config.train.epochs}))
            mark, windows = time.monotonic(), 0
        else:
            rate = {"step": step, "lr": _mean([lr[m.who] * m.session.plateau.scale for m in live])}
            rate["loss"] = _mean([m.session.means()["loss"] for m in live])
            place = {"epoch": position.epoch, "batch": position.batch, "batches": progress.batches}
            if config.track.log_level == "debug":
                run.log("chunk", **place, **{key: plain(v) for key, v in rate.items()}, **speed)
            tell(Event("chunk", {**place, **rate, **speed, "epochs": config.train.epochs}))
        if progress.state is None or not live:
            continue
        over = position.epoch == config.train.epochs
        if pace.code is not None and not over:
            return pace.code
        if not over and pace.due:
            save_together(run, live)
            for owner in live:
                if owner.fault is not None:
                    _tell_lost(owner, run, tell)
            pace.saved = time.monotonic()
            if config.track.log_level == "debug":
                run.log("saved", step=step)
            tell(Event("saved", {"step": step}))
    return None


def settle_pack(
    plan: Plan, run: RunFolder, members: Sequence[Member], step_for: Callable[..., Step], tell: Tell
) -> tuple[Pack, ManyEpoch]:
    """Return the pack that won and its compiled epoch; the run keeps the choice for when it resumes."""
    assert plan.pack is not None
    if not plan.lanes:
        return plan.pack, make_many_epoch(step_for, plan.pack)
    seats = seat(members, plan.pack)
    order = seats.orders(plan, training(members)[0].session.position.epoch)
    won = hold_race(plan, run, step_for, seats.states(), order, tell, make=make_many_epoch)
    return won.layout, won.epoch


def _chunks(
    plan: Plan,
    members: Sequence[Member],
    pack: Pack,
    epoch: ManyEpoch,
    keys: Sequence[str],
    hold: Callable[[Position], bool],
) -> Iterator[tuple[Progress, Seats]]:
    """Yield the chunks from where the members stand; go on with fewer columns when some have left after an epoch.

    `keys` are the settings that each member has of its own.
    """
    examples = pack.replicate(plan.train)
    epochs, rolls = plan.config.train.epochs, plan.config.train.on_nan == "rollback"
    while (live := training(members)) and live[0].session.position.epoch < epochs:
        seats = seat(members, pack)
        own = own_settings([owner.config for owner in seats.filled], keys)
        for progress in train(
            epoch if own is None else functools.partial(epoch, settings=pack.place(own)),
            pack.place(seats.states()),
            examples,
            functools.partial(seats.orders, plan),
            epochs=epochs,
            chunk=plan.chunk,
            start=live[0].session.position,
            hold=hold,
        ):
            yield progress, seats
            if (progress.epoch_done or rolls) and seats.stale:
                break


def _end_epoch(
    owner: Member, value: float | None, rate: float, run: RunFolder, tell: Tell, judge: GroupJudge | None
) -> bool:
    """End an epoch of one member: note it, and let the member go when its time is up. Return whether it is its best."""
    config, session, epoch = owner.config, owner.session, owner.session.position.epoch
    means = session.means()
    line = {"epoch": epoch, "step": session.step, "lr": rate * session.plateau.scale, "loss": means["loss"]}
    line["grad_norm"] = means["grad_norm"]
    if value is not None:
        line["val_loss"] = value
    try:
        best = session.end_epoch(value, host_course(config))
    except Diverged as error:
        owner.lose(error, epoch)
        _tell_lost(owner, run, tell)
        return False
    owner.lines = {epoch: {key: plain(v) for key, v in line.items()}}
    owner.folder.append("metrics.jsonl", owner.lines[epoch])
    if judge is not None and value is not None and judge(owner, epoch, value):
        owner.left = epoch
    elif session.stopping.exhausted(config.train.patience):
        owner.finish()
        if owner.fault is not None:
            _tell_lost(owner, run, tell)
        elif epoch < config.train.epochs:
            facts = {**owner.named, "epoch": epoch, "best_epoch": session.stopping.best_epoch}
            owner.folder.log("early_stop", epoch=epoch, best_epoch=session.stopping.best_epoch)
            run.log("early_stop", **facts)
            tell(Event("member", {**facts, "val_loss": session.stopping.best}))
    return best


def _tell_lost(owner: Member, run: RunFolder, tell: Tell) -> None:
    facts = {**owner.named, "reason": str(owner.fault)}
    run.log("lost", **facts)
    tell(Event("member", facts))


def _mean_line(lines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the line of the group: the means over the members that ended the epoch, and how many these are."""
    exact = {key: lines[0][key] for key in ("epoch", "step")}
    means = {key: _mean([line[key] for line in lines]) for key in lines[0] if key not in exact}
    return {**exact, **means, "members": len(lines)}


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _validation(plan: Plan, pack: Pack, loss: Any) -> Callable[[Any], np.ndarray]:
    """Return the compiled validation: of every column the mean loss over every window of the val part."""
    if not len(plan.val):
        return lambda states: np.zeros(0)
    judge = functools.partial(make_eval_step, plan.model, loss, shards=plan.config.train.shards)
    program = make_many_evaluation(judge, pack)
    examples = pack.replicate(plan.val)
    order = sequential(len(plan.val), plan.config.train.batch_size)
    size = min(len(order), 3 * plan.chunk)
    order = np.pad(order, ((0, -len(order) % size), (0, 0)), constant_values=-1)

    def validate(states: TrainState) -> np.ndarray:
        total = count = np.zeros(())
        for begin in range(0, len(order), size):
            loss = jax.device_get(program(states, examples, order[begin : begin + size])["loss"])
            total, count = total + _sums(loss.total), count + _sums(loss.count)
            beat()
        return total / np.where(count > 0, count, 1)

    return validate


def _sums(values: np.ndarray) -> np.ndarray:
    """Return the exact sum of every column."""
    return np.array([math.fsum(column) for column in values.T.tolist()])
