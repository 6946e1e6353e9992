"""Settings that members of one program may each have of their own: numbers that the compiled step is given."""

import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.errors import JAXTypeError

from gym_jax.config.document import flat
from gym_jax.config.schema import SCHEMAS, Config
from gym_jax.models.dropout import Kept
from gym_jax.models.registry import MODELS
from gym_jax.run.assemble import build_loss, build_optimiser, step_settings
from gym_jax.run.plan import Plan
from gym_jax.train.step import make_train_step
from gym_jax.types import Step

DROPOUT = "model.dropout"
GIVEN = ("optim.", "schedule.", DROPOUT, "train.clip")
"""Settings that a step may be given as numbers, unless they choose between programs as a momentum of 0 does."""
UNKNOWN = ("train.seed", "train.patience", "run.", "track.")
"""Settings that no program knows."""
Own = Mapping[str, Any]
"""Numbers by their dotted keys: arrays of one member, or with the members along their first axis."""


def alike(configs: Sequence[Config]) -> list[list[int]]:
    """Return the places of configurations that one program can train, together, in their order."""
    groups: dict[str, list[int]] = {}
    for place, config in enumerate(configs):
        groups.setdefault(_program(config), []).append(place)
    return list(groups.values())


def own_keys(configs: Sequence[Config]) -> list[str]:
    """Return the settings that the program of alike configurations is given, because they differ."""
    trees = [flat(config.document()) for config in configs]
    return [key for key in trees[0] if _given(key) and len({tree[key] for tree in trees}) > 1]


def own_settings(configs: Sequence[Config], keys: Sequence[str]) -> dict[str, np.ndarray] | None:
    """Return the own settings of members, stacked; None where there are none."""
    trees = [flat(config.document()) for config in configs]
    values = {key: [1 - tree[key] if key == DROPOUT else tree[key] for tree in trees] for key in keys}
    return {key: np.array(each, np.float32) for key, each in values.items()} or None


def own_step(plan: Plan, own: Own | None = None, *, axis_name: str | None = None) -> Step:
    """Return the step of a member of a plan: with its own settings in place of the plan's."""
    config, model = _with_own(plan.config, own or {}), plan.model
    if own and DROPOUT in own:
        model = model.clone(dropout=Kept(own[DROPOUT]))
    tx, _ = build_optimiser(config, plan.steps)
    skip = config.train.on_nan == "skip"
    return make_train_step(model, build_loss(config), tx, axis_name=axis_name, **step_settings(config), skip=skip)


def own_schedule(plan: Plan, own: Own | None) -> optax.Schedule:
    """Return the learning rate of every optimiser step; with own settings, that of each member."""
    if own is None:
        return build_optimiser(plan.config, plan.steps)[1]

    def each(count: Any) -> Any:
        def rate(own: Own) -> Any:
            return jnp.asarray(build_optimiser(_with_own(plan.config, own), plan.steps)[1](count))

        return jax.vmap(rate)(jax.tree.map(jnp.asarray, own))

    return each


def _with_own(config: Config, own: Own) -> Config:
    """Return a configuration with numbers of a program in place of some of its own; it is not judged again."""
    for key, value in own.items():
        section, name = key.split(".")
        if key != DROPOUT:
            config = config.model_copy(update={section: getattr(config, section).model_copy(update={name: value})})
    return config


def _program(config: Config) -> str:
    """Return a name that configurations of one program share."""
    tree = flat(config.document())
    rest = {key: value for key, value in tree.items() if not key.startswith(UNKNOWN)}
    kinds = {key: value for key, value in rest.items() if not _given(key) or not _takes(config, key, value)}
    return json.dumps({**dict.fromkeys(rest, "given"), **kinds}, sort_keys=True)


def _given(key: str) -> bool:
    return key.startswith(GIVEN) and key.count(".") == 1


def _takes(config: Config, key: str, value: Any) -> bool:
    """Return whether the optimiser can be given a setting as a number; dropout can."""
    if not isinstance(value, float):
        return False
    if key == DROPOUT:
        return MODELS[config.model.kind].solve is None
    return _traced(key, config.optim.kind, config.schedule.kind)


@functools.cache
def _traced(key: str, optim: str, schedule: str) -> bool:
    """Return whether an optimiser can be built of a number that only its program knows."""
    sections = {"optim": SCHEMAS["optim"][optim](), "schedule": SCHEMAS["schedule"][schedule]()}
    config = Config().model_copy(update=sections)
    params = {"layer": {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}}

    def update(value: Any) -> Any:
        tx, _ = build_optimiser(_with_own(config, {key: value}), steps_per_epoch=8)
        return tx.update(params, tx.init(params), params)

    try:
        jax.eval_shape(update, jnp.float32(0.5))
    except (JAXTypeError, TypeError, ValueError):
        return False
    return True
