"""A run before it begins: everything read, judged and decided, nothing written."""

import functools
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gym_jax.config.schema import Config
from gym_jax.errors import ConfigError
from gym_jax.models.registry import MODELS
from gym_jax.run.assemble import build_loss, build_model, build_optimiser, reading, step_settings
from gym_jax.run.packing import packs_of
from gym_jax.run.placement import layouts_of, may_move, readers_of
from gym_jax.run.stream import Stream, plan_stream
from gym_jax.run.streamed import Streamed
from gym_jax.run.task import task_of
from gym_jax.train.flops import count_flops
from gym_jax.train.many import Pack
from gym_jax.train.parallel import Layout, make_layout, request_cpu_devices
from gym_jax.train.step import init_state, make_train_step
from gym_jax.types import Examples, TrainState

LOGGER = logging.getLogger(__name__)
CHUNK_FLOPS = 25e9
"""Operations per compiled call: about half a second on two CPU cores."""
LONGEST_CHUNK = 4096


class Plan(NamedTuple):
    """A run before it begins: everything decided, nothing compiled."""

    config: Config
    prepared: Any
    """What the kind of task makes of the data."""
    model: Any
    train: Examples
    val: Examples
    layout: Layout
    lanes: tuple[Layout, ...] | tuple[Pack, ...]
    """Layouts, or packs of a group, that are yet to be compared before training; none when it is settled."""
    steps: int
    """Optimiser steps of an epoch."""
    chunk: int
    stream: Stream | None = None
    """Chunks of data that do not fit in memory; `train` and `val` then only lend their shapes."""
    pack: Pack | None = None
    """How several seeds share the devices; `layout` is then where a single one of them stands."""

    @property
    def place(self) -> Layout | Pack:
        """Where it is trained."""
        return self.pack or self.layout


