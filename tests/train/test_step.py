"""The step by hand, as a scan body, under vmap; no retrace; weights decide what counts."""

import functools

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small import MODELS, small_windows

from gym_jax import losses
from gym_jax.data import shuffled
from gym_jax.optim import clipped, frozen, matching
from gym_jax.train.step import init_state, make_eval_step, make_train_step
from gym_jax.types import Batch, Inputs


class Slope(nn.Module):
    """prediction = w * last value: one parameter, started at 2."""

    @nn.compact
    def __call__(self, inputs, *, train=False):
        return self.param("w", nn.initializers.constant(2.0), ()) * inputs.past[:, -1:]


def slope_batch(weights=((1.0, 0.0), (1.0, 0.0), (0.0, 0.0))):
    past = jnp.array([1.0, 2.0, jnp.nan])[:, None, None]
    targets = jnp.array([[[1.0], [9.0]], [[5.0], [9.0]], [[jnp.nan], [9.0]]])
    return Batch(Inputs(past=jnp.nan_to_num(past)), targets, jnp.array(weights)[..., None])


class TwoSteps(nn.Module):
    """The slope, for both steps of the horizon."""

    @nn.compact
    def __call__(self, inputs, *, train=False):
        return jnp.repeat(Slope(name="slope")(inputs), 2, axis=1)


def test_by_hand():
    # two weighted elements: errors 2*1-1 = 1 and 2*2-5 = -1; d/dw of mean squared error = (2*1*1 + 2*(-1)*2) / 2 = -1
    model, tx = TwoSteps(), optax.sgd(0.5)
    batch = slope_batch()
    state = init_state(model, tx, jax.random.key(0), batch.inputs)
    state, metrics = make_train_step(model, losses.mse, tx)(state, batch)
    assert float(state.params["slope"]["w"]) == 2.5
    assert (float(metrics["loss"].total), float(metrics["loss"].count)) == (2.0, 2.0)
    assert float(metrics["grad_norm"].value) == 1.0
    assert int(state.step) == 1


def test_weights_below_one_are_weights_like_others():
    model, tx = TwoSteps(), optax.sgd(0.5)
    batch = slope_batch(np.array(slope_batch().weights[..., 0]) / 4)
    state = init_state(model, tx, jax.random.key(0), batch.inputs)
    state, metrics = make_train_step(model, losses.mse, tx)(state, batch)
    assert float(state.params["slope"]["w"]) == 2.5
    assert float(metrics["loss"].value) == 1.0


class Root(nn.Module):
    """prediction = w * last value + sqrt(still), whose slope at 0 has no end."""

    @nn.compact
    def __call__(self, inputs, *, train=False):
        return TwoSteps(name="slopes")(inputs) + jnp.sqrt(self.param("still", nn.initializers.zeros, ()))


def test_the_gradient_norm_is_of_what_is_trained():
    batch, model = slope_batch(), Root()
    tx = frozen(clipped(optax.sgd(0.5), 10.0), ["still"])
    state = init_state(model, tx, jax.random.key(0), batch.inputs)
    _, metrics = make_train_step(model, losses.mse, tx)(state, batch)
    assert not np.isfinite(metrics["grad_norm"].value)
    freeze = functools.partial(matching, patterns=["still"])
    after, metrics = make_train_step(model, losses.mse, tx, freeze=freeze)(state, batch)
    assert float(metrics["grad_norm"].value) == 1.0
    assert (float(after.params["slopes"]["slope"]["w"]), float(after.params["still"])) == (2.5, 0.0)


def test_without_weight_nothing_counts_not_even_nan():
    model, tx = TwoSteps(), optax.sgd(0.5)
    batch = slope_batch(np.zeros((3, 2)))
    state = init_state(model, tx, jax.random.key(0), batch.inputs)
    state, metrics = make_train_step(model, losses.mse, tx)(state, batch)
    assert float(state.params["slope"]["w"]) == 2.0
    assert float(metrics["loss"].count) == 0


def test_a_loss_that_is_a_mean_is_refused():
    model, tx = TwoSteps(), optax.sgd(0.5)
    batch = slope_batch()
    state = init_state(model, tx, jax.random.key(0), batch.inputs)
    with pytest.raises(ValueError, match="elementwise"):
        make_train_step(model, lambda p, t: jnp.mean(p - t), tx)(state, batch)


@pytest.mark.parametrize("make", [make_train_step, make_eval_step])
def test_a_model_of_another_shape_is_refused_even_where_it_would_broadcast(make):
    model, tx = Slope(), optax.sgd(0.5)
    batch = slope_batch()
    state = init_state(model, tx, jax.random.key(0), batch.inputs)
    step = make(model, losses.mse, tx) if make is make_train_step else make(model, losses.mse)
    with pytest.raises(ValueError, match=r"answers with shape \(3, 1, 1\) for targets of shape \(3, 2, 1\)"):
        step(state, batch)


