"""The programs lower for every accelerator on a machine that has none."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from gym_jax.data.panel import Panel
from gym_jax.data.scale import Scaler
from gym_jax.data.windows import make_windows
from gym_jax.losses import mae, mse
from gym_jax.models import MODELS
from gym_jax.optim import adamw, clipped
from gym_jax.train.parallel import make_forecast
from gym_jax.train.step import init_state, make_eval_step, make_train_step
from gym_jax.types import Batch, Inputs

PLATFORMS = ("cpu", "cuda", "tpu")
SETTINGS = {
    "mlp": {"hidden": (16,)},
    "lstm": {"hidden": 8, "layers": 2, "bidirectional": True, "dropout": 0.1},
    "transformer": {"width": 8, "heads": 2, "layers": 1, "feedforward": 16},
}
ROWS, CONTEXT, HORIZON, CHANNELS = 100, 24, 6, 3


def abstract(shape, dtype=jnp.float32):
    return jax.ShapeDtypeStruct(shape, dtype)


BATCH = Batch(
    Inputs(past=abstract((8, CONTEXT, CHANNELS)), mask=abstract((8, CONTEXT, CHANNELS), jnp.bool_)),
    targets=abstract((8, HORIZON, 1)),
    weights=abstract((8, HORIZON, 1)),
)
TX = clipped(adamw(1e-3), 1.0)


def started(kind):
    """The model and its state in shapes only."""
    model = MODELS[kind].module(horizon=HORIZON, **SETTINGS[kind])
    return model, jax.eval_shape(functools.partial(init_state, model, TX), jax.random.key(0), BATCH.inputs)


def assert_lowers(function, *args):
    exported = export.export(jax.jit(function), platforms=PLATFORMS)(*args)
    assert exported.platforms == PLATFORMS
    return exported


@pytest.mark.parametrize("kind", SETTINGS)
def test_the_train_step_lowers_for_every_platform(kind):
    model, state = started(kind)
    exported = assert_lowers(make_train_step(model, mse, TX), state, BATCH)
    assert len(exported.out_avals) == len(jax.tree.leaves(state)) + 4


@pytest.mark.parametrize("kind", SETTINGS)
def test_the_evaluation_step_lowers_for_every_platform(kind):
    model, state = started(kind)
    exported = assert_lowers(make_eval_step(model, mse, {"mae": mae}), state, BATCH)
    assert len(exported.out_avals) == 4


@pytest.mark.parametrize("kind", SETTINGS)
def test_the_forecast_over_windows_lowers_for_every_platform(kind):
    model, state = started(kind)
    seen, rows = np.arange(ROWS * CHANNELS).reshape(ROWS, CHANNELS) % 7 > 0, np.arange(30, 60)
    panel = Panel(("a",), ("x", "y", "z"), 1, seen * 1.0, seen, np.array([0, ROWS]), np.zeros(1), 1)
    scaler = Scaler(np.zeros((1, CHANNELS)), np.ones((1, CHANNELS)), shared=True)
    windows = make_windows(panel, scaler, rows, 0 * rows, context=CONTEXT, horizon=HORIZON)
    exported = assert_lowers(make_forecast(model), state.variables, windows, abstract((2, 8), jnp.int32))
    assert exported.out_avals[0].shape == (2, 8, HORIZON, 1)
