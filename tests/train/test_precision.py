"""A model may compute in bfloat16; what is summed, divided, differentiated, averaged and kept is float32."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small import small_windows
from tolerances import FLOAT32

from gym_jax import losses
from gym_jax.train.average import evaluation_variables
from gym_jax.train.step import init_state, make_eval_step, make_train_step
from gym_jax.types import Batch, Inputs

BATCH = small_windows().take(jnp.arange(8))


class Half(nn.Module):
    """A perceptron that computes in bfloat16 and keeps float32 parameters, as Linen's `dtype` does."""

    dtype: jnp.dtype = jnp.bfloat16

    @nn.compact
    def __call__(self, inputs, *, train=False):
        hidden = nn.relu(nn.Dense(16, dtype=self.dtype)(inputs.past[..., 0]))
        return nn.Dense(4, dtype=self.dtype)(hidden)[..., None]


class Given(nn.Module):
    """prediction = w * last value in bfloat16."""

    @nn.compact
    def __call__(self, inputs, *, train=False):
        w = self.param("w", nn.initializers.ones, ())
        return (w * inputs.past[:, -1:]).astype(jnp.bfloat16)


def equations(jaxpr):
    """All equations of a program, those of its subprograms too."""
    for equation in jaxpr.eqns:
        yield equation
        for value in equation.params.values():
            for inner in value if isinstance(value, tuple | list) else (value,):
                inner = getattr(inner, "jaxpr", inner)
                if hasattr(inner, "eqns"):
                    yield from equations(inner)


def started(loss=losses.huber, **settings):
    model, tx = Half(), optax.adamw(1e-3)
    state = init_state(model, tx, jax.random.key(0), BATCH.inputs, ema=0.9)
    return state, make_train_step(model, loss, tx, ema=0.9, **settings), make_eval_step(model, loss)


@pytest.mark.parametrize("accumulate", [1, 4])
def test_products_take_bfloat16_and_all_that_is_kept_is_float32(accumulate):
    state, step, evaluate = started(accumulate=accumulate)
    program = list(equations(jax.make_jaxpr(step)(state, BATCH).jaxpr))
    products = [e for e in program if e.primitive.name == "dot_general"]
    assert len(products) == 5, "two forward, three backward"
    assert {var.aval.dtype for e in products for var in e.invars} == {jnp.dtype(jnp.bfloat16)}
    new, metrics = step(state, BATCH)
    kept = jax.tree.leaves((new.params, new.opt_state, new.ema, metrics, evaluate(new, BATCH)))
    assert {leaf.dtype for leaf in kept} == {jnp.dtype(jnp.float32), jnp.dtype(jnp.int32)}
    assert prediction_of(new).dtype == jnp.bfloat16


def prediction_of(state):
    return Half().apply(evaluation_variables(state), BATCH.inputs)


def poisson(prediction, target):
    """A loss that works on the prediction before it meets a float32 target."""
    return jnp.exp(prediction) - target * prediction


@pytest.mark.parametrize("accumulate", [1, 4])
def test_the_loss_is_worked_out_and_added_up_in_float32(accumulate):
    state, step, evaluate = started(loss=poisson, accumulate=accumulate)
    for function in (step, evaluate):
        program = list(equations(jax.make_jaxpr(function)(state, BATCH).jaxpr))
        worked = [e for e in program if e.primitive.name == "exp"]
        added = [e for e in program if e.primitive.name == "reduce_sum" and e.outvars[0].aval.shape == ()]
        assert worked
        assert added
        assert {e.invars[0].aval.dtype for e in worked + added} == {jnp.dtype(jnp.float32)}
    prediction = np.asarray(prediction_of(state), np.float64)
    seen = np.asarray(BATCH.weights) > 0
    truth = (np.exp(prediction) - np.asarray(BATCH.targets) * prediction)[seen].mean()
    np.testing.assert_allclose(evaluate(state, BATCH)["loss"].value, truth, rtol=FLOAT32)


def test_many_small_errors_do_not_get_lost():
    # 4096 errors of 2^-9 at values near 1: bfloat16 would round target, error and sum away
    rows = 4096
    past = jnp.ones((rows, 1, 1))
    batch = Batch(Inputs(past=past), past + 2.0**-9, jnp.ones((rows, 1, 1)))
    tx = optax.sgd(1.0)
    state = init_state(Given(), tx, jax.random.key(0), batch.inputs)
    for parts in (1, 8):
        _, metrics = make_train_step(Given(), losses.mae, tx, accumulate=parts)(state, batch)
        np.testing.assert_allclose(metrics["loss"].value, 2.0**-9, rtol=FLOAT32)
        np.testing.assert_allclose(metrics["loss"].total, rows * 2.0**-9, rtol=FLOAT32)
    np.testing.assert_allclose(make_eval_step(Given(), losses.mae)(state, batch)["loss"].value, 2.0**-9, rtol=FLOAT32)


def test_double_precision_is_left_as_it_is():
    with jax.enable_x64(True):
        batch = Batch(Inputs(past=jnp.ones((4, 24, 1))), jnp.zeros((4, 4, 1)), jnp.ones((4, 4, 1)))
        model, tx = Half(dtype=jnp.float64), optax.sgd(1.0)
        state = init_state(model, tx, jax.random.key(0), batch.inputs)
        _, metrics = make_train_step(model, losses.mse, tx, accumulate=2)(state, batch)
        for seen in (metrics, make_eval_step(model, losses.mse)(state, batch)):
            assert seen["loss"].total.dtype == jnp.float64
