"""Where a run begins: at fresh weights, at the weights of another run, or where its parent stood."""

import shlex
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from gym_jax.config.document import differences, flat
from gym_jax.config.plain import inline
from gym_jax.config.schema import Config
from gym_jax.errors import CheckpointError, ConfigError, GymJaxError, gathered
from gym_jax.models.side import with_rows_of
from gym_jax.optim import HOST_SCHEDULES, Plateau, warm_start, with_scale
from gym_jax.run.assemble import build_optimiser, fingerprint, same_data
from gym_jax.run.folder import RunFolder
from gym_jax.run.group import MEMBERS, is_group, members_of
from gym_jax.run.load import best_step, load_weights, read_config
from gym_jax.run.plan import Plan, columns, fresh_state, parts_shown
from gym_jax.run.runs import open_run
from gym_jax.run.snapshot import read_plateau
from gym_jax.train.average import with_params
from gym_jax.train.checkpoint import read_metadata, restore_checkpoint, saved_steps
from gym_jax.train.loop import Position
from gym_jax.types import TrainState

HARMLESS = (
    *("data.path", "data.test_path", "train.epochs", "train.patience", "evaluate.batch_size", "evaluate.baselines"),
    *("evaluate.metrics", "track.", "run.root", "run.name", "run.save_seconds", "run.save_behind"),
    *("train.processes", "train.join_seconds", "train.peer_seconds", "run.watchdog_seconds", "run.compare_chunks"),
)
"""Settings that change neither the program nor the data: a run may go on with others. Of data their bytes count."""
LENGTH = "schedule_steps"
"""What choices.json keeps of a run that was made longer: how many steps its schedule has."""


class Start(NamedTuple):
    """The state before the first chunk, and what it brings along. What was best is found anew, among a run's own."""

    state: TrainState
    position: Position = Position()
    sums: Mapping[str, list[float]] = MappingProxyType({})
    """Of the epoch that the parent had begun."""
    plateau: Plateau = Plateau()
    lines: tuple[dict[str, Any], ...] = ()
    """The parent's lines of metrics.jsonl up to there."""


def find_start(plan: Plan, state: TrainState | None = None) -> Start:
    """Return where the plan's run begins; `state` is its fresh one, if there is one already.

    Raises ConfigError or CheckpointError when another run does not fit.
    """
    with parts_shown(plan.config):
        return _start(plan, fresh_state(plan) if state is None else state)


def _start(plan: Plan, state: TrainState) -> Start:
    config = plan.config
    if config.run.parent is not None:
        return _of_parent(plan, state, _open(config.run.parent, "run.parent"))
    if config.train.init_from is None:
        return Start(state)
    run = _open(config.train.init_from, "train.init_from")
    donor, facts = load_weights(run, config.train.init_step).params, run.read_json("data.json")
    _refuse_other_order(run, facts, plan)
    donor = with_rows_of(donor, state.params, _words(facts), _own_words(plan))
    params = warm_start(state.params, donor, config.train.init_parts)
    return Start(plan.layout.place(with_params(state, build_optimiser(config, plan.steps)[0], params)))


def settle(config: Config) -> Config:
    """Return the configuration with the steps of the runs that it begins from written down: these may go on."""
    update: dict[str, Any] = {}
    if config.run.parent is not None and config.run.parent_step is None:
        steps = saved_steps(_open(config.run.parent, "run.parent").checkpoints)
        if not steps:
            raise CheckpointError(f"the parent {config.run.parent} holds no checkpoint", hint="it was never saved")
        update["run"] = config.run.model_copy(update={"parent_step": steps[-1]})
    if config.train.init_from is not None and config.train.init_step is None:
        step = best_step(_open(config.train.init_from, "train.init_from"))
        update["train"] = config.train.model_copy(update={"init_step": step})
    return config.model_copy(update=update)


def unnamed(config: Config) -> Config:
    """Return the settings without the name of one run: what another run can repeat."""
    return config.model_copy(update={"run": config.run.model_copy(update={"name": None})})


