"""Several folds of one panel trained like a run each, without run folders: those of one shape in one program."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gym_jax.config.schema import Config
from gym_jax.data.order import sequential, shuffled
from gym_jax.data.panel import Panel
from gym_jax.data.split import Split
from gym_jax.data.windows import Windows
from gym_jax.errors import ConfigError, DataError, Diverged
from gym_jax.models.registry import MODELS
from gym_jax.optim import HOST_SCHEDULES
from gym_jax.run.assemble import (
    Prepared,
    Shape,
    build_loss,
    build_model,
    build_optimiser,
    cut,
    prepare,
    reading,
    shape_of,
    step_settings,
)
from gym_jax.run.packing import packs_of
from gym_jax.run.scores import solve
from gym_jax.train.average import evaluation_variables
from gym_jax.train.many import make_many_epoch, make_many_evaluation, member, stack
from gym_jax.train.step import init_state, make_eval_step, make_train_step
from gym_jax.train.stopping import EarlyStop

AT_ONCE = 256
"""Steps of one compiled call."""


class Fold(NamedTuple):
    """One split with what its train rows teach, and its windows."""

    prepared: Prepared
    train: Windows
    val: Windows

    def steps(self, config: Config) -> int:
        """Return the optimiser steps of an epoch."""
        return -(-len(self.train) // config.train.batch_size)


class Fitted(NamedTuple):
    """A fold's model."""

    model: Any
    variables: Any
    epochs: int
    """Epochs trained."""
    best_epoch: int
    """The one whose weights these are; 0 where none was validated, or the model is solved."""


def make_fold(config: Config, panel: Panel, split: Split, name: str) -> Fold:
    """Return a fold, its scaler and all that is fitted from its own train rows. Raises DataError that names it."""
    prepared = prepare(config, panel, split=split)
    fold = Fold(prepared, cut(config, prepared, "train"), cut(config, prepared, "val"))
    for part, count in (("train", len(fold.train)), ("test", len(cut(config, prepared, "test")))):
        if not count:
            raise DataError(
                f"{name} has no {part} window",
                hint=f"context {config.task.context} and horizon {config.task.horizon} need longer blocks: fewer folds",
                attempt="gymjax cv ... --folds 2",
                code="data.no_windows",
            )
    return fold


def train_folds(
    config: Config, folds: Sequence[Fold], tell: Callable[[dict[str, Any]], None] = lambda facts: None
) -> list[Fitted]:
    """Return the model of every fold: trained like a single run of the same seed, or solved.

    Folds with as many steps in an epoch and the same words share one program; others follow one another. Raises
    ConfigError on what a fold can not have, Diverged when a loss is not finite.
    """
    if config.schedule.kind in HOST_SCHEDULES:
        raise ConfigError(
            f"schedule={config.schedule.kind} does not go with folds",
            hint="it changes the rate of a single run between epochs; folds follow their schedule together",
            attempt="gymjax cv ... schedule=warmup_cosine",
            code="config.conflict",
        )
    if config.train.on_nan != "stop" or config.train.loss_jump is not None:
        raise ConfigError(
            "train.on_nan and train.loss_jump do not go with folds",
            hint="steps are left out of a run of its own; a fold that diverges is told and ends the command",
            attempt="gymjax cv ... train.on_nan=stop train.loss_jump=null",
            code="config.conflict",
        )
    kind = config.model.kind
    if MODELS[kind].solve is not None:
        models = [build_model(config, shape_of(fold.prepared)) for fold in folds]
        return [
            Fitted(model, {"params": solve(kind, model, reading(model, fold.train))}, 0, 0)
            for model, fold in zip(models, folds, strict=True)
        ]
    alike: dict[tuple[int, Shape], list[int]] = {}
    for number, fold in enumerate(folds):
        alike.setdefault((fold.steps(config), shape_of(fold.prepared)), []).append(number)
    done: dict[int, Fitted] = {}
    for numbers in alike.values():
        found = _train(config, [folds[number] for number in numbers])
        done |= dict(zip(numbers, found, strict=True))
        tell({"trained": len(done), "folds": len(folds)})
    return [done[number] for number in range(len(folds))]


