"""What the host reads and changes in an optimiser's state between two compiled calls."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
import optax.contrib
from jaxtyping import Array, Float, PyTree

from gym_jax.errors import ConfigError


class Rescaled(NamedTuple):
    """The state of an optimiser with a factor on its updates."""

    scale: Float[Array, ""]
    inner: PyTree


def rescalable(tx: optax.GradientTransformation) -> optax.GradientTransformation:
    """Return `tx` with its updates multiplied by a factor that stands in its state, 1 at first.

    >>> float(scale_of(rescalable(sgd(0.1)).init(params)))
    1.0
    """
    tx = optax.with_extra_args_support(tx)

    def init(params: PyTree) -> Rescaled:
        return Rescaled(jnp.ones((), jnp.float32), tx.init(params))

    def update(updates: PyTree, state: Rescaled, params: PyTree = None, **extra: Any) -> tuple[PyTree, Rescaled]:
        updates, inner = tx.update(updates, state.inner, params, **extra)
        return jax.tree.map(lambda u: u * state.scale.astype(u.dtype), updates), Rescaled(state.scale, inner)

    return optax.GradientTransformationExtraArgs(init, update)


def with_scale(opt_state: PyTree, scale: float) -> PyTree:
    """Return the state with another factor, wherever in it the factor is; shapes, types and places stay as they are.

    Raises ValueError when there is no factor, and ConfigError when the optimiser is `schedule_free`, whose updates move
    an average and are no multiple of a rate.

    >>> float(scale_of(with_scale(rescalable(sgd(0.1)).init(params), 0.5)))
    0.5
    """
    scale_of(opt_state)
    if _found(opt_state, optax.contrib.ScheduleFreeState) and scale != 1:
        raise ConfigError(
            "the rate of `schedule_free` cannot be lowered on a plateau",
            hint="it averages instead of lowering its rate",
            attempt="schedule=warmup_constant",
        )
    return jax.tree.map(
        lambda node: node._replace(scale=jnp.full_like(node.scale, scale)) if isinstance(node, Rescaled) else node,
        opt_state,
        is_leaf=lambda node: isinstance(node, Rescaled),
    )


def scale_of(opt_state: PyTree) -> Float[Array, "..."]:
    """Return the factor on the updates. Raises ValueError when there is none.

    >>> float(scale_of(rescalable(sgd(0.1)).init(params)))
    1.0
    """
    found = _found(opt_state, Rescaled)
    if not found:
        raise ValueError("this state has no factor on the rate: wrap the optimiser in `rescalable`")
    return found[0].scale


def _found(opt_state: PyTree, kind: type) -> list[Any]:
    nodes = jax.tree.leaves(opt_state, is_leaf=lambda node: isinstance(node, kind))
    return [node for node in nodes if isinstance(node, kind)]
