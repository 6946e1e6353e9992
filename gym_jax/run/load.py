"""A trained run taken up again from its folder alone: configuration, data, scaler, model, best weights."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from gym_jax.config.judge import judge
from gym_jax.config.schema import Config
from gym_jax.errors import CheckpointError, ConfigError
from gym_jax.plugins import refuse_gone
from gym_jax.run.assemble import Shape, build_model, build_optimiser, reading
from gym_jax.run.environment import REGISTRIES
from gym_jax.run.folder import RunFolder
from gym_jax.run.group import Members, best_member, is_group, sound_members
from gym_jax.run.snapshot import read_stopping
from gym_jax.run.streamed import known_of
from gym_jax.run.task import task_of
from gym_jax.train.average import Weights, evaluation_params, evaluation_variables, weights_of
from gym_jax.train.checkpoint import read_metadata, restore_checkpoint, saved_steps
from gym_jax.train.step import init_state
from gym_jax.types import Inputs, TrainState

TYPES = {"mask": jnp.bool_, "categories": jnp.int32, "series": jnp.int32}
"""Of the parts of a window; the others are float32."""
TRIES = 20
"""How often the best step of a run that is being trained is looked for."""


def read_config(run: RunFolder) -> Config:
    """Return the configuration of a run.

    Raises CheckpointError when it is of another version, damaged or no run, MissingExtra when its plug-in is gone.
    """
    if not run.read_json("data.json"):
        raise CheckpointError(
            f"{run.path} is no run: it has no data.json",
            hint="a run is a folder that gymjax train made",
            code="run.not_found",
        )
    try:
        return judge(run.read_config())
    except ConfigError as error:
        refuse_gone(run.read_json("env.json"), REGISTRIES)
        raise CheckpointError(
            f"{run.path / 'config.yaml'}: {error.message}",
            hint="it was changed by hand, or written by another version of gym_jax",
            attempt=error.attempt if error.code == "config.newer" else None,
            code="checkpoint.config",
        ) from error


class Trained(NamedTuple):
    """A model with its weights, and the data it was asked about."""

    config: Config
    prepared: Any
    """What the kind of task makes of them."""
    model: Any
    variables: Any
    """Those that judge and forecast: averaged ones where training kept such. Of a group, those of each seed."""
    weights: Weights
    """Which these are."""
    step: int | None
    """None of a group, whose members stand at steps of their own."""
    seeds: tuple[int, ...] = ()
    """Of the members that answer together; none of a single model."""

    @property
    def members(self) -> tuple[Any, ...]:
        """The variables of every model that answers."""
        return self.variables if self.seeds else (self.variables,)


def load_run(
    run: RunFolder,
    data: str | Path | None = None,
    *,
    step: int | None = None,
    members: Members = "mean",
    portions: bool = False,
) -> Trained:
    """Return a run's best model (or that of a saved `step`) and its data, or other `data` of the same columns.

    With `portions`, data that were trained on in portions are only opened; else all of them are read.
    Of a group all members that have not diverged answer together, or the `best` alone; to others `members` is nothing.
    Raises CheckpointError when the run or the step can not be read, DataError when the data can not.
    """
    run = best_member(run) if members == "best" and is_group(run) else run
    config = read_config(run)
    task = task_of(config)
    if portions and data is None and task.take_up is not None and (known := known_of(run)):
        prepared = task.take_up(config, known)
    else:
        config, prepared = task.restore(config, run.read_json("data.json"), data)
    model = build_model(config, task.shape_of(prepared))
    inputs = reading(model, task.one(config, prepared)).take(jnp.zeros(1, jnp.int32)).inputs
    if is_group(run):
        sound = sound_members(run)
        states = [read_state(one, step, config, model, inputs)[0] for one in sound.values()]
        variables = tuple(map(evaluation_variables, states))
        return Trained(config, prepared, model, variables, weights_of(states[0]), step, tuple(sound))
    state, step = read_state(run, step, config, model, inputs)
    return Trained(config, prepared, model, evaluation_variables(state), weights_of(state), step)


class Saved(NamedTuple):
    """The parameters of a run that judge and forecast."""

    params: PyTree
    weights: Weights
    step: int


def load_weights(run: RunFolder, step: int | None = None) -> Saved:
    """Return the parameters of a run that judge and forecast, as saved at a step, at its best when None.

    Its data are not read, but for runs of schema version 1, which do not say what their windows look like.
    """
    config, facts = read_config(run), run.read_json("data.json")
    if step is not None and step not in saved_steps(run.checkpoints):
        raise CheckpointError(
            f"step {step} of {run.path} is gone",
            hint=f"it has {', '.join(map(str, saved_steps(run.checkpoints))) or 'none'}",
            attempt=f"gymjax runs show {run.path}",
        )
    if "inputs" not in facts:
        trained = load_run(run, step=step)
        return Saved(trained.variables["params"], trained.weights, best_step(run) if step is None else step)
    model = build_model(config, read_shape(facts))
    parts = {
        name: jax.ShapeDtypeStruct((1, *size), TYPES.get(name, jnp.float32)) for name, size in facts["inputs"].items()
    }
    state, step = read_state(run, step, config, model, Inputs(**parts))  # type: ignore[arg-type]
    return Saved(evaluation_params(state), weights_of(state), step)


def read_shape(facts: Mapping[str, Any]) -> Shape:
    """Return what a run's model knows of its data, out of its data.json."""
    own = facts["shape"]
    return Shape(own["targets"], tuple(own["categories"]), own["season"], own.get("classes", 0))


def read_state(run: RunFolder, step: int | None, config: Config, model: Any, inputs: Inputs) -> tuple[TrainState, int]:
    """Return the state of a saved step (None: the best) on this machine, wherever it was trained, and the step.

    `inputs` only lends its shapes. A run that is being trained drops steps while they are read: then the best is
    looked for again.
    """
    begin = functools.partial(init_state, model, build_optimiser(config, 1)[0], ema=config.train.ema)
    like = jax.eval_shape(begin, jax.random.key(0), inputs)
    for left in reversed(range(TRIES)):
        there = saved_steps(run.checkpoints)
        try:
            chosen = best_step(run) if step is None else step
            return restore_checkpoint(run.checkpoints / str(chosen), like), chosen
        except CheckpointError:
            if step is not None or not left or saved_steps(run.checkpoints) == there:
                raise
    raise AssertionError  # the last try returns or raises


def best_step(run: RunFolder) -> int:
    """Return the saved step whose weights a run ends with so far. Raises CheckpointError when nothing was saved."""
    steps = saved_steps(run.checkpoints)
    if not steps:
        going = run.in_use()
        raise CheckpointError(
            f"{run.path} holds no checkpoint",
            hint="it is being trained and has not saved yet" if going else "it was stopped before the first save",
            attempt=f"gymjax {'runs show' if going else 'train --resume'} {run.path}",
            code="checkpoint.none",
        )
    best = read_stopping(read_metadata(run.checkpoints / str(steps[-1]))).best_step  # 0: nothing was validated yet
    return best if best and best in steps else steps[-1]
