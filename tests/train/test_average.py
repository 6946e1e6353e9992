"""Averages of parameters: by hand in float64, found wherever the optimiser keeps them, whole behind masks."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax.contrib import schedule_free, schedule_free_adamw, schedule_free_eval_params, schedule_free_sgd
from small import MODELS, small_windows
from tolerances import FLOAT32

from gym_jax import losses
from gym_jax.train.average import evaluation_params, evaluation_variables, weights_of, with_params
from gym_jax.train.step import init_state, make_eval_step, make_train_step

WINDOWS = small_windows()
BATCH = WINDOWS.take(jnp.arange(8))
MODEL = MODELS["mlp"]
DECAY = 0.25
FREE = schedule_free_sgd(0.1, b1=0.8)


def head_only(params):
    """True for the output layer, which is the last by name."""
    last = max(params)
    return {name: jax.tree.map(lambda _, own=name == last: own, layer) for name, layer in params.items()}


def labels(params):
    return jax.tree.map(lambda own: "learns" if own else "frozen", head_only(params))


def started(tx, ema=None, seed=0):
    return init_state(MODEL, tx, jax.random.key(seed), BATCH.inputs, ema=ema)


def trained(tx, steps=3, ema=None):
    """The state before and after a few steps."""
    first = started(tx, ema)
    step = jax.jit(make_train_step(MODEL, losses.mse, tx, ema=ema))
    state = first
    for _ in range(steps):
        state, _ = step(state, BATCH)
    return first, state


def test_three_steps_of_the_average_by_hand():
    tx, decay = optax.sgd(0.5), DECAY
    step = jax.jit(make_train_step(MODEL, losses.mse, tx, ema=decay))
    state = started(tx, ema=decay)
    expected = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), state.params)
    used = []
    for done in (1, 2, 3):
        state, _ = step(state, BATCH)
        used.append(min(decay, (1 + done) / (10 + done)))
        expected = jax.tree.map(
            lambda old, new, d=used[-1]: d * old + (1 - d) * np.asarray(new, np.float64), expected, state.params
        )
        for got, truth in zip(jax.tree.leaves(state.ema), jax.tree.leaves(expected), strict=True):
            assert got.dtype == jnp.float32
            np.testing.assert_allclose(got, truth, rtol=0, atol=FLOAT32 * np.abs(truth).max())
    assert used == [2 / 11, 0.25, 0.25], "warm-up, then the decay"


def test_the_average_changes_nothing_in_training_and_begins_as_a_copy():
    plain, averaged = trained(optax.adamw(1e-2)), trained(optax.adamw(1e-2), ema=0.9)
    chex.assert_trees_all_equal(plain[1]._replace(ema=()), averaged[1]._replace(ema=()))
    chex.assert_trees_all_equal(averaged[0].ema, averaged[0].params)
    assert plain[0].ema == plain[1].ema == ()


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    "begun", [started, lambda tx, ema: with_params(started(tx, ema), tx, started(tx, seed=1).params)]
)
def test_the_state_owns_every_buffer_once(begun, compiled):
    tx = FREE
    begin = functools.partial(begun, tx, ema=0.9)
    state = (jax.jit(begin) if compiled else begin)()
    places = [leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves(state._replace(key=()))]
    assert len(places) == len(set(places))
    jax.jit(make_train_step(MODEL, losses.mse, tx, ema=0.9), donate_argnums=0)(state, BATCH)


@pytest.mark.parametrize("kept", [None, 0.9])
def test_state_and_step_must_agree_about_the_average(kept):
    step = make_train_step(MODEL, losses.mse, FREE, ema=0.9 if kept is None else None)
    with pytest.raises(ValueError, match="the same `ema`"):
        step(started(FREE, ema=kept), BATCH)


def test_without_any_average_the_parameters_are_judged():
    _, state = trained(optax.adamw(1e-2))
    assert weights_of(state) == "trained"
    assert evaluation_params(state) is state.params
    chex.assert_trees_all_equal(evaluation_variables(state), state.variables)


def test_the_running_average_comes_first():
    _, state = trained(FREE, ema=0.9)
    assert weights_of(state) == "ema"
    assert evaluation_params(state) is state.ema
    assert state.variables["params"] is state.params


WRAPPED = {
    "bare": FREE,
    "adamw": schedule_free_adamw(0.01),
    "clipped": optax.chain(optax.clip_by_global_norm(1.0), FREE),
    "named": optax.named_chain(("clip", optax.clip(1.0)), ("free", FREE)),
    "around a chain": schedule_free(optax.chain(optax.clip(1.0), optax.sgd(0.1)), 0.1),
    "finite": optax.apply_if_finite(FREE, 3),
    "accumulating": optax.MultiSteps(FREE, 2).gradient_transformation(),
    "injected": optax.inject_hyperparams(schedule_free_sgd)(learning_rate=0.1),
    "deep": optax.chain(optax.clip(1.0), optax.apply_if_finite(optax.chain(optax.clip(2.0), FREE), 3)),
}


def free_state(opt_state):
    """The schedule-free state, by optax's own search."""
    return next(
        node
        for node in jax.tree.leaves(opt_state, is_leaf=lambda node: hasattr(node, "weight_sum"))
        if hasattr(node, "weight_sum")
    )


