import functools
import itertools
import math

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from gym_jax.losses import mse
from gym_jax.models import LSTM, MLP, Transformer
from gym_jax.optim import adamw
from gym_jax.train.flops import count_flops
from gym_jax.train.step import init_state, make_train_step
from gym_jax.types import Batch, Inputs

ROWS, CONTEXT, CHANNELS, HORIZON = 16, 20, 3, 6
LEFT, RIGHT = jnp.zeros((2, 3)), jnp.zeros((3, 5))
PRODUCT = 2 * 2 * 3 * 5


def train_step_flops(model):
    def abstract(*shape):
        return jax.ShapeDtypeStruct(shape, jnp.float32)

    targets = abstract(ROWS, HORIZON, model.targets)
    batch = Batch(Inputs(past=abstract(ROWS, CONTEXT, CHANNELS)), targets, targets)
    tx = adamw(1e-3)
    state = jax.eval_shape(functools.partial(init_state, model, tx), jax.random.key(0), batch.inputs)
    return count_flops(jax.jit(make_train_step(model, mse, tx)), state, batch)


def test_products_count_two_per_multiply_add():
    assert count_flops(jnp.matmul, LEFT, RIGHT) == PRODUCT
    assert count_flops(jax.jit(jnp.matmul), LEFT, RIGHT) == PRODUCT
    assert count_flops(jax.vmap(jnp.matmul, (0, None)), jnp.zeros((7, 2, 3)), RIGHT) == 7 * PRODUCT
    assert count_flops(jnp.add, LEFT, LEFT) == 0


def test_loops_are_multiplied_out():
    def scanned(left):
        return lax.scan(lambda carry, _: (carry, left @ RIGHT), 0.0, length=4)

    def twice(left):
        return lax.map(lambda _: scanned(left), jnp.arange(3))

    assert count_flops(scanned, LEFT) == 4 * PRODUCT
    assert count_flops(twice, LEFT) == 12 * PRODUCT


def test_a_condition_counts_its_dearest_branch_and_a_while_once():
    def either(left):
        return lax.cond(left.sum() > 0, lambda: (left @ RIGHT).sum(), lambda: (left @ RIGHT[:, :1]).sum())

    def until(left):
        return lax.while_loop(lambda total: total < 9, lambda total: total + (left @ RIGHT).sum(), 0.0)

    assert count_flops(either, LEFT) == PRODUCT
    assert count_flops(until, LEFT) == PRODUCT


@pytest.mark.parametrize("hidden", [(32,), (32, 24, 8)])
def test_mlp_is_three_products_per_weight_but_the_first_layers_input(hidden):
    widths = (CONTEXT * CHANNELS, *hidden, HORIZON)
    weights = [rows * columns for rows, columns in itertools.pairwise(widths)]
    expected = 2 * ROWS * (3 * sum(weights) - weights[0])
    assert train_step_flops(MLP(horizon=HORIZON, hidden=hidden)) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("kernel", ["plain", "fast"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_lstm_counts_every_time_step(layers, bidirectional, kernel):
    """The fast kernel multiplies the bias too, as one feature more, forwards and for its gradient."""
    hidden, directions = 12, 1 + bidirectional
    expected = 3 * 2 * ROWS * directions * hidden * HORIZON
    for layer in range(layers):
        features = CHANNELS if layer == 0 else directions * hidden
        free = features if layer == 0 else 0
        expected += directions * 2 * ROWS * CONTEXT * 4 * hidden * (3 * (features + hidden) - free)
        expected += (kernel == "fast") * directions * 2 * ROWS * CONTEXT * 4 * hidden * 2
    model = LSTM(horizon=HORIZON, hidden=hidden, layers=layers, bidirectional=bidirectional, kernel=kernel)
    assert train_step_flops(model) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("channels", ["mixed", "separate"])
def test_transformer_is_three_times_its_forward_products(channels):
    width, feedforward, layers, patch, targets = 16, 40, 2, 6, 2
    tokens = math.ceil(CONTEXT / patch)
    rows, features, outputs = (
        (ROWS, CHANNELS, HORIZON * targets) if channels == "mixed" else (ROWS * targets, 1, HORIZON)
    )
    block = tokens * width * (3 * width + width + 2 * tokens + 2 * feedforward)
    forward = 2 * rows * (tokens * patch * features * width + layers * block + tokens * width * outputs)
    model = Transformer(
        horizon=HORIZON,
        targets=targets,
        width=width,
        heads=4,
        layers=layers,
        feedforward=feedforward,
        patch=patch,
        channels=channels,
    )
    counted = train_step_flops(model)
    assert counted == pytest.approx(3 * forward, rel=0.1)
    embedding = 2 * rows * tokens * patch * features * width
    assert counted == pytest.approx(3 * forward - embedding, rel=0.02)
