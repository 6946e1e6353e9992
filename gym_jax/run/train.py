"""A training run from configuration to scores, in a folder of its own; interrupted runs go on bit by bit."""

import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from gym_jax.config.document import differences
from gym_jax.config.migrate import SCHEMA_VERSION
from gym_jax.config.schema import Config
from gym_jax.data.split import Part
from gym_jax.errors import CheckpointError, GymJaxError
from gym_jax.models.registry import MODELS
from gym_jax.run.assemble import build_optimiser, fingerprint, reading, same_data
from gym_jax.run.drift import keep_profile
from gym_jax.run.ending import Result, finish, leave, watched
from gym_jax.run.environment import environment, plugins_of
from gym_jax.run.fit import Event, Judge, fit
from gym_jax.run.folder import RunFolder, now
from gym_jax.run.load import read_config
from gym_jax.run.pace import agree_on_stop
from gym_jax.run.peers import guard, outlived_by_none, refuse_different
from gym_jax.run.plan import Plan, columns, describe, fresh_state, plan_run
from gym_jax.run.runs import create_run, free_path, list_runs
from gym_jax.run.score_stream import solve_stream
from gym_jax.run.scores import solve
from gym_jax.run.session import Session
from gym_jax.run.several import join_group
from gym_jax.run.start import (
    LENGTH,
    Start,
    find_start,
    keep_settings,
    pin_starts,
    refuse_changes,
    settle,
    unnamed,
)
from gym_jax.run.streamed import SURVEY, known_of
from gym_jax.run.task import task_of
from gym_jax.run.tracking import send_finished, tracked
from gym_jax.run.train_group import train_group
from gym_jax.run.trouble import trouble_of
from gym_jax.track import refuse_missing
from gym_jax.train.average import evaluation_variables, with_params
from gym_jax.train.checkpoint import saved_steps
from gym_jax.train.parallel import cpu_devices
from gym_jax.train.places import gathered_on_host
from gym_jax.train.processes import barrier, broadcast, group, together


def train_run(
    config: Config,
    *,
    folder: str | Path | None = None,
    watch: Callable[[Event], None] | None = None,
    stop: Callable[[], int | None] | None = None,
    max_seconds: float | None = None,
    part: Part | None = "test",
    judge: Judge | None = None,
) -> Result:
    """Train in a new run folder (`folder`, or one under `run.root`) and score the best weights on `part`, if any.

    `watch` is told what happens; `stop` is asked between chunks and answers with an exit code to save and leave with;
    `judge` is asked after every epoch of a single model, and ends it as the time limit of `max_seconds` does. Raises
    ConfigError on settings that do not go together, DataError, Diverged when the loss is lost, StorageError when the
    disk refuses, RunInUse, MissingExtra, and PeerError when another process of the run is gone.
    """
    deadline = _deadline(max_seconds)
    writer = join_group(config).writer
    refuse_different(config)
    with ExitStack() as held:
        with together("begin"):
            refuse_missing(config.track.to)
            free_path(config.run.root, name=config.run.name, exact=folder)
            config = settle(config)
            plan = plan_run(config)
            start = find_start(plan)
        with together("folder"):
            if writer:
                run = create_run(config.run.root, label=config.model.kind, name=config.run.name, exact=folder)
                held.enter_context(run.lock())
                free_path(config.run.root, exact=run.path)  # another process may have begun it meanwhile
        run = RunFolder(broadcast("path", str(run.path) if writer else None))
        if writer:
            run.write_json("env.json", {"began": now(), **environment(), "plugins": plugins_of(config)})
            run.write_json("data.json", {**columns(plan), **fingerprint(config)})
            keep_profile(run, plan.prepared)
            if plan.stream is not None:
                run.write_json(SURVEY, plan.stream.data.survey.to_json())
        readers = {} if plan.stream is None or plan.stream.readers == 1 else {"readers": plan.stream.readers}
        place = {} if plan.lanes else plan.place.names
        opened = len(cpu_devices(local=True))
        run.write_json("choices.json", {"chunk": plan.chunk, **place, **readers, "opened": opened})
        # last, because a folder with a config.yaml is a run
        keep_settings(run, config)
        pin_starts(config, run)
        with tracked(config, run, watch) as tell:
            if config.train.seeds > 1:
                return train_group(plan, run, tell, stop, deadline, part)
            return _train(plan, run, start, tell, stop, deadline, part, judge)