def keep_settings(run: RunFolder, config: Config) -> None:
    """Write a run's config.yaml, which alone repeats it."""
    run.write_config(unnamed(config).document(), "gymjax train --config THIS-FILE repeats the run")


def pin_starts(config: Config, run: RunFolder) -> None:
    """Have the steps kept that a run begins from: its settings repeat it as long as they are there."""
    for path, step in ((config.run.parent, config.run.parent_step), (config.train.init_from, config.train.init_step)):
        if path is not None and step is not None:
            RunFolder(path).pin(step, str(run.path))


def child_of(parent: RunFolder) -> dict[str, Any]:
    """Return the settings of a child that it does not take from its parent, before any that the user gives."""
    beginning: dict[str, Any] = {"run.parent": str(parent.path), "run.parent_step": None, "run.name": None}
    start: dict[str, Any] = {"train.init_from": None, "train.init_step": None, "train.init_parts": []}
    longer = LENGTH in parent.read_json("choices.json")  # kept for the parent's sake
    return {**beginning, **start, **({"schedule.steps": None} if longer else {})}


def forbidden_changes(was: Config, now: Config) -> list[str]:
    """Return the keys whose change would make another program of a run, or train it on other data.

    Canonical shards have the same bits wherever they are computed.
    """
    harmless: tuple[str, ...] = HARMLESS
    if was.train.shards is not None and was.train.shards == now.train.shards:
        harmless += ("train.placement", "train.devices")
    return [key for key in differences(was, now) if not key.startswith(harmless)]


def refuse_changes(was: Config, now: Config, run: RunFolder) -> None:
    """Raise ConfigError that names every setting with which a run can not go on."""
    forbidden = forbidden_changes(was, now)
    reasons = [f"`{key}` would change the program or the data of {run.path}" for key in forbidden]
    trained = run.read_json("status.json").get("epochs") or 0
    if now.train.epochs != was.train.epochs and now.train.epochs < trained:
        reasons.append(f"`train.epochs={now.train.epochs}` is less than the {trained} that {run.path} has trained")
    if _sooner(now.train.patience, was.train.patience) and (now.train.patience or 0) < trained:
        reasons.append(f"`train.patience={now.train.patience}` might have stopped {run.path} sooner")
    if now.train.seeds > 1 and now.train.patience != was.train.patience:
        reasons.append(f"`train.patience` has said when each member of {run.path} stops")
    if reasons:
        settings = flat(now.document())
        words = ["--fork", *(shlex.quote(f"{key}={inline(settings[key])}") for key in forbidden if key in settings)]
        if now.train.epochs <= trained:
            words.append(f"train.epochs={trained + 10}")
        raise gathered(
            [
                ConfigError(
                    reason,
                    hint="a run goes on as it began; --fork starts a child that continues with other settings",
                    attempt=f"gymjax train --resume {run.path} {' '.join(words)}",
                    code="config.resume",
                )
                for reason in reasons
            ],
            code="config.resume",
        )


def _sooner(patience: int | None, before: int | None) -> bool:
    return patience is not None and (before is None or patience < before)


