"""The step in micro-batches is the step on the whole batch: weights, padding, statistics, dropout, memory, devices."""

import functools
import re

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from small import MODELS, small_windows, without_dropout
from tolerances import FLOAT32, FLOAT64

from gym_jax import losses
from gym_jax.data import shuffled
from gym_jax.train.average import with_params
from gym_jax.train.checkpoint import restore_checkpoint, save_checkpoint
from gym_jax.train.flops import count_flops
from gym_jax.train.parallel import AXIS, make_layout
from gym_jax.train.step import init_state, make_train_step
from gym_jax.types import Batch, Inputs

WINDOWS = small_windows()


class Counting(nn.Module):
    """A perceptron with a collection: how often it was called, and a mean that remembers the order of its inputs."""

    @nn.compact
    def __call__(self, inputs, *, train=False):
        calls = self.variable("seen", "calls", lambda: jnp.zeros((), jnp.int32))
        mean = self.variable("seen", "mean", lambda: jnp.zeros(()))
        if train:
            calls.value = calls.value + 1
            mean.value = 0.5 * mean.value + 0.5 * inputs.past[:, :, 0].mean().astype(mean.value.dtype)
        hidden = nn.Dense(8, param_dtype=inputs.past.dtype)(inputs.past[:, :, 0])
        return nn.Dense(4, param_dtype=inputs.past.dtype)(nn.tanh(hidden))[..., None]


def a_batch(rows, dtype=jnp.float32):
    """Random rows; most of the weight lies in the first half, one row has none, and its target is NaN."""
    generator = np.random.default_rng(rows)
    weights = generator.integers(0, 3, size=(rows, 4, 1)) * (1.0 + 9.0 * (np.arange(rows) < rows / 2))[:, None, None]
    weights[1] = 0
    targets = generator.normal(size=(rows, 4, 1))
    targets[1] = np.nan
    past = generator.normal(size=(rows, 6, 1))
    return Batch(*jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), (Inputs(past=past), targets, weights)))


def assert_close(left, right, tolerance):
    """Every leaf, relative to its largest value."""
    for a, b in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(float(jnp.abs(b).max()), 1e-30))


def stepped(batch, accumulate, params=None):
    """The gradients of a step, kept by momentum as they came, with metrics and the state."""
    model, tx = Counting(), optax.sgd(1.0, momentum=0.9)
    state = init_state(model, tx, jax.random.key(0), batch.inputs)
    if params is not None:
        state = with_params(state, tx, params)
    state, metrics = jax.jit(make_train_step(model, losses.mse, tx, accumulate=accumulate))(state, batch)
    return optax.tree.get(state.opt_state, "trace"), metrics, state


@pytest.mark.parametrize("rows", [12, 10, 13], ids=["divides", "two short", "one over"])
@pytest.mark.parametrize("accumulate", [2, 4])
def test_micro_batches_are_the_batch_in_float64_and_in_float32(rows, accumulate):
    params = init_state(Counting(), optax.sgd(1.0), jax.random.key(1), a_batch(rows).inputs).params
    single = stepped(a_batch(rows), accumulate, params)[:2]
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), params)
        whole, parts = (stepped(a_batch(rows, jnp.float64), split, wide)[:2] for split in (1, accumulate))
        assert parts[0]["Dense_0"]["kernel"].dtype == parts[1]["loss"].total.dtype == jnp.float64
        assert_close(parts, whole, FLOAT64)
        assert_close(single, whole, FLOAT32)


def test_a_batch_without_weight_moves_nothing():
    batch = a_batch(8)._replace(weights=jnp.zeros((8, 4, 1)))
    grads, metrics, _ = stepped(batch, 4)
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(grads))
    assert float(metrics["loss"].count) == 0


