"""A scenario in gym_jax: model, optimiser, state and examples."""

import functools
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from scenarios import RATE, SEED, Scenario
from weights import Weights, nested

from gym_jax.losses import mse
from gym_jax.models import MODELS
from gym_jax.train.step import init_state, make_train_step
from gym_jax.types import Batch, Inputs, Step, TrainState


@functools.partial(jax.tree_util.register_dataclass, data_fields=("x", "y"), meta_fields=())
@dataclass(frozen=True)
class Examples:
    """Windows that were cut before: every arm takes rows of the same two arrays."""

    x: Any
    y: Any

    def __len__(self) -> int:
        return self.x.shape[0]

    def take(self, indices: jax.Array) -> Batch:
        """Return the rows at `indices`; there is no padding."""
        y = self.y[indices]
        return Batch(Inputs(past=self.x[indices]), y, jnp.ones_like(y))


def make_examples(x: np.ndarray, y: np.ndarray) -> Examples:
    """Return the arrays with one target channel."""
    return Examples(jnp.asarray(x), jnp.asarray(y[..., None]))


def make_model(scenario: Scenario, kernel: str = "auto") -> Any:
    """Return the Flax module."""
    return MODELS[scenario.kind].module(kernel=kernel, **scenario.shared)


def step_for(scenario: Scenario, kernel: str = "auto", rate: float = RATE) -> functools.partial[Step]:
    """Return what `make_epoch` takes."""
    return functools.partial(make_train_step, make_model(scenario, kernel), mse, optax.adam(rate))


def fresh_state(scenario: Scenario, weights: Weights | None = None, seed: int = SEED) -> TrainState:
    """Return the state before the first step, with these weights when there are some."""
    one = Inputs(past=jnp.zeros((1, scenario.context, scenario.features)))
    state = init_state(make_model(scenario), optax.adam(RATE), jax.random.key(seed), one)
    return state if weights is None else state._replace(params=jax.tree.map(jnp.asarray, nested(weights)))