@pytest.mark.parametrize("make", [make_train_step, make_eval_step])
@pytest.mark.parametrize(
    ("short", "said"),
    [
        ("answers", r"answers with shape \(3, 2\) for targets of shape \(3, 2, 1\)"),
        ("weights", r"the weights have shape \(3,\) and the targets \(3, 2, 1\)"),
    ],
)
def test_an_axis_that_is_lacking_is_named(make, short, said):
    class Flat(TwoSteps):
        @nn.compact
        def __call__(self, inputs, *, train=False):
            both = jnp.repeat(Slope(name="slope")(inputs), 2, axis=1)
            return both[..., 0] if short == "answers" else both

    model, tx, batch = Flat(), optax.sgd(0.5), slope_batch()
    if short == "weights":
        batch = batch._replace(weights=jnp.ones(3))
    state = init_state(model, tx, jax.random.key(0), batch.inputs)
    step = make(model, losses.mse, tx) if make is make_train_step else make(model, losses.mse)
    with pytest.raises(ValueError, match=said):
        step(state, batch)


def test_an_optimiser_that_asks_for_the_loss_gets_it():
    seen = []

    def update(updates, state, params=None, *, value, **extra):
        seen.append(float(value))
        return updates, state

    tx = optax.chain(optax.GradientTransformationExtraArgs(optax.init_empty_state, update), optax.sgd(0.5))
    model, batch = TwoSteps(), slope_batch()
    state = init_state(model, tx, jax.random.key(0), batch.inputs)
    _, metrics = make_train_step(model, losses.mse, tx)(state, batch)
    assert seen == [float(metrics["loss"].value)]


@pytest.mark.parametrize("kind", MODELS)
def test_loop_equals_scan_equals_vmapped_member(kind):
    model, tx, examples = MODELS[kind], optax.adamw(1e-2), small_windows()
    step = make_train_step(model, losses.huber, tx)
    order = shuffled(0, 0, len(examples), 16)[:4]
    inputs = examples.take(jnp.asarray(order[0])).inputs
    start = functools.partial(init_state, model, tx, inputs=inputs)

    def run(key):
        return jax.lax.scan(lambda s, i: step(s, examples.take(i)), start(key), jnp.asarray(order))[0]

    one = jax.jit(run)(jax.random.key(1))
    looped = start(jax.random.key(1))
    single = jax.jit(lambda s, i: step(s, examples.take(i))[0])
    for indices in order:
        looped = single(looped, jnp.asarray(indices))
    member = jax.tree.map(lambda leaf: leaf[1], jax.jit(jax.vmap(run))(jax.random.split(jax.random.key(9), 3)))
    alone = jax.jit(run)(jax.random.split(jax.random.key(9), 3)[1])
    chex.assert_trees_all_close(looped.params, one.params, atol=1e-6)
    chex.assert_trees_all_close(member.params, alone.params, atol=1e-5)


def test_dropout_is_an_address_not_a_stream():
    model, tx, examples = MODELS["mlp"], optax.sgd(0.1), small_windows()
    batch = examples.take(jnp.arange(8))
    step = jax.jit(make_train_step(model, losses.mse, tx))
    state = init_state(model, tx, jax.random.key(0), batch.inputs)
    first, again = step(state, batch)[0], step(state, batch)[0]
    chex.assert_trees_all_equal(first.params, again.params)
    later = step(state._replace(step=state.step + 1), batch)[0]
    with pytest.raises(AssertionError):
        chex.assert_trees_all_equal(first.params, later.params)


def test_a_rebuilt_optimiser_does_not_retrace():
    model, examples = MODELS["mlp"], small_windows()
    batch = examples.take(jnp.arange(8))
    step = jax.jit(chex.assert_max_traces(make_train_step(model, losses.mse, optax.adamw(1e-3)), n=1))
    for _ in range(3):
        state = init_state(model, optax.adamw(1e-3), jax.random.key(0), batch.inputs)
        for _ in range(2):
            state, _ = step(state, batch)


def test_eval_step_adds_up_over_ragged_batches():
    model, tx, examples = MODELS["lstm"], optax.sgd(0.1), small_windows()
    evaluate = jax.jit(make_eval_step(model, losses.mse, {"mae": losses.mae}))
    state = init_state(model, tx, jax.random.key(0), examples.take(jnp.arange(2)).inputs)
    whole = evaluate(state, examples.take(jnp.arange(10)))
    parts = [evaluate(state, examples.take(jnp.array(i))) for i in ([0, 1, 2, 3], [4, 5, 6, 7], [8, 9, -1, -1])]
    for name in ("loss", "mae"):
        total = parts[0][name] + parts[1][name] + parts[2][name]
        np.testing.assert_allclose(total.value, whole[name].value, rtol=1e-6)
        assert float(total.count) == float(whole[name].count)