def plan_run(config: Config, choices: dict[str, Any] | None = None, known: dict[str, Any] | None = None) -> Plan:
    """Read, judge and cut the data, build the model and lay out the devices. Raises before anything is written.

    `choices` and `known` are what a run that goes on has settled on, and what it keeps of its data.
    """
    choices = choices or {}
    settled = {} if may_move(config.train, choices) else choices
    # as many as at the beginning, or no compiled program that was kept would fit
    opened, devices = settled.get("opened"), settled.get("devices", config.train.devices)
    request_cpu_devices("auto" if opened else config.train.placement, opened or devices)
    task = task_of(config)
    prepared = task.prepare(config) if task.take_up is None or not known else task.take_up(config, known)
    stream = None
    if isinstance(prepared, Streamed):
        own = readers_of(config.train, choices)
        stream = plan_stream(config, prepared, rank=own.rank, count=own.count)
    model = build_model(config, task.shape_of(prepared))
    windows = task.cut(config, prepared, "train")
    steps = -(-len(windows) // config.train.batch_size) if stream is None else stream.steps
    with parts_shown(config):
        decided = {"chunk", "placement"} <= choices.keys()
        flops = 0 if decided else _flops(config, model, windows, steps)
    val, seeds, pack = task.cut(config, prepared, "val"), config.train.seeds, None
    longest = int(np.clip(CHUNK_FLOPS / max(flops * seeds, 1), 2, LONGEST_CHUNK))
    chunk = choices.get("chunk") or config.train.chunk or longest
    whole = flops * steps * config.train.epochs
    lanes: tuple[Layout, ...] | tuple[Pack, ...]
    if seeds == 1:
        layout, lanes = layouts_of(config.train, flops, whole, choices)
    else:
        pack, lanes = packs_of(config.train, whole * seeds, choices)
        layout = pack.layout if pack.packing == "loop" else make_layout("one")
    shown = f"{len(lanes)} layouts race" if lanes else f"placement {layout.placement}, compiled {layout.compile}"
    LOGGER.debug("%.3g operations a step, %.3g in all: %s; %d steps a call", flops, whole * seeds, shown, chunk)
    return Plan(config, prepared, model, windows, val, layout, lanes, steps, chunk, stream, pack)


@contextmanager
def parts_shown(config: Config) -> Iterator[None]:
    """Say with an error about parts of a model where its parts can be seen."""
    try:
        yield
    except ConfigError as error:
        error.attempt = error.attempt or f"gymjax models show {config.model.kind}"
        raise


def fresh_state(plan: Plan) -> TrainState:
    """Return the state before the first step, on the plan's devices."""
    return fresh_states(plan)(plan.config.train.seed)


def fresh_states(plan: Plan) -> Callable[[int], TrainState]:
    """Return a function of a seed that gives the state before the first step; it compiles once for all seeds."""
    config = plan.config
    tx, _ = build_optimiser(config, plan.steps)
    shapes = jax.eval_shape(reading(plan.model, plan.train).take, jax.ShapeDtypeStruct((1,), jnp.int32)).inputs

    @jax.jit  # operation by operation it would be some eighty small programs
    def begin(key: Any) -> TrainState:
        inputs = jax.tree.map(lambda part: jnp.zeros(part.shape, part.dtype), shapes)
        return init_state(plan.model, tx, key, inputs, ema=config.train.ema)

    return lambda seed: plan.layout.place(begin(jax.random.key(seed)))


def describe(plan: Plan) -> dict[str, Any]:
    """Return the plan in numbers: data, windows, steps, parameters, memory."""
    config = plan.config
    shapes = jax.eval_shape(lambda: fresh_state(plan))
    parameters = sum(leaf.size for leaf in jax.tree.leaves(shapes.params))
    weights = jax.tree.leaves((shapes.params, shapes.opt_state, shapes.ema))
    where = plan.layout if plan.pack is None else plan.pack.layout
    counts, size = {"train": len(plan.train), "val": len(plan.val)}, nbytes(plan.train)
    if plan.stream is not None:
        counts, size = {part: plan.stream.windows[part] for part in counts}, plan.stream.nbytes
    facts = task_of(config).describe(config, plan.prepared, counts)
    if plan.stream is not None and (note := plan.stream.note):
        facts["notes"] = [*facts["notes"], note]
    return {
        **facts,
        "model": config.model.kind,
        "parameters": int(parameters),
        "steps_per_epoch": plan.steps,
        "epochs": config.train.epochs,
        "placement": config.train.placement if plan.lanes else where.placement,
        "devices": len(where.devices),
        **({"processes": where.processes} if where.processes > 1 else {}),
        **_packing(plan),
        "data_bytes": size,
        **({} if plan.stream is None else {"chunks": len(plan.stream.chunks["train"])}),
        "state_bytes": int(sum(leaf.size * leaf.dtype.itemsize for leaf in weights)) * config.train.seeds,
    }


def _packing(plan: Plan) -> dict[str, Any]:
    """Return how many seeds are trained together, and how they share the devices; nothing of a single one."""
    if plan.pack is None:
        return {}
    train = plan.config.train
    packing = "auto" if plan.lanes else plan.pack.packing
    return {"seeds": train.seeds, "first_seed": train.seed, "packing": packing}


def _flops(config: Config, model: Any, windows: Examples, steps: int) -> int:
    """Return the operations of one step; 0 of a model that is solved and not trained."""
    if MODELS[config.model.kind].solve is not None:
        return 0
    tx, _ = build_optimiser(config, steps)
    batch = jax.eval_shape(windows.take, jax.ShapeDtypeStruct((config.train.batch_size,), jnp.int32))
    begin = functools.partial(init_state, model, tx, ema=config.train.ema)
    state = jax.eval_shape(begin, jax.random.key(0), batch.inputs)
    return count_flops(make_train_step(model, build_loss(config), tx, **step_settings(config)), state, batch)


def nbytes(examples: Examples) -> int:
    """Return the bytes of the arrays of some examples."""
    return int(sum(leaf.nbytes for leaf in jax.tree.leaves(examples)))


def columns(plan: Plan) -> dict[str, Any]:
    """Return what a model needs of its data to be used again, and what it reads of an example."""
    task = task_of(plan.config)
    shapes = {"shape": task.shape_of(plan.prepared)._asdict(), "inputs": _shapes(plan)}
    return {**task.facts(plan.prepared), **shapes}


def _shapes(plan: Plan) -> dict[str, list[int]]:
    """Return the shape of each part of a window that the model reads, without the batch."""
    inputs = jax.eval_shape(reading(plan.model, plan.train).take, jax.ShapeDtypeStruct((1,), jnp.int32)).inputs
    return {name: list(part.shape[1:]) for name, part in inputs._asdict().items() if part is not None}
