"""one = cores = shard = pmap on four virtual CPU devices, full and ragged batches."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import MODELS, sgd, small_windows, without_dropout
from tolerances import PLACEMENT

from gym_jax import losses
from gym_jax.data import sequential, shuffled
from gym_jax.errors import ConfigError
from gym_jax.train.loop import Position, train
from gym_jax.train.parallel import PLACEMENTS, make_epoch, make_evaluation, make_layout
from gym_jax.train.step import init_state, make_eval_step, make_train_step


def trained(model, placement, batch_size, chunk=3, accumulate=1, ema=None):
    """Return the parameters after two epochs and their average, the losses of the last chunk, and an evaluation."""
    layout = make_layout(placement, None if placement == "one" else 4)
    tx, examples = sgd(), layout.replicate(small_windows())
    state = init_state(model, tx, jax.random.key(0), examples.take(jnp.arange(2)).inputs, ema=ema)
    step_for = functools.partial(make_train_step, model, losses.huber, tx, accumulate=accumulate, ema=ema)
    epoch = make_epoch(step_for, layout)
    order = functools.partial(shuffled, 0, count=len(examples), batch_size=batch_size)
    *_, progress = train(epoch, layout.replicate(state), examples, order, epochs=2, chunk=chunk)
    evaluation = make_evaluation(functools.partial(make_eval_step, model, losses.mae), layout)
    scores = evaluation(progress.state, examples, sequential(len(examples), batch_size))
    assert progress.position == Position(2, 0)
    return jax.device_get(((progress.state.params, progress.state.ema), progress.metrics, scores))


BATCHES = [
    pytest.param(
        kind, size, id=f"{name}-{kind}", marks=[pytest.mark.slow] * (name == "ragged" and kind == "transformer")
    )
    for name, size in {"full": 16, "ragged": 13}.items()
    for kind in MODELS
]


@pytest.mark.parametrize(("kind", "batch_size"), BATCHES)
def test_placements_agree(kind, batch_size):
    model = without_dropout(MODELS[kind])
    one = trained(model, "one", batch_size)
    for placement in PLACEMENTS[1:]:
        other = trained(model, placement, batch_size)
        chex.assert_trees_all_close(other[0], one[0], atol=PLACEMENT, rtol=0)
        chex.assert_trees_all_close(other[1:], one[1:], rtol=1e-5)
        np.testing.assert_array_equal(other[1]["loss"].count, one[1]["loss"].count)


MICRO = {
    "full": ("mlp", 16, 2),
    "fewer rows than devices": ("mlp", 16, 8),
    "ragged": ("mlp", 15, 3),
    "indivisible": ("mlp", 13, 4),
}


@pytest.mark.parametrize(("kind", "batch_size", "accumulate"), MICRO.values(), ids=MICRO)
def test_placements_agree_in_micro_batches_with_an_average(kind, batch_size, accumulate):
    model = without_dropout(MODELS[kind])
    whole = trained(model, "one", batch_size, ema=0.9)
    for placement in PLACEMENTS:
        other = trained(model, placement, batch_size, accumulate=accumulate, ema=0.9)
        chex.assert_trees_all_close(other[0], whole[0], atol=PLACEMENT, rtol=0)
        chex.assert_trees_all_close(other[1:], whole[1:], rtol=1e-5)
        np.testing.assert_array_equal(other[1]["loss"].count, whole[1]["loss"].count)


@pytest.mark.parametrize("kind", MODELS)
def test_the_length_of_a_chunk_changes_no_bit(kind):
    few, many = trained(MODELS[kind], "one", 16, chunk=2), trained(MODELS[kind], "one", 16, chunk=1000)
    chex.assert_trees_all_equal(few[0], many[0])


def test_an_epoch_compiles_once_for_each_shape():
    model, tx, examples = MODELS["mlp"], sgd(), small_windows()
    layout = make_layout("one")
    traces = 0

    def counted(**kwargs):
        step = make_train_step(model, losses.mse, tx, **kwargs)

        def counting(state, batch):
            nonlocal traces
            traces += 1
            return step(state, batch)

        return counting

    state = init_state(model, tx, jax.random.key(0), examples.take(jnp.arange(2)).inputs)
    epoch = make_epoch(counted, layout)
    order = functools.partial(shuffled, 0, count=len(examples), batch_size=16)
    steps = len(order(0))
    for _ in train(epoch, layout.replicate(state), layout.replicate(examples), order, epochs=4, chunk=steps):
        pass
    assert traces == 1


def test_too_few_devices_says_what_to_change():
    with pytest.raises(ConfigError) as caught:
        make_layout("shard", 99)
    assert caught.value.lines() == [
        "error: train.placement=shard needs 99 devices, JAX has 4 cpu",
        "hint: CPU devices are made before JAX opens the first one; set JAX_NUM_CPU_DEVICES, or ask for fewer",
        "try: JAX_NUM_CPU_DEVICES=99 gymjax train ... train.placement=shard",
    ]
