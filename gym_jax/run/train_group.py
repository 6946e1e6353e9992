"""A group of seeds from a plan to scores: its members trained together, scored one by one and as their mean."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import jax

from gym_jax.data.split import Part
from gym_jax.errors import Diverged
from gym_jax.run.ending import Result, finish, leave, mark_stopped, watched
from gym_jax.run.fit import Event
from gym_jax.run.fit_group import Tell, fit_group
from gym_jax.run.folder import RunFolder
from gym_jax.run.group import note_of
from gym_jax.run.members import Member, crew_of, make_folders, open_members, save_together, training
from gym_jax.run.peers import guard
from gym_jax.run.plan import Plan, describe
from gym_jax.run.scores import GroupScores
from gym_jax.run.task import task_of
from gym_jax.train.average import evaluation_variables, weights_of


def train_group(
    plan: Plan,
    run: RunFolder,
    tell: Tell,
    stop: Callable[[], int | None] | None,
    deadline: float,
    part: Part | None = "test",
) -> Result:
    """Train the members of a group to the end, or on from where they were saved, and score them on `part`, if any.

    Raises Diverged when every member has, Interrupted when a signal stopped them after they were saved.
    """
    crew = crew_of(plan, run)
    make_folders(plan, run, crew)
    with ExitStack() as locks:
        for _, folder in crew.values():
            locks.enter_context(folder.lock())
        members, resumed = open_members(plan, run, crew)
        return _train(plan, run, members, resumed, tell, stop, deadline, part)


def _train(
    plan: Plan,
    run: RunFolder,
    members: Sequence[Member],
    resumed: bool,
    tell: Tell,
    stop: Callable[[], int | None] | None,
    deadline: float,
    part: Part | None,
) -> Result:
    step = begin(run, members, resumed)
    with watched(run):
        place = {"folder": str(run.path), "resumed": resumed, "step": step}
        damaged = {step: fault for member in members for step, fault in member.session.faults.items()}
        tell(Event("start", {**place, "damaged": damaged, **describe(plan)}))
        with guard(plan.config, run, lambda: stand(members)[1], tell):
            stopped = fit_group(plan, run, members, tell, stop, deadline)
        if stopped is None:
            for member in training(members):
                member.finish()
            stopped = stop() if stop else None  # it may have come during the last chunk: scoring can wait for a resume
        else:
            save_together(run, training(members))
        sound = [member for member in members if member.fault is None]
        if not sound:
            raise _all_lost(members)
        if stopped is not None:
            for member in sound:
                mark_stopped(member.folder, member.session.position.epoch, member.session.step, stopped)
            return leave(run, *stand(members), stopped)
        scores = _score(plan, sound, part)
    return _finish(plan, run, members, sound, scores, tell)


def _finish(
    plan: Plan, run: RunFolder, members: Sequence[Member], sound: Sequence[Member], scores: GroupScores, tell: Tell
) -> Result:
    """Write down how the members and the group ended."""
    config = plan.config
    lost = [member.seed for member in members if member.fault is not None]
    if scores.group:
        scores.group["notes"] += note_of(lost, len(members))
    bests = {member.seed: finish(member.session, scores.members[member.seed])[0] for member in sound}
    best = _best(bests)
    weights, (epoch, step) = weights_of(sound[0].session.state), stand(sound)
    if scores.group:
        run.write_json("scores.json", {"weights": weights, **scores.group})
    run.status(status="done", epochs=epoch, steps=step, best=best, weights=weights)
    run.log("done", step=step)
    early = sum(member.session.position.epoch < config.train.epochs for member in sound)
    ending = {"best": best, "stopped_early": early, "lost": lost, "seeds": len(members)}
    ending |= {"epoch": epoch, "epochs": config.train.epochs}
    tell(Event("scored", {**ending, "scores": scores.group}))
    return Result(run.path, "done", epoch, step, best, scores.group)


def begin(run: RunFolder, members: Sequence[Member], resumed: bool) -> int:
    """Note that members begin to train, or go on; return the step at which they stand."""
    epoch, step = stand(members)
    for folder in (run, *(member.folder for member in training(members))):
        folder.status(status="running", epochs=epoch, steps=step)
        folder.log("resumed" if resumed else "started", step=step, epoch=epoch)
    return step


def _score(plan: Plan, sound: Sequence[Member], part: Part | None) -> GroupScores:
    """Return the scores of the members at their best steps, and of their mean; empty ones where none are asked."""
    for member in sound:
        member.session.take_best()
    if part is None:
        return GroupScores({}, {member.seed: {} for member in sound})
    variables = {member.seed: jax.device_get(evaluation_variables(member.session.state)) for member in sound}
    return task_of(plan.config).score(plan.config, plan.prepared, plan.model, variables, part)


def _best(bests: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """Return what is best of the best member, its seed, and the mean of all; of the first where none was validated."""
    losses = {seed: best["val_loss"] for seed, best in bests.items() if "val_loss" in best}
    seed = min(losses, key=losses.__getitem__) if losses else min(bests)
    mean = {"mean_val_loss": sum(losses.values()) / len(losses)} if losses else {}
    return {"seed": seed, **bests[seed], **mean}


def stand(members: Sequence[Member]) -> tuple[int, int]:
    """Return the epochs and steps of the member that has come farthest among those that were not lost."""
    sessions = [member.session for member in members if member.fault is None]
    return max((s.position.epoch for s in sessions), default=0), max((s.step for s in sessions), default=0)


def _all_lost(members: Sequence[Member]) -> Diverged:
    last = members[-1].fault
    return Diverged(
        f"all {len(members)} members diverged, of the last {last}",
        hint="a lower learning rate or stricter clipping is the usual cure; nothing is left to score",
        attempt="gymjax train ... optim.lr=1e-4 train.clip=0.5",
    )