def _of_parent(plan: Plan, state: TrainState, parent: RunFolder) -> Start:
    """Return the state in which the parent stood. An epoch it had only begun is begun anew with other settings."""
    step = plan.config.run.parent_step
    if step not in saved_steps(parent.checkpoints):
        raise CheckpointError(
            f"step {step} of the parent {parent.path} is gone",
            hint=f"it has {', '.join(map(str, saved_steps(parent.checkpoints))) or 'none'}",
            attempt=f"gymjax train --resume {parent.path} --fork",
        )
    path = parent.checkpoints / str(step)
    try:
        state = restore_checkpoint(path, state)
    except CheckpointError as error:
        error.hint = "a child continues with the parent's whole state; to take only its weights, use --init-from"
        error.attempt = f"gymjax train --init-from {parent.path} ..."
        raise
    facts = parent.read_json("data.json")
    _refuse_other_order(parent, facts, plan)
    if (theirs := _words(facts)) != (mine := _own_words(plan)):
        name = next(name for name in (*mine, *theirs) if mine.get(name) != theirs.get(name))
        raise CheckpointError(
            f"the parent {parent.path} knows other words in the column `{name}`",
            hint="a child continues with the parent's whole state; --init-from takes what both know",
            attempt=f"gymjax train --init-from {parent.path} ...",
        )
    metadata, was = read_metadata(path), read_config(parent)
    position = Position(*metadata["position"])
    if forbidden_changes(was, _as_parent(plan.config, was, parent)) or not same_data(facts, fingerprint(plan.config)):
        position, metadata = Position(position.epoch, 0), {}
    plateau = read_plateau(metadata)
    if plan.config.schedule.kind in HOST_SCHEDULES:
        state = state._replace(opt_state=with_scale(state.opt_state, plateau.scale))
    if position.epoch >= plan.config.train.epochs:
        raise ConfigError(
            f"the parent has trained {position.epoch} epochs, train.epochs={plan.config.train.epochs} leaves none",
            hint="the epochs of a child count from the parent's first",
            attempt=f"gymjax train --resume {parent.path} --fork train.epochs={position.epoch + 10}",
        )
    lines = tuple(line for line in parent.read_lines("metrics.jsonl") if line["step"] <= int(state.step))
    return Start(state, position, metadata.get("sums", {}), plateau, lines)


def _refuse_other_order(run: RunFolder, facts: Mapping[str, Any], plan: Plan) -> None:
    """Raise ConfigError when a run reads the same columns in another order: weights know them by their places."""
    theirs, mine = _by_role(facts["columns"]), _by_role(columns(plan)["columns"])
    for role, names in theirs.items():
        own = mine.get(role, [])
        if names != own and sorted(names) == sorted(own):
            raise ConfigError(
                f"{run.path} was trained with data.{role}=[{','.join(names)}], in this order",
                hint="weights know columns by their places: name them as they were",
                attempt=f"gymjax train ... data.{role}=[{','.join(names)}]",
                code="config.order",
            )


def _by_role(columns: Mapping[str, Any]) -> dict[str, list[str]]:
    channels, targets = columns["channels"], columns["targets"]
    others = {role: columns.get(role, []) for role in ("static", "categories")}
    if not isinstance(targets, int):  # of cases
        return {"target": targets, "past": channels, **others}
    known = len(channels) - columns["known"]
    return {"target": channels[:targets], "past": channels[targets:known], "known": channels[known:], **others}


def _own_words(plan: Plan) -> dict[str, list[str]]:
    """Return the words of each column of categories that the plan's data hold."""
    return _words(columns(plan))


def _words(facts: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the same of a run, in the order of their codes."""
    return dict(zip(facts["columns"].get("categories", ()), facts["encoder"]["vocabularies"], strict=True))


def _as_parent(config: Config, was: Config, parent: RunFolder) -> Config:
    """Return the child's settings with those of its parent that a child never takes over: they are no change."""
    start = {name: getattr(was.train, name) for name in ("init_from", "init_step", "init_parts")}
    update: dict[str, Any] = {"run": was.run, "train": config.train.model_copy(update=start)}
    if LENGTH in parent.read_json("choices.json") and config.schedule.steps is None:
        update["schedule"] = config.schedule.model_copy(update={"steps": was.schedule.steps})
    return config.model_copy(update=update)


def _open(path: str, key: str) -> RunFolder:
    try:
        run = open_run(path)
    except GymJaxError as error:
        raise CheckpointError(f"`{key}={path}` is no run", hint=error.hint, attempt="gymjax runs list") from error
    if is_group(run):
        raise CheckpointError(
            f"`{key}={path}` is a group of {len(members_of(run))} models",
            hint="a run begins from one model: name a member by its folder",
            attempt=f"gymjax train ... {key}={run.path}/{MEMBERS}/{min(members_of(run), default=0)}",
        )
    return run