def resume_run(
    run: RunFolder,
    *,
    config: Config | None = None,
    watch: Callable[[Event], None] | None = None,
    stop: Callable[[], int | None] | None = None,
    max_seconds: float | None = None,
    part: Part | None = "test",
    judge: Judge | None = None,
) -> Result:
    """Go on with an interrupted run in place, to the bit as if it had not been interrupted.

    `config` may ask for more epochs, another patience, other baselines, other saving; a finished run that is made
    longer goes on as well. The other arguments and errors are those of `train_run`. Raises ConfigError on other
    changes, CheckpointError when the data changed or no checkpoint can be read.
    """
    deadline = _deadline(max_seconds)
    was = read_config(run)
    config = was if config is None else _as_settled(was, config)
    writer = join_group(config).writer
    refuse_different(config, run)
    with ExitStack() as held:
        with together("resume"):  # nothing is written before all have read
            refuse_changes(was, config, run)
            refuse_missing(config.track.to)
            held.enter_context(run.lock())
            status = run.read_json("status.json")
            longer = (config.train.epochs, config.train.patience) != (was.train.epochs, was.train.patience)
            done = status.get("status") == "done" and not longer
            plan = None if done else plan_resumed(run, config)
        if plan is None:
            if writer:
                send_finished(config, run, watch)
            return Result(
                run.path, "complete", status["epochs"], status["steps"], status["best"], run.read_json("scores.json")
            )
        if config.train.epochs != was.train.epochs and config.schedule.steps is None:
            length = config.schedule.model_copy(update={"steps": plan.steps * was.train.epochs})
            run.write_json("choices.json", {**run.read_json("choices.json"), LENGTH: length.steps})
            plan = plan._replace(config=config.model_copy(update={"schedule": length}))
        _note_move(plan, run)
        if unnamed(plan.config) != unnamed(was):
            keep_settings(run, plan.config)
            run.log("changed", settings=list(differences(was, plan.config)))
        with tracked(plan.config, run, watch) as tell:
            if config.train.seeds > 1:
                return train_group(plan, run, tell, stop, deadline, part)
            start = Start(fresh_state(plan)) if saved_steps(run.checkpoints) else find_start(plan)
            return _train(plan, run, start, tell, stop, deadline, part, judge)


def plan_resumed(run: RunFolder, config: Config) -> Plan:
    """Return the plan with which a run goes on. Raises CheckpointError when its data changed."""
    if not same_data(run.read_json("data.json"), fingerprint(config)):
        raise CheckpointError(
            f"the data of {run.path} changed since the run began",
            hint="a run goes on only with the very data it began with; train anew on the new ones",
            attempt=f"gymjax train --config {run.path}/config.yaml",
            code="checkpoint.data_changed",
        )
    return plan_run(config, run.read_json("choices.json"), known_of(run))


def _note_move(plan: Plan, run: RunFolder) -> None:
    """Note that a run goes on somewhere else, which changes its bits unless it has canonical shards."""
    kept, place = run.read_json("choices.json"), {"processes": 1, **plan.place.names}
    before = {"processes": 1, **kept}
    if not plan.lanes and any(before.get(name, value) != value for name, value in place.items()):
        run.write_json("choices.json", {**kept, **place})
        run.log("moved", **place)


def find_resumable(config: Config, folder: str | Path | None = None) -> RunFolder | None:
    """Return the newest unfinished run of the very same settings under `run.root`.

    With `folder`, or a name of its own, it is the run in there, finished or not. Of several processes the first one
    looks.
    """
    found = _find_resumable(config, folder) if group().writer else None
    path = broadcast("resumable", found and str(found.path))
    return path and RunFolder(path)


def _find_resumable(config: Config, folder: str | Path | None) -> RunFolder | None:
    if folder is None and config.run.name is not None:
        folder = Path(config.run.root) / config.run.name
    for run in reversed(list_runs(config.run.root) if folder is None else [RunFolder(folder)]):
        try:
            over = run.read_json("status.json").get("status") == "done" and folder is None
            if not over and _same_settings(read_config(run), unnamed(config)):
                return run
        except GymJaxError:  # a damaged run, or one of another version, is not this one
            continue
    return None