def _train(config: Config, folds: Sequence[Fold]) -> list[Fitted]:
    """Train folds of one shape in one program."""
    train, steps, count = config.train, folds[0].steps(config), len(folds)
    model = build_model(config, shape_of(folds[0].prepared))
    tx, _ = build_optimiser(config, steps)
    own = train.model_copy(update={"seeds": count, "placement": "auto", "compile": "safe", "devices": None})
    pack = packs_of(own, 0, {})[0]
    examples, validation = (pack.place(_stacked(part)) for part in zip(*(fold[1:] for fold in folds), strict=True))
    inputs = jax.tree.map(jnp.zeros_like, folds[0].train.take(jnp.zeros(1, jnp.int32)).inputs)
    begin = jax.jit(functools.partial(init_state, model, tx, ema=train.ema))
    states = pack.place(stack([begin(jax.random.key(train.seed), inputs)] * count))
    loss = build_loss(config)
    step_for = functools.partial(make_train_step, model, loss, tx, **step_settings(config))
    epoch = make_many_epoch(step_for, pack, examples="own")
    judge = make_many_evaluation(functools.partial(make_eval_step, model, loss), pack, examples="own")
    validated = all(len(fold.val) for fold in folds)
    val_order = _orders([sequential(len(fold.val), train.batch_size) for fold in folds])
    stopping, best = [EarlyStop()] * count, [None] * count
    number = 0
    for number in range(train.epochs):
        orders = _orders([shuffled(train.seed, number, len(fold.train), train.batch_size) for fold in folds])
        live = [not stop.exhausted(train.patience) for stop in stopping]  # the others only fill their column
        for first in range(0, steps, AT_ONCE):
            states, metrics = epoch(states, examples, orders[first : first + AT_ONCE])
            _refuse_lost(np.asarray(metrics["loss"].total)[:, live], number)
        if not validated:
            continue
        found = jax.device_get(judge(states, validation, val_order)["loss"])
        values = found.total.astype(np.float64).sum(axis=0) / np.maximum(found.count.sum(axis=0), 1)
        _refuse_lost(values[live], number)
        for place in np.flatnonzero(live).tolist():
            stopping[place] = stopping[place].update(float(values[place]), epoch=number + 1, step=(number + 1) * steps)
            if stopping[place].best_epoch == number + 1:
                best[place] = jax.device_get(evaluation_variables(member(states, place)))
        if all(stop.exhausted(train.patience) for stop in stopping):
            break
    out = []
    for place, stop in enumerate(stopping):
        variables = best[place] or jax.device_get(evaluation_variables(member(states, place)))
        epochs = min(number + 1, stop.best_epoch + stop.waited) if validated else number + 1
        out.append(Fitted(model, variables, epochs, stop.best_epoch))
    return out


def _stacked(windows: Sequence[Windows]) -> Windows:
    """Return windows over the same rows as one pytree; those with fewer repeat their first, which no order names."""
    most = max(1, *(len(part) for part in windows))
    masked = any(part.mask is not None for part in windows)
    filled = any(part.filled is not None for part in windows)

    def even(part: Windows) -> Windows:
        part = replace(part, origins=_padded(part.origins, most), series=_padded(part.series, most))
        rows = part.values
        if masked and part.mask is None:  # what no window of it sees is of no account
            part = replace(part, mask=jnp.ones(rows.shape, bool))
        if filled and part.filled is None:
            part = replace(part, filled=jnp.zeros(rows.shape, bool))
        return part

    return stack([even(part) for part in windows])


def _padded(values: jax.Array, size: int) -> jax.Array:
    return jnp.pad(values, (0, size - len(values)), mode="edge" if len(values) else "constant")


def _orders(orders: Sequence[np.ndarray]) -> np.ndarray:
    """Return orders of members side by side, [steps, members, batch]; the shorter ones end in padding."""
    most = max(len(order) for order in orders)
    return np.stack([np.pad(order, ((0, most - len(order)), (0, 0)), constant_values=-1) for order in orders], axis=1)


def _refuse_lost(values: np.ndarray, epoch: int) -> None:
    if not np.isfinite(values).all():
        raise Diverged(
            f"the loss of a fold is not finite in epoch {epoch + 1}",
            hint="a lower learning rate or stricter clipping is the usual cure",
            attempt="gymjax cv ... optim.lr=1e-4 train.clip=0.5",
        )
