"""The closed-form baseline: one ridge regression on last-value-subtracted windows, shared by all series and channels.

NLinear (Zeng et al. 2023) solved exactly instead of trained; the bias is not penalised.
"""

from collections.abc import Iterable
from typing import Annotated, Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Ge
from jaxtyping import Array, Float, Int, PyTree

from gym_jax.errors import DataError
from gym_jax.models.normalise import Normalise, normalise
from gym_jax.types import Examples, Inputs, Positive


class Linear(nn.Module):
    """One linear map from the past of a channel to its future; `ridge` is used by the solver.

    It looks at the target channels only: no other channel, static number or category.

    >>> model = Linear(horizon=6)
    >>> forecast, variables = jax.eval_shape(model.init_with_output, jax.random.key(0), inputs)
    >>> forecast.shape, variables["params"]["head"]["kernel"].shape
    ((4, 6, 1), (24, 6))
    """

    horizon: Positive
    """Steps that are forecast."""
    targets: Positive = 1
    """How many of the first channels are forecast."""
    ridge: Annotated[float, Ge(0)] = 1.0
    """Penalty on the squared weights, for the solver."""
    normalise: Normalise = "last"
    """How a window is brought to one level: by its last observed value, its mean and deviation (standard), or not."""

    @nn.compact
    def __call__(self, inputs: Inputs, *, train: bool = False) -> Float[Array, "batch horizon targets"]:
        past, level = normalise(inputs, self.normalise, self.targets)
        x = jnp.moveaxis(past[..., : self.targets], 2, 1)
        return level.restore(jnp.moveaxis(nn.Dense(self.horizon, name="head")(x), 1, 2))


def solve_linear(model: Linear, examples: Examples, order: Int[np.ndarray, "steps batch"]) -> PyTree:
    """Return the parameters that minimise the squared error of normalised windows over the batches of `order`.

    That is ridge regression (Hoerl and Kennard 1970) in closed form, by the normal equations; `model.ridge` is its
    penalty. Uses windows whose targets were all observed; sums are float64. Raises DataError when there is none.
    """
    return solve_linear_of(model, [(examples, order)])


def solve_linear_of(model: Linear, portions: Iterable[tuple[Examples, Int[np.ndarray, "steps batch"]]]) -> PyTree:
    """Return the same over several portions of the examples, each with batches of its own."""

    @jax.jit
    def rows(examples: Examples, indices: Array) -> tuple[Array, Array, Array]:
        batch = examples.take(indices)
        targets = batch.targets.shape[-1]
        past, level = normalise(batch.inputs, model.normalise, targets)
        wanted = (batch.targets - level.shift[..., :targets]) / level.scale[..., :targets]
        x = jnp.moveaxis(past[..., :targets], 2, 1).reshape(-1, past.shape[1])
        y = jnp.moveaxis(wanted, 2, 1).reshape(-1, batch.targets.shape[1])
        return x, y, jnp.moveaxis(batch.weights, 2, 1).reshape(y.shape).all(axis=1)

    gram: Any = 0.0
    cross: Any = 0.0
    used = 0
    for examples, order in portions:
        for indices in order:
            x, y, whole = (np.asarray(part) for part in rows(examples, indices))
            x = np.column_stack([x[whole].astype(np.float64), np.ones(whole.sum())])
            gram, cross, used = gram + x.T @ x, cross + x.T @ y[whole].astype(np.float64), used + len(x)
    if not used:
        raise DataError(
            "no training window has all of its targets", hint="the linear baseline needs some", code="data.no_windows"
        )
    penalty = np.full(len(gram), model.ridge)
    penalty[-1] = 0
    system = gram + np.diag(penalty)
    try:
        solution = np.linalg.solve(system + 1e-9 * np.eye(len(gram)), cross)
    except np.linalg.LinAlgError:  # without a penalty, and rows of the window that say the same
        solution = np.linalg.lstsq(system, cross)[0]
    return {"head": {"kernel": jnp.asarray(solution[:-1], jnp.float32), "bias": jnp.asarray(solution[-1], jnp.float32)}}
