"""A member of many is its own single run, whatever the packing; two devices, three members, a ragged last batch."""

import dataclasses
import doctest
import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conftest import ROOT
from small import MODELS, sgd, small_windows, without_dropout
from tolerances import PLACEMENT

from gym_jax import losses
from gym_jax.data import sequential, shuffled
from gym_jax.train import race as module
from gym_jax.train.loop import train
from gym_jax.train.many import PACKINGS, Pack, make_many_epoch, make_many_evaluation, member, stack
from gym_jax.train.parallel import make_epoch, make_evaluation, make_layout
from gym_jax.train.race import disagreement, race, record_gradients, safe_layout
from gym_jax.train.step import init_state, make_eval_step, make_train_step

SEEDS, BATCH = (5, 6, 7), 13
RATES = jnp.array([0.05, 0.0, 0.02])
WINDOWS = small_windows()
ONE = make_layout("one")
MLP = without_dropout(MODELS["mlp"])
STEP = functools.partial(make_train_step, MLP, losses.huber, sgd())
PROBE = functools.partial(make_train_step, MLP, losses.huber, record_gradients())


def pack_of(packing, compile="safe"):
    return Pack(packing, make_layout("cores", 2, compile) if packing in ("cores", "turns") else ONE)


def begun(model, seed):
    inputs = WINDOWS.take(jnp.zeros(1, int)).inputs
    return jax.jit(lambda key: init_state(model, sgd(), key, inputs))(jax.random.key(seed))


def stacked():
    return stack([begun(MLP, seed) for seed in SEEDS])


def order(number):
    return np.stack([shuffled(seed, number, len(WINDOWS), BATCH) for seed in SEEDS], axis=1)


@functools.cache
def single(kind):
    """What each seed's own run has after two epochs: parameters, losses by step, validation."""
    model = without_dropout(MODELS[kind])
    epoch = make_epoch(functools.partial(make_train_step, model, losses.huber, sgd()), ONE)
    evaluation = make_evaluation(functools.partial(make_eval_step, model, losses.mae), ONE)
    out = []
    for seed in SEEDS:
        state = begun(model, seed)
        for number in range(2):
            state, metrics = epoch(state, WINDOWS, shuffled(seed, number, len(WINDOWS), BATCH))
        judged = evaluation(state, WINDOWS, sequential(len(WINDOWS), BATCH)) if kind == "mlp" else {}
        out.append(jax.device_get((state.params, metrics, judged)))
    return out


CASES = [
    pytest.param(kind, packing, marks=[pytest.mark.slow] * (kind != "mlp" and packing in ("cores", "loop")))
    for packing in PACKINGS
    for kind in MODELS
]


@pytest.mark.parametrize(("kind", "packing"), CASES)
def test_a_member_is_its_single_run(kind, packing):
    model, pack = without_dropout(MODELS[kind]), pack_of(packing)
    assert len(WINDOWS) % BATCH, "the last batch is ragged"
    states = pack.place(stack([begun(model, seed) for seed in SEEDS]))
    assert len(states.step) == (4 if pack.spread else 3), "two devices hold two each, one of them a copy"
    epoch = make_many_epoch(functools.partial(make_train_step, model, losses.huber, sgd()), pack)
    *_, progress = train(epoch, states, pack.replicate(WINDOWS), order, epochs=2, chunk=100)
    assert progress.metrics["loss"].total.shape == order(0).shape[:2]
    judged = {}
    if kind == "mlp":
        evaluation = make_many_evaluation(functools.partial(make_eval_step, model, losses.mae), pack)
        judged = evaluation(progress.state, pack.replicate(WINDOWS), sequential(len(WINDOWS), BATCH))
    for index, (params, metrics, own) in enumerate(single(kind)):
        chex.assert_trees_all_close(member(progress.state.params, index), params, atol=PLACEMENT, rtol=0)
        column = jax.tree.map(lambda leaf, index=index: leaf[:, index], (progress.metrics, judged))
        chex.assert_trees_all_close(column, (metrics, own), rtol=1e-5)
        np.testing.assert_array_equal(column[0]["loss"].count, metrics["loss"].count)


def by_rate(rate, axis_name):
    return make_train_step(MLP, losses.huber, optax.sgd(rate), axis_name=axis_name)