def test_collections_pass_from_one_micro_batch_to_the_next():
    batch = a_batch(10)
    seen = stepped(batch, 4)[2].collections["seen"]
    past = np.asarray(batch.inputs.past[:, :, 0], np.float64)
    mean = 0.0
    for part in range(4):  # every fourth row; rows 0 and 1 come round again to fill the last two parts
        mean = 0.5 * mean + 0.5 * past[[row % 10 for row in (part, part + 4, part + 8)]].mean()
    assert int(seen["calls"]) == 4
    np.testing.assert_allclose(seen["mean"], mean, rtol=FLOAT32)


def test_one_optimiser_step_a_batch_whatever_it_is_split_into():
    batch, tx = a_batch(12), optax.adam(lambda count: 0.1 / (1 + count))
    for accumulate in (1, 3):
        state = init_state(Counting(), tx, jax.random.key(0), batch.inputs)
        step = jax.jit(make_train_step(Counting(), losses.mse, tx, accumulate=accumulate))
        for _ in range(2):
            state, _ = step(state, batch)
        assert int(state.step) == 2
        assert int(optax.tree.get(state.opt_state, "count", filtering=lambda p, _: "Schedule" in str(p))) == 2


class Noise(nn.Module):
    """prediction = w + dropout of ones: what was drawn can be read off."""

    @nn.compact
    def __call__(self, inputs, *, train=False):
        w = self.param("w", nn.initializers.zeros, ())
        return w + nn.Dropout(0.5, deterministic=not train)(jnp.ones_like(inputs.past))


def test_each_micro_batch_draws_its_own_dropout():
    rows, accumulate, tx = 4, 2, optax.sgd(1.0)
    inputs = Inputs(past=jnp.ones((rows, 64, 1)))
    batch = Batch(inputs, jnp.zeros((rows, 64, 1)), jnp.ones((rows, 64, 1)))
    state = init_state(Noise(), tx, jax.random.key(0), inputs)
    masks = []

    def watched(prediction, target):
        jax.debug.callback(lambda seen: masks.append(np.asarray(seen)), prediction)
        return losses.mse(prediction, target)

    new, metrics = make_train_step(Noise(), watched, tx, accumulate=accumulate)(state, batch)
    jax.effects_barrier()
    key = jax.random.fold_in(state.key, 0)
    drawn = [
        Noise().apply({"params": state.params}, Inputs(past=inputs.past[::2]), train=True, rngs={"dropout": own})
        for own in (jax.random.fold_in(key, 0), jax.random.fold_in(key, 1))
    ]
    assert (drawn[0] != drawn[1]).any()
    for mask, expected in zip(masks, drawn, strict=True):
        np.testing.assert_array_equal(mask, expected)
    np.testing.assert_allclose(new.params["w"], -2 * np.mean(drawn), rtol=FLOAT32)
    np.testing.assert_allclose(metrics["loss"].value, np.mean(np.square(drawn)), rtol=FLOAT32)


def without_addresses(program):
    return re.sub("0x[0-9a-f]+", "", program)


def test_one_micro_batch_is_the_program_without_any():
    batch, tx = WINDOWS.take(jnp.arange(8)), optax.adamw(1e-3)
    state = init_state(MODELS["mlp"], tx, jax.random.key(0), batch.inputs)
    plain, one, two = (
        str(jax.make_jaxpr(make_train_step(MODELS["mlp"], losses.mae, tx, **settings))(state, batch))
        for settings in ({}, {"accumulate": 1}, {"accumulate": 2})
    )
    assert without_addresses(plain) == without_addresses(one)
    assert "scan[" not in one
    assert "scan[" in two


def test_operations_are_those_of_the_batch_and_memory_that_of_a_part():
    model, tx = without_dropout(MODELS["transformer"]), optax.sgd(0.1)
    batch = WINDOWS.take(jnp.arange(64))
    state = init_state(model, tx, jax.random.key(0), batch.inputs)
    steps = [make_train_step(model, losses.mse, tx, accumulate=parts) for parts in (1, 8)]
    flops = [count_flops(step, state, batch) for step in steps]
    memory = [jax.jit(s).lower(state, batch).compile().memory_analysis().temp_size_in_bytes for s in steps]
    assert flops[1] == pytest.approx(flops[0], rel=0.01)
    assert memory[1] < memory[0] / 3


