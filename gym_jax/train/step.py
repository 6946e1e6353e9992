"""The step: pure functions of state and batch; jit, scan, vmap and pmap are the caller's verbs."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Key

from gym_jax.types import Batch, EvalStep, Inputs, Loss, Mean, Metrics, Model, Step, TrainState


def init_state(model: Model, tx: optax.GradientTransformation, key: Key[Array, ""], inputs: Inputs) -> TrainState:
    """Return the state before the first step; `inputs` only lends its shapes. A model may have no parameters."""
    params_key, dropout_key, run_key = jax.random.split(key, 3)
    variables = dict(model.init({"params": params_key, "dropout": dropout_key}, inputs, train=False))
    params = variables.pop("params", {})
    return TrainState(jnp.zeros((), jnp.int32), params, tx.init(params), run_key, variables, ())


def make_train_step(
    model: Model, loss: Loss, tx: optax.GradientTransformation, *, axis_name: str | None = None
) -> Step:
    """Return `step(state, batch) -> (state, metrics)`, not compiled.

    The loss is the weighted mean over the whole batch. With `axis_name` the batch is split over that mapped axis:
    totals and counts are added over it, so that ragged shares weigh right, and each share draws its own dropout.
    Collections other than parameters become the plain mean over the shares; a batch's padding rows, which repeat other
    examples, count in them.
    """

    def add(tree: Any) -> Any:
        return tree if axis_name is None else lax.psum(tree, axis_name)

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        key = jax.random.fold_in(state.key, state.step)
        if axis_name is not None:
            key = jax.random.fold_in(key, lax.axis_index(axis_name))
        count = add(batch.weights.sum())
        safe = jnp.maximum(count, 1)

        def objective(params: Any) -> tuple[Array, tuple[Array, Any]]:
            prediction, changed = model.apply(
                {"params": params, **state.collections},
                batch.inputs,
                train=True,
                rngs={"dropout": key},
                mutable=list(state.collections),
            )
            total = _weighted(loss, prediction, batch)
            return total / safe, (total, changed)

        (_, (total, changed)), grads = jax.value_and_grad(objective, has_aux=True)(state.params)
        grads, total = add((grads, total))
        if axis_name is not None:
            changed = jax.tree.map(_mean_over(axis_name), changed)
        updates, opt_state = tx.update(grads, state.opt_state, state.params)
        new = state._replace(
            step=state.step + 1,
            params=optax.apply_updates(state.params, updates),
            opt_state=opt_state,
            collections=dict(changed),
        )
        return new, {"loss": Mean(total, count), "grad_norm": Mean(optax.tree.norm(grads), jnp.ones(()))}

    return step


def make_eval_step(
    model: Model, loss: Loss, metrics: Mapping[str, Loss] | None = None, *, axis_name: str | None = None
) -> EvalStep:
    """Return `evaluate(state, batch) -> metrics`: the loss and elementwise `metrics` as totals and counts."""
    functions = {"loss": loss, **(metrics or {})}

    def evaluate(state: TrainState, batch: Batch) -> Metrics:
        prediction = model.apply(state.variables, batch.inputs, train=False)
        count = batch.weights.sum()
        totals = {name: Mean(_weighted(f, prediction, batch), count) for name, f in functions.items()}
        return totals if axis_name is None else lax.psum(totals, axis_name)

    return evaluate


def _mean_over(axis_name: str) -> Callable[[Array], Array]:
    """Return the mean over an axis for statistics, and counters as they are: each share counts alike."""
    return lambda leaf: lax.pmean(leaf, axis_name) if jnp.issubdtype(leaf.dtype, jnp.inexact) else leaf


def _weighted(loss: Loss, prediction: Array, batch: Batch) -> Array:
    """Return the weighted sum of the elementwise loss; a value without weight may be anything, even NaN."""
    errors = loss(prediction, jnp.where(batch.weights > 0, batch.targets, 0))
    if errors.shape != batch.weights.shape:
        raise ValueError(
            f"the loss has shape {errors.shape} for weights of shape {batch.weights.shape}: "
            "prediction and target must agree, and a loss is elementwise"
        )
    return jnp.where(batch.weights > 0, errors * batch.weights, 0).sum()
