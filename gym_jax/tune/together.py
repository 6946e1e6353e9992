"""Alike trials trained in one program, each in a run folder of its own, with its own numbers, order and end."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

import jax

from gym_jax.config.schema import Config
from gym_jax.errors import CheckpointError
from gym_jax.models.registry import MODELS
from gym_jax.run.assemble import fingerprint, same_data
from gym_jax.run.drift import keep_profile
from gym_jax.run.ending import finish, leave, mark_stopped, watched
from gym_jax.run.environment import environment, plugins_of
from gym_jax.run.fit import Event
from gym_jax.run.fit_group import fit_group
from gym_jax.run.folder import RunFolder, now
from gym_jax.run.members import Member, make_folders, open_members, save_together, training
from gym_jax.run.plan import Plan, columns, describe, plan_run
from gym_jax.run.task import task_of
from gym_jax.run.train_group import begin, stand
from gym_jax.train.average import evaluation_variables
from gym_jax.tune.trial import Outcome, Way, ended_before, give_up, outcome, replay

TrialJudge = Callable[[int, int, float], bool]
"""`(trial, epoch, validation loss)`: whether a trial is given up there."""


def shares(config: Config) -> bool:
    """Return whether a configuration may be trained in one program with others: a single model, placed by nobody."""
    train = config.train
    alone = (
        config.data.memory is not None
        or train.seeds > 1
        or train.placement != "auto"
        or train.shards is not None
        or config.run.parent is not None
    )
    return not alone and MODELS[config.model.kind].solve is None


def run_together(
    trials: Mapping[int, tuple[Config, Path]], place: Path, way: Way, judge: TrialJudge | None = None
) -> dict[int, Outcome]:
    """Train alike trials by their numbers, or go on with them; `place` keeps what they have in common.

    Each member's numbers are those of its single run, but for rounding. Which packing is taken follows from the sizes
    alone, without a race, so that trials repeat. Raises Interrupted when a signal came, after all were saved.
    """
    crew = {("trial", number): (config, RunFolder(folder)) for number, (config, folder) in trials.items()}
    plan, run = _plan([config for config, _ in crew.values()], RunFolder(place))
    with run.lock(), ExitStack() as locks:
        make_folders(plan, run, crew)
        for _, folder in crew.values():
            locks.enter_context(folder.lock())
        given_up: dict[int, tuple[int, float]] = {}
        for (_, number), (_, folder) in crew.items():
            if (ended := ended_before(folder)) and ended.state == "pruned" and ended.value is not None:
                given_up[number] = ended.epochs, ended.value
            elif judge and (seen := replay(folder, lambda *facts, of=number: judge(of, *facts))):
                given_up[number] = seen

        def judged(member: Member, epoch: int, value: float) -> bool:
            number = member.who[1]
            if judge is None or not judge(number, epoch, value):
                return False
            given_up[number] = epoch, value
            return True

        members, resumed = open_members(plan, run, crew, {("trial", n): epoch for n, (epoch, _) in given_up.items()})
        step = begin(run, members, resumed)
        with watched(run):
            way.tell(Event("start", {"folder": str(run.path), "resumed": resumed, "step": step, **describe(plan)}))
            stopped = fit_group(plan, run, members, way.tell, way.stop, way.deadline, judged)
            if stopped is None:
                for member in training(members):
                    member.finish()
                stopped = way.stop() if way.stop else None
            else:
                save_together(run, training(members))
            sound = [member for member in members if member.fault is None and member.who[1] not in given_up]
            if stopped is not None:
                for member in sound:
                    mark_stopped(member.folder, member.session.position.epoch, member.session.step, stopped)
                leave(run, *stand(members), stopped)
                return {number: Outcome("stopped") for number in trials}
            found = _finish(plan, sound, way)
        run.status(status="done")
    for member in members:
        number = member.who[1]
        if number in given_up:
            found[number] = give_up(member.folder, *given_up[number])
        elif member.fault is not None:
            found[number] = Outcome("diverged", epochs=member.left or 0, reason=str(member.fault))
    return found


def _plan(configs: list[Config], run: RunFolder) -> tuple[Plan, RunFolder]:
    """Return the plan of all, and the folder that keeps it, made where it is not there yet."""
    first = configs[0]
    train = first.train.model_copy(update={"seeds": len(configs), "compile": "safe"})
    config = first.model_copy(update={"train": train})
    known = run.read_json("data.json")
    if known and not same_data(known, fingerprint(config)):
        raise CheckpointError(
            f"the data of {run.path} changed since its trials began",
            hint="a search goes on only with the very data it began with",
            attempt="gymjax tune ... --name ANOTHER",
            code="checkpoint.data_changed",
        )
    plan = plan_run(config, run.read_json("choices.json"))._replace(lanes=())
    if not known:
        with run._storage():
            run.path.mkdir(parents=True, exist_ok=True)
        run.write_json("env.json", {"began": now(), **environment(), "plugins": plugins_of(config)})
        run.write_json("choices.json", {"chunk": plan.chunk, **plan.place.names})
        run.write_json("data.json", {**columns(plan), **fingerprint(config)})
        keep_profile(run, plan.prepared)
    return plan, run


def _finish(plan: Plan, sound: list[Member], way: Way) -> dict[int, Outcome]:
    """Score the trials that came to their end, if they are to be, and say how they ended."""
    scores = {}
    if way.part is not None and sound:
        for member in sound:
            member.session.take_best()
        variables = {m.who[1]: jax.device_get(evaluation_variables(m.session.state)) for m in sound}
        config = plan.config
        scores = task_of(config).score(config, plan.prepared, plan.model, variables, way.part).members
    out = {}
    for member in sound:
        number, epochs = member.who[1], member.session.position.epoch
        best, _ = finish(member.session, scores.get(number, {}))
        out[number] = outcome(epochs, best, scores.get(number, {}), way.metric)
    return out