@pytest.mark.parametrize("kind", MODELS)
def test_the_split_moves_no_row_from_one_device_to_another(kind):
    layout = make_layout("shard", 4)
    whole, rows = NamedSharding(layout.mesh, P()), NamedSharding(layout.mesh, P(AXIS))
    model, tx, batch = without_dropout(MODELS[kind]), optax.sgd(0.1), WINDOWS.take(jnp.arange(16))
    state = init_state(model, tx, jax.random.key(0), batch.inputs)
    step = make_train_step(model, losses.mse, tx, accumulate=2)
    program = jax.jit(step, in_shardings=(whole, rows), out_shardings=whole).lower(state, batch).compile().as_text()
    assert "all-reduce" in program
    for word in ("all-gather", "all-to-all", "collective-permute"):
        assert word not in program


def test_settings_out_of_range_and_too_few_rows_are_refused():
    for wrong in ({"accumulate": 0}, {"ema": 0.0}, {"ema": 1.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            make_train_step(Counting(), losses.mse, optax.sgd(0.1), **wrong)
    with pytest.raises(ValueError, match="3 rows can not be split into 4 micro-batches"):
        stepped(a_batch(3), 4)


def test_accumulation_does_not_retrace():
    batch, tx = a_batch(10), optax.sgd(0.1)
    step = make_train_step(Counting(), losses.mse, tx, accumulate=4, ema=0.9)
    compiled = jax.jit(chex.assert_max_traces(step, n=1))
    for seed in range(2):
        state = init_state(Counting(), tx, jax.random.key(seed), batch.inputs, ema=0.9)
        for _ in range(3):
            state, _ = compiled(state, batch)


@pytest.mark.parametrize("kind", MODELS)
def test_saved_and_resumed_with_average_and_micro_batches(kind, tmp_path):
    model, tx, order = MODELS[kind], optax.adamw(1e-2), jnp.asarray(shuffled(0, 0, len(WINDOWS), 16)[:6])
    step = make_train_step(model, losses.huber, tx, accumulate=4, ema=0.9)
    run = jax.jit(lambda s, o: jax.lax.scan(lambda s, i: step(s, WINDOWS.take(i)), s, o)[0], donate_argnums=0)
    start = functools.partial(init_state, model, tx, jax.random.key(3), WINDOWS.take(jnp.arange(2)).inputs, ema=0.9)
    whole = run(run(start(), order[:3]), order[3:])
    path = save_checkpoint(tmp_path, 3, run(start(), order[:3]))
    resumed = run(restore_checkpoint(path, jax.eval_shape(start)), order[3:])
    chex.assert_trees_all_equal(resumed, whole)


@pytest.mark.parametrize("kind", ["mlp", "lstm"])
def test_a_vmapped_member_is_the_single_run(kind):
    model, tx, order = without_dropout(MODELS[kind]), optax.sgd(0.05), jnp.asarray(shuffled(0, 0, len(WINDOWS), 15)[:3])
    step = make_train_step(model, losses.huber, tx, accumulate=4, ema=0.9)

    def run(key):
        state = init_state(model, tx, key, WINDOWS.take(order[0]).inputs, ema=0.9)
        return jax.lax.scan(lambda s, i: step(s, WINDOWS.take(i)), state, order)[0]

    keys = jax.random.split(jax.random.key(9), 3)
    member = jax.tree.map(lambda leaf: leaf[1], jax.jit(jax.vmap(run))(keys))
    alone = jax.jit(run)(keys[1])
    chex.assert_trees_all_close((member.params, member.ema), (alone.params, alone.ema), atol=2e-6)