@pytest.mark.parametrize("kind", WRAPPED)
def test_schedule_free_is_found_wherever_it_is(kind):
    _, state = trained(WRAPPED[kind], steps=4)
    expected = schedule_free_eval_params(free_state(state.opt_state), state.params)
    assert weights_of(state) == "schedule_free"
    chex.assert_trees_all_equal(evaluation_params(state), expected)
    with pytest.raises(AssertionError):
        chex.assert_trees_all_close(expected, state.params, rtol=1e-4)


FROZEN = {
    "partition": optax.partition({"learns": FREE, "frozen": optax.set_to_zero()}, labels),
    "masked": optax.chain(
        optax.masked(FREE, head_only),
        optax.masked(optax.set_to_zero(), lambda params: jax.tree.map(lambda own: not own, head_only(params))),
    ),
}


@pytest.mark.parametrize("kind", FROZEN)
def test_frozen_leaves_keep_their_own_value(kind):
    first, state = trained(optax.chain(optax.clip_by_global_norm(1.0), FROZEN[kind]), steps=4)
    params = evaluation_params(state)
    chex.assert_trees_all_equal_shapes_and_dtypes(params, state.params)
    found = free_state(state.opt_state)
    last = max(params)
    for name in params:
        if name != last:
            chex.assert_trees_all_equal(params[name], first.params[name])
    expected = jax.tree.map(
        lambda y, z: (np.asarray(y, np.float64) - 0.2 * np.asarray(z, np.float64)) / 0.8,
        state.params[last],
        found.z[last],
    )
    chex.assert_trees_all_close(params[last], expected, rtol=1e-5, atol=FLOAT32)
    assert (params[last]["kernel"] != state.params[last]["kernel"]).any()


def test_two_schedule_free_parts_are_each_averaged_their_own_way():
    parts = {"learns": schedule_free_sgd(0.1, b1=0.5), "frozen": schedule_free_sgd(0.3, b1=0.9)}
    _, state = trained(optax.partition(parts, labels), steps=4)
    params = evaluation_params(state)
    inner = {name: part.inner_state for name, part in state.opt_state.inner_states.items()}
    last = max(params)
    for name in params:
        b1, z = (0.5, inner["learns"].z) if name == last else (0.9, inner["frozen"].z)
        expected = jax.tree.map(lambda y, z, b1=b1: (y - (1 - b1) * z) / b1, state.params[name], z[name])
        chex.assert_trees_all_close(params[name], expected, rtol=1e-5, atol=FLOAT32)


STATES = {
    "trained": (optax.sgd(0.1), None),
    "ema": (optax.sgd(0.1), 0.9),
    "schedule_free": (FREE, None),
    "frozen": (FROZEN["partition"], None),
}


@pytest.mark.parametrize("kind", STATES)
def test_shapes_host_trees_and_stacked_states_are_judged_alike(kind):
    tx, ema = STATES[kind]
    _, state = trained(tx, ema=ema)
    params = evaluation_params(state)
    shapes = jax.eval_shape(evaluation_params, jax.eval_shape(functools.partial(started, tx, ema)))
    chex.assert_trees_all_equal_shapes_and_dtypes(shapes, params)
    host = evaluation_params(jax.device_get(state._replace(key=None)))
    assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(host))
    chex.assert_trees_all_close(host, params, rtol=1e-5, atol=FLOAT32)
    keys = jax.random.split(jax.random.key(0), 3)
    step = make_train_step(MODEL, losses.mse, tx, ema=ema)

    def run(key):
        state = init_state(MODEL, tx, key, BATCH.inputs, ema=ema)
        return jax.lax.fori_loop(0, 3, lambda _, s: step(s, BATCH)[0], state)

    stacked = jax.jit(jax.vmap(run))(keys)
    assert weights_of(stacked) == weights_of(state) == ("schedule_free" if kind == "frozen" else kind)
    one = evaluation_params(jax.tree.map(lambda leaf: leaf[1], stacked))
    for judged in (evaluation_params(stacked), jax.jit(jax.vmap(evaluation_params))(stacked)):
        chex.assert_trees_all_close(jax.tree.map(lambda leaf: leaf[1], judged), one, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("kind", STATES)
def test_the_evaluation_step_judges_the_averaged_parameters(kind):
    tx, ema = STATES[kind]
    _, state = trained(tx, ema=ema)
    got = make_eval_step(MODEL, losses.mse)(state, BATCH)["loss"].value
    prediction = MODEL.apply(evaluation_variables(state), BATCH.inputs)
    seen = np.asarray(BATCH.weights) > 0
    expected = np.square(np.asarray(prediction, np.float64) - np.asarray(BATCH.targets))[seen].mean()
    np.testing.assert_allclose(got, expected, rtol=FLOAT32)


@pytest.mark.parametrize("ema", [None, 0.9])
def test_begun_anew_from_other_parameters(ema):
    tx = optax.chain(optax.clip_by_global_norm(1.0), schedule_free_adamw(0.01))
    _, state = trained(tx, ema=ema)
    other = started(tx, ema, seed=5)
    anew = with_params(state, tx, other.params)
    assert int(anew.step) == 0
    chex.assert_trees_all_equal(anew, other._replace(key=state.key))
    chex.assert_trees_all_close(evaluation_params(anew), other.params, atol=FLOAT32)
