"""The step: pure functions of state and batch; jit, scan, vmap and pmap are the caller's verbs."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jaxtyping import Array, Key

from gym_jax.train.average import at_least_float32, evaluation_variables, init_ema, update_ema, weights_of
from gym_jax.train.shards import add_shards, mean_of_shards
from gym_jax.types import Batch, EvalStep, Inputs, Loss, Mean, Metrics, Model, Step, TrainState


def init_state(
    model: Model, tx: optax.GradientTransformation, key: Key[Array, ""], inputs: Inputs, *, ema: float | None = None
) -> TrainState:
    """Return the state before the first step; `inputs` only lends its shapes. A model may have no parameters.

    `ema` is the decay that `make_train_step` is given; None keeps no running average.

    >>> state = jax.eval_shape(functools.partial(init_state, model, tx), jax.random.key(0), batch.inputs)
    >>> state.step.shape, state.params["head"]["kernel"].shape
    ((), (12, 2))
    """
    params_key, dropout_key, run_key = jax.random.split(key, 3)
    variables = dict(model.init({"params": params_key, "dropout": dropout_key}, inputs, train=False))
    params = variables.pop("params", {})
    average = () if ema is None else init_ema(params)
    return TrainState(jnp.zeros((), jnp.int32), params, tx.init(params), run_key, variables, average)


def make_train_step(
    model: Model,
    loss: Loss,
    tx: optax.GradientTransformation,
    *,
    axis_name: str | None = None,
    accumulate: int = 1,
    ema: float | None = None,
    freeze: Callable[[Any], Any] | None = None,
    skip: bool = False,
    shards: int | None = None,
) -> Step:
    """Return `step(state, batch) -> (state, metrics)`, not compiled.

    The loss is the weighted mean over the whole batch, in float32 whatever the model computes in. With `axis_name` the
    batch is split over that mapped axis: totals and counts are added over it, so that ragged shares weigh right, and
    each share draws its own dropout. Collections other than parameters become the plain mean over the shares; a batch's
    padding rows, which repeat other examples, count in them.

    `accumulate` goes through the batch in that many micro-batches, one after the other, and makes one optimiser step of
    their gradients: the step on the whole batch with the memory of a part. Each draws its own dropout and hands its
    collections to the next. A batch that does not divide is filled up with rows without weight.
    `ema` is the decay, between 0 and 1, of a running average of the parameters, kept in `state.ema`.
    `tx` is given the loss of the step as `value`, where it asks for one, as `optax.contrib.reduce_on_plateau` does.
    `freeze(params)` is True for parameters without a gradient; it is for `tx` to leave them as they are.
    `shards` is the number of equal parts of a batch whose gradients are computed one by one and added in one order:
    the result is the same to the bit on any number of devices that divides it. Each draws its own dropout; gradients of
    all are held at once.
    With `skip` a step whose loss, gradient or new parameters are not finite changes nothing but `state.step`, has no
    part in the metrics, and counts in one more, `skipped`.

    Raises ValueError for settings out of range and, when traced, for a batch with fewer rows than micro-batches, one
    that shards or devices do not divide, for a model whose forecasts or a loss whose values have another shape than the
    targets, and for a state that was begun with another choice about `ema`.

    >>> step = jax.jit(make_train_step(model, gym_jax.losses.mae, tx))
    >>> state, metrics = step(start, batch)
    >>> int(state.step), sorted(metrics)
    (1, ['grad_norm', 'loss'])
    """
    if shards is not None and accumulate > 1:
        raise ValueError("a batch is computed in shards or in micro-batches, not in both")
    if accumulate < 1:
        raise ValueError(f"accumulate is the number of micro-batches of a step, at least 1; not {accumulate}")
    if ema is not None and not 0 < ema < 1:
        raise ValueError(f"ema is a decay between 0 and 1, such as 0.999; not {ema}")

    def add(tree: Any) -> Any:
        return tree if axis_name is None else add_over(axis_name, tree)

    def gradients(params: Any, collections: Any, batch: Batch, key: Key[Array, ""]) -> Any:
        def objective(params: Any) -> tuple[Array, Any]:
            if freeze is not None:
                params = jax.tree.map(
                    lambda leaf, still: lax.stop_gradient(leaf) if still else leaf, params, freeze(params)
                )
            prediction, changed = model.apply(
                {"params": params, **collections},
                batch.inputs,
                train=True,
                rngs={"dropout": key},
                mutable=list(collections),
            )
            return _weighted(loss, prediction, batch), changed

        (total, changed), grads = jax.value_and_grad(objective, has_aux=True)(params)
        return grads, total, dict(changed)

    def accumulated(params: Any, collections: Any, batch: Batch, key: Key[Array, ""]) -> Any:
        def micro(carry: Any, part: Any) -> Any:
            sums, collections = carry
            index, rows = part
            grads, total, collections = gradients(params, collections, rows, jax.random.fold_in(key, index))
            return (optax.tree.add(sums, grads), collections), total

        parts = jnp.arange(accumulate), _split(batch, accumulate)
        (grads, collections), totals = lax.scan(micro, (optax.tree.zeros_like(params), collections), parts)
        return grads, totals.sum(), collections

    def of_shards(params: Any, collections: Any, batch: Batch, key: Key[Array, ""]) -> Any:
        def one(number: Array, rows: Batch) -> Any:
            return *gradients(params, collections, rows, jax.random.fold_in(key, number)), rows.weights.sum()

        grads, total, changed, count = add_shards(one, batch, shards or 1, axis_name)
        return grads, total, count, mean_of_shards(changed, shards or 1)

    def of_batch(params: Any, collections: Any, batch: Batch, key: Key[Array, ""]) -> Any:
        if axis_name is not None:
            key = jax.random.fold_in(key, lax.axis_index(axis_name))
        whole = gradients if accumulate == 1 else accumulated
        grads, total, changed = whole(params, collections, batch, key)
        grads, total, count = add((grads, total, batch.weights.sum()))
        if axis_name is not None:
            changed = jax.tree.map(_mean_over(axis_name), changed)
        return grads, total, count, changed

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        if (ema is None) == (weights_of(state) == "ema"):
            raise ValueError(
                "init_state and make_train_step must be given the same `ema`: a state keeps it or does not"
            )
        rows = len(batch.weights) * (1 if axis_name is None else lax.axis_size(axis_name))
        if rows < accumulate:
            raise ValueError(f"a batch of {rows} rows can not be split into {accumulate} micro-batches")
        key = jax.random.fold_in(state.key, state.step)
        found = of_batch if shards is None else of_shards
        grads, total, count, changed = found(state.params, state.collections, batch, key)
        grads = optax.tree.scale(1 / jnp.where(count > 0, count, 1), grads)
        value = total / jnp.where(count > 0, count, 1)
        updates, opt_state = optax.with_extra_args_support(tx).update(grads, state.opt_state, state.params, value=value)
        done = state.step + 1
        params = optax.apply_updates(state.params, updates)
        new = state._replace(
            step=done,
            params=params,
            opt_state=opt_state,
            collections=changed,
            ema=() if ema is None else update_ema(state.ema, params, done, ema),
        )
        metrics = {"loss": Mean(total, count), "grad_norm": Mean(optax.tree.norm(grads), jnp.ones(()))}
        return _unless_finite(state, new, metrics) if skip else (new, metrics)

    return step


def _unless_finite(old: TrainState, new: TrainState, metrics: Metrics) -> tuple[TrainState, Metrics]:
    """Return a step as it is, or without its effect where a number of it is not finite."""
    parts = [jnp.isfinite(mean.total) for mean in metrics.values()]
    parts += [jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(new.params)]
    fine = jnp.stack(parts).all()

    def chosen(new: Any, old: Any) -> Any:
        return jax.tree.map(lambda new, old: jnp.where(fine, new, old), new, old)

    counted = {name: chosen(mean, jax.tree.map(jnp.zeros_like, mean)) for name, mean in metrics.items()}
    return chosen(new, old._replace(step=new.step)), {**counted, "skipped": Mean(1.0 - fine, jnp.ones(()))}


def make_eval_step(
    model: Model,
    loss: Loss,
    metrics: Mapping[str, Loss] | None = None,
    *,
    axis_name: str | None = None,
    shards: int | None = None,
) -> EvalStep:
    """Return `evaluate(state, batch) -> metrics`: the loss and elementwise `metrics` as totals and counts.

    Judged are the state's `evaluation_variables`: the averaged parameters where it has such. `loss` and `metrics` are
    as for the training step: they make a value of the target's shape. `shards` is too. Raises ValueError, when traced,
    for a model, a loss or a metric of another shape.

    >>> evaluate = jax.jit(make_eval_step(model, gym_jax.losses.mae, {"mse": gym_jax.losses.mse}))
    >>> metrics = evaluate(start, batch)
    >>> sorted(metrics), float(metrics["mse"].count)
    (['loss', 'mse'], 7.0)
    """
    functions = {"loss": loss, **(metrics or {})}

    def of_batch(state: TrainState, batch: Batch) -> Metrics:
        prediction = model.apply(evaluation_variables(state), batch.inputs, train=False)
        count = batch.weights.sum()
        return {name: Mean(_weighted(f, prediction, batch), count) for name, f in functions.items()}

    def evaluate(state: TrainState, batch: Batch) -> Metrics:
        if shards is not None:
            return add_shards(lambda number, rows: of_batch(state, rows), batch, shards, axis_name)
        totals = of_batch(state, batch)
        return totals if axis_name is None else lax.psum(totals, axis_name)

    return evaluate


PACKED = 2**16
"""Numbers of a leaf up to which it is sent together with others."""


def add_over(axis_name: str, tree: Any) -> Any:
    """Return the sum of a tree over a mapped axis; its small leaves of one type go in one collective.

    On CPU devices a collective costs about 60 microseconds, more than the step of a small model.
    """
    leaves, structure = jax.tree.flatten(tree)
    out = list(leaves)
    for dtype in sorted({str(leaf.dtype) for leaf in leaves}):
        packed = [i for i, leaf in enumerate(leaves) if str(leaf.dtype) == dtype and leaf.size <= PACKED]
        if not packed:
            continue
        flat = lax.psum(jnp.concatenate([leaves[i].ravel() for i in packed]), axis_name)
        ends = np.cumsum([leaves[i].size for i in packed])
        for i, part in zip(packed, jnp.split(flat, ends[:-1]), strict=True):
            out[i] = part.reshape(leaves[i].shape)
    for i, leaf in enumerate(leaves):
        if leaf.size > PACKED:
            out[i] = lax.psum(leaf, axis_name)
    return jax.tree.unflatten(structure, out)


def _mean_over(axis_name: str) -> Callable[[Array], Array]:
    """Return the mean over an axis for statistics, and counters as they are: each share counts alike."""
    return lambda leaf: lax.pmean(leaf, axis_name) if jnp.issubdtype(leaf.dtype, jnp.inexact) else leaf


def _split(batch: Batch, parts: int) -> Batch:
    """Return micro-batches along a new first axis, filled up with rows that come round again and have no weight.

    A part is every so-manieth row and not a run of rows: of a batch that lies spread over devices, each device then
    holds an equal share of every part, and no row has to move.
    """
    missing = -len(batch.weights) % parts
    if missing:
        around = functools.partial(_longer, rows=missing, mode="wrap")
        inputs, targets = jax.tree.map(around, (batch.inputs, batch.targets))
        batch = Batch(inputs, targets, _longer(batch.weights, missing, "constant"))
    size = len(batch.weights) // parts
    return jax.tree.map(lambda leaf: leaf.reshape(size, parts, *leaf.shape[1:]).swapaxes(0, 1), batch)


def _longer(leaf: Array, rows: int, mode: str) -> Array:
    return jnp.pad(leaf, [(0, rows)] + [(0, 0)] * (leaf.ndim - 1), mode=mode)


def _weighted(loss: Loss, prediction: Array, batch: Batch) -> Array:
    """Return the weighted sum of the elementwise loss; a value without weight may be anything, even NaN."""
    prediction = jax.tree.map(lambda leaf: leaf.astype(at_least_float32(leaf)), prediction)
    shape = batch.targets.shape
    if batch.weights.shape != shape:
        raise ValueError(
            f"the weights have shape {batch.weights.shape} and the targets {shape}: each target has its own"
        )
    # one of as many axes would be broadcast; with more of them it is the loss that knows how they are meant
    if isinstance(prediction, jax.Array) and prediction.ndim <= len(shape) and prediction.shape != shape:
        raise ValueError(
            f"the model answers with shape {prediction.shape} for targets of shape {shape}: it must be theirs, "
            "(batch, horizon, targets), with one axis more for a loss of several outputs"
        )
    errors = loss(prediction, jnp.where(batch.weights > 0, batch.targets, 0))
    if errors.shape != batch.weights.shape:
        raise ValueError(
            f"the loss has shape {errors.shape} for weights of shape {batch.weights.shape}: "
            "prediction and target must agree, and a loss is elementwise"
        )
    return jnp.where(batch.weights > 0, errors * batch.weights, 0).sum()
