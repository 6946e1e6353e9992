"""Covariates must pay: a world in which each of them decides what a job does, and a held-out part of it.

A job adds `size` (static) times +1 or -1 (category) to the steps it runs in; when it runs is known ahead (future) and
follows from nothing in the past.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax

from gym_jax import Batch, Inputs, init_state, make_train_step
from gym_jax.losses import mae
from gym_jax.models import LSTM, MLP, Transformer

CONTEXT, HORIZON = 12, 4
MODELS = {
    "mlp": MLP(horizon=HORIZON, hidden=(64,), dropout=0.0),
    "lstm": LSTM(horizon=HORIZON, hidden=16),
    "transformer": Transformer(horizon=HORIZON, width=16, heads=2, layers=1, feedforward=32, patch=4, dropout=0.0),
}
PARTS = ("future", "static", "categories")


def world(rows, seed):
    """Windows of a random walk with jobs: one step in twenty of the past, two in five of the future."""
    generator = np.random.default_rng(seed)
    share = np.repeat([0.05, 0.4], [CONTEXT, HORIZON])
    job = (generator.random((rows, CONTEXT + HORIZON)) < share).astype(np.float32)
    size = generator.uniform(0.5, 3.5, (rows, 1)).astype(np.float32)
    word = generator.integers(1, 3, (rows, 1))
    walk = np.cumsum(0.1 * generator.normal(size=job.shape), axis=1) + generator.normal(size=(rows, 1))
    cpu = (walk + size * np.where(word == 1, 1, -1) * job).astype(np.float32)
    inputs = Inputs(
        past=np.stack([cpu, job], axis=2)[:, :CONTEXT],
        future=job[:, CONTEXT:, None],
        static=size - 2,
        categories=word.astype(np.int32),
    )
    return jax.tree.map(jnp.asarray, Batch(inputs, cpu[:, CONTEXT:, None], np.ones((rows, HORIZON, 1), np.float32)))


def without(batch, part):
    """The batch with a covariate left out: the same for all rows, so that the same program can be trained on it."""
    inputs = batch.inputs._replace(**{part: jnp.zeros_like(getattr(batch.inputs, part))})
    return batch._replace(inputs=inputs._replace(past=inputs.past.at[..., 1].set(0)) if part == "future" else inputs)


def make_fit(model, steps=120, size=64):
    """A function `(train, test, seed) -> held-out MAE`, compiled once for all batches of the same shapes."""
    tx = optax.adam(optax.cosine_decay_schedule(1e-2, steps))
    step = make_train_step(model, mae, tx)

    @jax.jit
    def fit(train, test, seed):
        key = jax.random.key(seed)
        order = jax.random.randint(key, (steps, size), 0, len(train.targets))
        state = init_state(model, tx, key, train.inputs)
        state, _ = lax.scan(lambda state, rows: step(state, jax.tree.map(lambda x: x[rows], train)), state, order)
        return jnp.abs(model.apply(state.variables, test.inputs) - test.targets).mean()

    return fit


@functools.cache
def errors(name, seed=0):
    """The held-out MAE with all covariates, with one of them left out, and of the model that has none."""
    train, test = world(2048, seed), world(1024, 1000 + seed)
    fit = make_fit(MODELS[name].clone(categories=(2,)))
    found = {"all": float(fit(train, test, seed))}
    for part in PARTS:
        found[part] = float(fit(without(train, part), without(test, part), seed))
    train, test = (batch._replace(inputs=Inputs(past=batch.inputs.past[..., :1])) for batch in (train, test))
    return found | {"none": float(make_fit(MODELS[name])(train, test, seed))}


@pytest.mark.parametrize("left_out", [*PARTS, "none"])
@pytest.mark.parametrize("name", MODELS)
def test_a_model_with_all_covariates_beats_the_same_model_without(name, left_out):
    """Measured, three models and four seeds: 0.16-0.20 with all; 0.38-0.40 without the static number, 0.70-0.87 without
    the category, 0.83-0.89 without the known future, 0.86-0.91 without any: at most 0.52 of each.
    """
    found = errors(name)
    assert found["all"] < 0.6 * found[left_out], found