@pytest.mark.parametrize("packing", PACKINGS[:3])
def test_members_may_have_a_learning_rate_of_their_own(packing):
    pack = pack_of(packing)
    epoch = make_many_epoch(by_rate, pack, RATES)
    states, _ = epoch(pack.place(stacked()), pack.replicate(WINDOWS), order(0))
    assert int(states.step[0]) == len(order(0))
    for index, rate in enumerate(RATES.tolist()):
        step_for = functools.partial(make_train_step, MLP, losses.huber, optax.sgd(rate))
        alone, _ = make_epoch(step_for, ONE)(begun(MLP, SEEDS[index]), WINDOWS, order(0)[:, index])
        chex.assert_trees_all_close(member(states.params, index), alone.params, atol=PLACEMENT, rtol=0)
    chex.assert_trees_all_equal(member(states.params, 1), begun(MLP, SEEDS[1]).params)


def test_a_loop_has_no_settings_of_its_members():
    with pytest.raises(ValueError, match="one program: packing vmap, cores or turns"):
        make_many_epoch(by_rate, pack_of("loop"), RATES)


def test_a_member_comes_back_with_its_bits_and_its_key():
    states = stacked()
    assert states.key.shape == (3,)
    for index, seed in enumerate(SEEDS):
        chex.assert_trees_all_equal(member(states, index), begun(MLP, seed))


@pytest.mark.parametrize("packing", ["turns", "loop"])
def test_a_fast_pack_is_compared_with_its_safe_compilation(packing):
    pack = pack_of(packing)._replace(layout=pack_of(packing).layout._replace(compile="fast"))
    assert safe_layout(pack) == pack_of(packing)
    found = disagreement(PROBE, pack, stacked(), WINDOWS, order(0), make=make_many_epoch)
    assert found is None


def test_packs_race_and_the_winner_trains_on(monkeypatch):
    packs = [pack_of("turns", "fast"), pack_of("vmap")]
    won = race(STEP, PROBE, stacked(), WINDOWS, order(0), packs, make=make_many_epoch, seconds=0.01)
    assert won.layout in packs
    assert {lane.facts["packing"] for lane in won.lanes} == {"turns", "vmap"}
    states, _ = won.epoch(won.layout.place(stacked()), won.layout.replicate(WINDOWS), order(0))
    assert int(states.step[0]) == len(order(0))
    monkeypatch.setattr(module, "disagreement", lambda *args, **kwargs: "its loss differs")
    won = race(STEP, PROBE, stacked(), WINDOWS, order(0), packs, make=make_many_epoch, seconds=0.01)
    assert won.layout == pack_of("turns"), "without a right one, the first of them, made safe"


def test_the_example_of_the_documents_runs():
    found = doctest.testfile(str(ROOT / "docs" / "training.md"), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert found.attempted >= 5
    assert found.failed == 0


@pytest.mark.parametrize("packing", PACKINGS[:3])
def test_members_may_have_examples_of_their_own(packing):
    """Folds: each member learns from other values, and is judged by them."""
    pack, factors = pack_of(packing), (1.0, 2.0, 0.5)
    windows = [dataclasses.replace(WINDOWS, values=WINDOWS.values * factor) for factor in factors]
    epoch = make_many_epoch(STEP, pack, examples="own")
    judge = make_many_evaluation(functools.partial(make_eval_step, MLP, losses.mae), pack, examples="own")
    placed = pack.place(stack(windows))
    states, _ = epoch(pack.place(stacked()), placed, order(0))
    found = judge(states, placed, sequential(len(WINDOWS), BATCH))["loss"]
    for index, own in enumerate(windows):
        alone, _ = make_epoch(STEP, ONE)(begun(MLP, SEEDS[index]), own, order(0)[:, index])
        chex.assert_trees_all_close(member(states.params, index), alone.params, atol=PLACEMENT, rtol=0)
        judged = make_evaluation(functools.partial(make_eval_step, MLP, losses.mae), ONE)(
            alone, own, sequential(len(WINDOWS), BATCH)
        )
        np.testing.assert_allclose(found.total[:, index], judged["loss"].total, rtol=1e-4)


def test_a_loop_has_no_examples_of_its_members():
    with pytest.raises(ValueError, match="one program: packing vmap, cores or turns"):
        make_many_epoch(STEP, pack_of("loop"), examples="own")
