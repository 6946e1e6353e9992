"""Canonical shards: the bits of a step do not depend on how many devices it runs on; its value is that of the batch."""

import functools

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small import MODELS, sgd, small_windows, without_dropout
from tolerances import PLACEMENT

from gym_jax import losses
from gym_jax.data import sequential, shuffled
from gym_jax.train.loop import train
from gym_jax.train.parallel import make_epoch, make_evaluation, make_layout
from gym_jax.train.step import init_state, make_eval_step, make_train_step
from gym_jax.types import Batch, Inputs


def trained(model, placement, devices, *, shards=4, tx=None, compile="safe", skip=False):
    """Return the state after two epochs in ragged batches, the metrics of the last chunk, and an evaluation."""
    layout, tx = make_layout(placement, devices, compile), tx or optax.adamw(1e-2)
    examples = layout.replicate(small_windows())
    state = init_state(model, tx, jax.random.key(0), examples.take(jnp.arange(2)).inputs)
    step_for = functools.partial(make_train_step, model, losses.huber, tx, shards=shards, skip=skip)
    order = functools.partial(shuffled, 0, count=len(examples), batch_size=16)
    *_, progress = train(make_epoch(step_for, layout), layout.replicate(state), examples, order, epochs=2, chunk=3)
    judge = functools.partial(make_eval_step, model, losses.mae, shards=shards)
    scores = make_evaluation(judge, layout)(progress.state, examples, sequential(len(examples), 16))
    return jax.device_get((progress.state._replace(key=0), progress.metrics, scores))


@pytest.mark.parametrize("compile", ["safe", "fast"])
@pytest.mark.parametrize("kind", MODELS)
def test_the_same_bits_on_any_number_of_devices(kind, compile):
    """With dropout: each shard draws its own."""
    one = trained(MODELS[kind], "one", None, compile=compile)
    for placement, devices in (("cores", 1), ("cores", 2), ("cores", 4), *([("pmap", 2)] if compile == "fast" else [])):
        chex.assert_trees_all_equal(trained(MODELS[kind], placement, devices, compile=compile), one)


def test_without_them_the_bits_differ():
    """Else the test above would prove nothing."""
    one, four = (trained(MODELS["lstm"], *where, shards=None) for where in (("one", None), ("cores", 4)))
    with pytest.raises(AssertionError):
        chex.assert_trees_all_equal(one[0].params, four[0].params)


@pytest.mark.parametrize("kind", MODELS)
def test_the_value_is_that_of_the_whole_batch(kind):
    model = without_dropout(MODELS[kind])
    whole, parted = (trained(model, "one", None, shards=shards, tx=sgd()) for shards in (None, 4))
    chex.assert_trees_all_close(parted[0], whole[0], atol=PLACEMENT, rtol=0)
    chex.assert_trees_all_close(parted[1:], whole[1:], rtol=1e-5)


def test_shards_and_skipping_go_together():
    one, four = (trained(MODELS["mlp"], *where, skip=True) for where in (("one", None), ("cores", 4)))
    chex.assert_trees_all_equal(one, four)


class Seen(nn.Module):
    """One weight, the mean of what it saw, and how often it saw something."""

    @nn.compact
    def __call__(self, inputs, *, train=False):
        mean = self.variable("statistics", "mean", jnp.zeros, ())
        count = self.variable("statistics", "count", jnp.zeros, (), jnp.int32)
        if train and not self.is_initializing():
            mean.value, count.value = inputs.past.mean(), count.value + 1
        return self.param("w", nn.initializers.constant(2.0), ()) * inputs.past[:, -1:]


def test_statistics_are_the_mean_over_the_shards_and_counters_stay():
    past = jnp.arange(8.0)[:, None, None]
    batch, tx = Batch(Inputs(past=past), past, jnp.ones_like(past)), optax.sgd(0.1)
    state = init_state(Seen(), tx, jax.random.key(0), batch.inputs)
    for _ in range(2):
        state, metrics = make_train_step(Seen(), losses.mae, tx, shards=4)(state, batch)
    assert float(state.collections["statistics"]["mean"]) == 3.5
    assert int(state.collections["statistics"]["count"]) == 2
    assert float(metrics["loss"].count) == 8


@pytest.mark.parametrize(
    ("rows", "shards", "accumulate", "told"),
    [
        (16, 3, 1, "3 shards do not share a batch of 16 rows evenly over 1 devices"),
        (16, 4, 2, "in shards or in micro-batches, not in both"),
    ],
)
def test_what_does_not_divide_is_refused(rows, shards, accumulate, told):
    windows, tx = small_windows(), sgd()
    batch = windows.take(jnp.arange(rows))
    state = init_state(MODELS["mlp"], tx, jax.random.key(0), batch.inputs)
    with pytest.raises(ValueError, match=told):
        make_train_step(MODELS["mlp"], losses.mae, tx, shards=shards, accumulate=accumulate)(state, batch)


def test_a_device_may_hold_one_shard_of_an_odd_number_of_rows():
    windows, tx = small_windows(), sgd()
    layout = make_layout("cores", 4)
    state = init_state(MODELS["mlp"], tx, jax.random.key(0), windows.take(jnp.arange(2)).inputs)
    step_for = functools.partial(make_train_step, MODELS["mlp"], losses.mae, tx, shards=4)
    epoch = make_epoch(step_for, layout)
    _, metrics = epoch(layout.replicate(state), layout.replicate(windows), np.arange(24).reshape(2, 12))
    assert np.isfinite(metrics["loss"].total).all()


def test_devices_that_do_not_share_the_shards_are_refused():
    with pytest.raises(ValueError, match="6 shards do not share a batch of 16 rows evenly over 4 devices"):
        trained(MODELS["mlp"], "cores", 4, shards=6)
    assert np.isfinite(jax.tree.leaves(trained(MODELS["mlp"], "cores", 2, shards=2)[0].params)[0]).all()
