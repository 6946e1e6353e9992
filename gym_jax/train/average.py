"""Which parameters judge and forecast: the ones that were trained, or an average of them."""

from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PyTree
from optax.contrib import ScheduleFreeState

from gym_jax.types import TrainState

Weights = Literal["trained", "ema", "schedule_free"]


def init_ema(params: PyTree) -> PyTree:
    """Return the running average before the first step: a copy of the parameters in float32."""
    return jax.tree.map(lambda leaf: jnp.array(leaf, dtype=at_least_float32(leaf)), params)


def update_ema(ema: PyTree, params: PyTree, steps: Int[Array, ""], decay: float) -> PyTree:
    """Return the running average after `steps` optimiser steps, the last of which made `params`.

    The old average weighs min(decay, (1 + steps) / (10 + steps)), so that the start is soon forgotten
    (TensorFlow, `tf.train.ExponentialMovingAverage` with `num_updates`).
    """
    share = jnp.maximum(1 - decay, 9 / (10 + steps))  # 1 - decay is exact here; from a float32 decay it would not be
    return jax.tree.map(lambda old, new: old + share.astype(old.dtype) * (new - old), ema, params)


def weights_of(state: TrainState) -> Weights:
    """Return which parameters `evaluation_params` gives."""
    if not (isinstance(state.ema, tuple) and state.ema == ()):
        return "ema"
    return "schedule_free" if _schedule_free(state) else "trained"


def evaluation_params(state: TrainState) -> PyTree:
    """Return the parameters that judge and forecast: the running average where the state has one, else the average
    of schedule-free training (Defazio et al. 2024) where it is anywhere in the optimiser, else the parameters.

    What schedule-free leaves alone, behind a mask or in another part of a partition, keeps its own value.
    """
    params = state.params
    match weights_of(state):
        case "ema":
            return state.ema
        case "schedule_free":
            for found in _schedule_free(state):
                params = jax.tree.map(_averaged(found.b1), found.z, params, is_leaf=_masked)
    return params


def evaluation_variables(state: TrainState) -> dict[str, PyTree]:
    """Return what `model.apply` takes to judge and forecast: `evaluation_params` and the collections.

    >>> evaluation_variables(start)["params"]["head"]["kernel"].shape
    (12, 2)
    """
    return {"params": evaluation_params(state), **state.collections}


def with_params(state: TrainState, tx: optax.GradientTransformation, params: PyTree) -> TrainState:
    """Return the state begun anew from other parameters: step 0, a fresh optimiser state, the average started there.

    Key and collections stay.
    """
    ema = init_ema(params) if weights_of(state) == "ema" else ()
    return state._replace(step=jnp.zeros_like(state.step), params=params, opt_state=tx.init(params), ema=ema)


def at_least_float32(leaf: Any) -> Any:
    """Return the type in which numbers of the leaf's type are added up."""
    return jnp.promote_types(leaf.dtype, jnp.float32)


def _schedule_free(state: TrainState) -> list[Any]:
    """Return the schedule-free states in the optimiser state, however deep in chains, masks and wrappers."""

    def found(node: Any) -> bool:
        return isinstance(node, ScheduleFreeState)

    return [node for node in jax.tree.leaves(state.opt_state, is_leaf=found) if found(node)]


def _averaged(b1: Float[Array, "..."]) -> Any:
    """Return optax's `schedule_free_eval_params` for one leaf; `b1` has the leading axes of stacked states."""

    def average(z: Any, y: Any) -> Any:
        if _masked(z):
            return y
        share = b1.reshape(b1.shape + (1,) * (y.ndim - b1.ndim))
        return (y - (1 - share) * z) / share

    return average


def _masked(node: Any) -> bool:
    return isinstance(node, optax.MaskedNode)
