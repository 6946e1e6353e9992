"""A step that is not finite: nothing of it stays, and it is counted."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small import MODELS, small_windows

from gym_jax import losses
from gym_jax.optim import clipped
from gym_jax.train.parallel import make_epoch, make_layout
from gym_jax.train.step import init_state, make_train_step
from gym_jax.types import Batch, Inputs


class Counting(nn.Module):
    """One weight, and a running mean of what it saw."""

    @nn.compact
    def __call__(self, inputs, *, train=False):
        seen = self.variable("statistics", "mean", jnp.zeros, ())
        if train and not self.is_initializing():
            seen.value = 0.5 * seen.value + 0.5 * inputs.past.mean()
        return self.param("w", nn.initializers.constant(2.0), ()) * inputs.past[:, -1:]


def batch_of(*values):
    past = jnp.array(values)[:, None, None]
    return Batch(Inputs(past=past), jnp.ones_like(past), jnp.ones_like(past))


def begun(tx, model=None, ema=0.5):
    return init_state(model or Counting(), tx, jax.random.key(0), batch_of(1.0).inputs, ema=ema)


@pytest.mark.parametrize("poison", [np.nan, np.inf, 1e30], ids=["nan", "inf", "overflow"])
def test_nothing_of_a_bad_step_stays(poison):
    tx = optax.adamw(0.1, weight_decay=0.1)
    step = make_train_step(Counting(), losses.mse, tx, ema=0.5, skip=True)
    state, _ = step(begun(tx), batch_of(1.0, 2.0))
    after, metrics = step(state, batch_of(1.0, poison))
    assert int(after.step) == 2
    chex.assert_trees_all_equal(after._replace(step=0, key=0), state._replace(step=0, key=0))
    assert {name: (float(m.total), float(m.count)) for name, m in metrics.items()} == {
        "loss": (0, 0),
        "grad_norm": (0, 0),
        "skipped": (1, 1),
    }


def test_a_good_step_is_what_it_is_without_the_guard():
    tx = optax.adamw(0.1)
    plain, with_guard = (make_train_step(Counting(), losses.mse, tx, ema=0.5, skip=skip) for skip in (False, True))
    state = begun(tx)
    (one, of_one), (other, of_other) = plain(state, batch_of(1.0, 2.0)), with_guard(state, batch_of(1.0, 2.0))
    chex.assert_trees_all_equal(one, other)
    assert float(of_other.pop("skipped").total) == 0
    chex.assert_trees_all_equal(of_one, of_other)


def test_an_infinite_gradient_behind_a_finite_loss_is_refused_where_clipping_makes_nan_of_it():
    """optax.clip_by_global_norm turns one infinite entry into NaN for all."""

    def steep(prediction, target):
        return jnp.sqrt(jnp.abs(prediction - target))  # its slope at 0 is infinite

    tx = clipped(optax.sgd(0.1), 1.0)
    hit = batch_of(0.5)  # 2 * 0.5 is the target
    broken, _ = make_train_step(Counting(), steep, tx)(begun(tx, ema=None), hit)
    assert not np.isfinite(float(broken.params["w"]))
    kept, metrics = make_train_step(Counting(), steep, tx, skip=True)(begun(tx, ema=None), hit)
    assert (float(kept.params["w"]), float(metrics["skipped"].total)) == (2.0, 1.0)


def test_an_update_that_overflows_behind_a_finite_gradient_is_refused():
    tx = optax.sgd(1e38)
    kept, metrics = make_train_step(Counting(), losses.mse, tx, skip=True)(begun(tx, ema=None), batch_of(30.0))
    assert (float(kept.params["w"]), float(metrics["skipped"].total)) == (2.0, 1.0)


def test_a_member_of_several_skips_alone():
    tx = optax.sgd(0.1)
    step = make_train_step(Counting(), losses.mse, tx, skip=True)
    states = jax.tree.map(lambda leaf: jnp.stack([leaf] * 2), begun(tx, ema=None))
    batches = jax.tree.map(lambda *leaves: jnp.stack(leaves), batch_of(1.0), batch_of(np.nan))
    states, metrics = jax.vmap(step)(states, batches)
    assert np.asarray(metrics["skipped"].total).tolist() == [0, 1]
    assert float(states.params["w"][0]) != 2
    assert float(states.params["w"][1]) == 2


@pytest.mark.parametrize("placement", ["one", "cores", "pmap"])
def test_all_devices_skip_together(placement):
    """One device alone has seen the poison."""
    windows = small_windows()
    values = np.array(windows.values)
    values[int(windows.origins[0]) - 1] = np.nan
    windows = jax.tree_util.tree_map(lambda leaf: leaf, windows)
    object.__setattr__(windows, "values", jnp.asarray(values))
    layout, tx = make_layout(placement, None if placement == "one" else 4), optax.sgd(0.1)
    model = MODELS["mlp"]
    state = init_state(model, tx, jax.random.key(0), windows.take(jnp.arange(2)).inputs)
    before = jax.device_get(state.params)

    def step_for(axis_name):
        return make_train_step(model, losses.mse, tx, axis_name=axis_name, skip=True)

    epoch = make_epoch(step_for, layout)
    after, metrics = epoch(layout.replicate(state), layout.replicate(windows), np.arange(8)[None].repeat(2, axis=0))
    assert np.asarray(metrics["skipped"].total).tolist() == [1, 1]
    chex.assert_trees_all_equal(jax.device_get(after.params), before)