def _same_settings(was: Config, now: Config) -> bool:
    """Return whether a run was begun with these settings; what it settled on by itself is its own."""
    now = _as_settled(was, now)
    if now.train.shards is not None:  # they may be anywhere
        place = {"placement": now.train.placement, "devices": now.train.devices}
        was = was.model_copy(update={"train": was.train.model_copy(update=place)})
    return was.document() == now.document()


def _as_settled(was: Config, now: Config) -> Config:
    """Return the settings with what a run has settled on by itself, wherever they leave it open."""
    train: dict[str, Any] = {}
    if now.train.init_step is None:
        train["init_step"] = was.train.init_step
    if now.train.placement == "auto":
        train["placement"] = was.train.placement
        train["devices"] = was.train.devices if now.train.devices is None else now.train.devices
    if now.train.compile == "auto":
        train["compile"] = was.train.compile
    step = was.run.parent_step if now.run.parent_step is None else now.run.parent_step
    update = {"train": now.train.model_copy(update=train), "run": now.run.model_copy(update={"parent_step": step})}
    return now.model_copy(update=update)


def _train(
    plan: Plan,
    run: RunFolder,
    start: Start,
    tell: Callable[[Event], None],
    stop: Callable[[], int | None] | None,
    deadline: float,
    part: Part | None,
    judge: Judge | None,
) -> Result:
    config = plan.config
    facts = {"schema": SCHEMA_VERSION, "config": unnamed(config).document(), **columns(plan)}
    begin: dict[str, Any] = {"plateau": start.plateau, "sums": dict(start.sums), "trouble": trouble_of(plan)}
    session = Session(run, facts, start.state, start.position, **begin)
    resumed = session.restore()
    if not resumed and start.lines:
        run.rewrite_lines("metrics.jsonl", list(start.lines))
    if not resumed and (config.run.parent or config.train.init_from):
        session.save()  # the other run may be gone when this one is taken up again
    run.status(status="running", epochs=session.position.epoch, steps=session.step)
    run.log("resumed" if resumed else "started", step=session.step, epoch=session.position.epoch)
    with watched(run), session.behind, outlived_by_none(run, lambda: session.step):
        place = {"folder": str(run.path), "resumed": resumed, "step": session.step, "damaged": session.faults}
        tell(Event("start", {**place, **describe(plan)}))
        if MODELS[config.model.kind].solve is not None:
            if not resumed:
                kind, module = config.model.kind, plan.model
                params = (
                    solve(kind, module, reading(module, plan.train))
                    if plan.stream is None
                    else solve_stream(plan.stream, kind, module)
                )
                tx, _ = build_optimiser(config, plan.steps)  # averages begin at the solution too
                session.state = with_params(session.state, tx, params)
            stopped = None
        else:
            with guard(config, run, lambda: session.step, tell):
                stopped = fit(plan, session, tell, stop, deadline, judge)
        session.save()
        barrier("saved", math.inf)
        if stopped is None:  # it may have come during the last chunk: scoring can wait for a resume
            stopped = agree_on_stop(stop() if stop else None)
        if stopped is not None:
            return leave(run, session.position.epoch, session.step, stopped)
        session.take_best()
        scores: dict[str, Any] = {}
        if part is not None:
            variables = gathered_on_host(evaluation_variables(session.state))
            if group().writer:
                found = task_of(config).score(config, plan.prepared, plan.model, {config.train.seed: variables}, part)
                scores = found.members[config.train.seed]
            scores = broadcast("scores", scores, math.inf)
    best, last = finish(session, scores)
    barrier("done", math.inf)  # who ends before process 0 has written would take it along
    early = MODELS[config.model.kind].solve is None and session.position.epoch < config.train.epochs
    ending = {"best": best, "stopped_early": early, "epoch": session.position.epoch, "epochs": config.train.epochs}
    tell(Event("scored", {**ending, "scores": scores}))
    return Result(run.path, "done", session.position.epoch, last, best, scores)


def _deadline(seconds: float | None) -> float:
    return math.inf if seconds is None else time.monotonic() + seconds
