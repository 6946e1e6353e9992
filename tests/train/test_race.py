"""The race: the fastest candidate wins if its numbers are right; one whose numbers are wrong is dropped and named."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small import MODELS, small_windows, without_dropout

from gym_jax.data.order import shuffled
from gym_jax.losses import mse
from gym_jax.train import race as module
from gym_jax.train.parallel import make_epoch, make_layout
from gym_jax.train.race import Lane, disagreement, race, record_gradients, safe_layout
from gym_jax.train.step import init_state, make_train_step

TX = optax.sgd(0.05)
MODEL = without_dropout(MODELS["mlp"])
WINDOWS = small_windows()
ORDER = shuffled(0, 0, len(WINDOWS), 16)[:3]
STEP = functools.partial(make_train_step, MODEL, mse, TX)
PROBE = functools.partial(make_train_step, MODEL, mse, record_gradients())
LANES = (make_layout("one", compile="fast"), make_layout("cores", 2, "fast"), make_layout("shard", 2, "fast"))


@pytest.fixture
def state():
    return init_state(MODEL, TX, jax.random.key(0), WINDOWS.take(jnp.zeros(1, int)).inputs)


def run(state, lanes=LANES, seconds=0.01):
    return race(STEP, PROBE, state, WINDOWS, ORDER, lanes, seconds=seconds)


def named(layout, fault):
    """A `disagreement` that finds a fault with one placement, and nothing with the others."""
    return lambda probe, other, *args, **kwargs: fault if other.placement == layout.placement else None


def test_the_probe_keeps_the_gradient_and_changes_nothing(state):
    batch = WINDOWS.take(jnp.asarray(ORDER[0]))
    probed, _ = PROBE()(state._replace(opt_state=state.params), batch)
    trained, _ = STEP()(state, batch)
    jax.tree.map(np.testing.assert_array_equal, probed.params, state.params)
    moved = jax.tree.map(lambda old, grad: old - 0.05 * grad, state.params, probed.opt_state)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-8), moved, trained.params)


def test_the_fastest_right_candidate_wins_and_all_are_timed(state):
    before = jax.device_get(state.params)
    won = run(state)
    assert [lane.fault for lane in won.lanes] == [None] * 3
    times = [lane.seconds for lane in won.lanes]
    assert times == sorted(times)
    assert won.lanes[0].layout == won.layout
    jax.tree.map(np.testing.assert_array_equal, before, jax.device_get(state.params))


def test_the_winners_epoch_is_the_program_of_a_run(state):
    won = run(state)
    own, _ = won.epoch(won.layout.replicate(jax.tree.map(jnp.copy, state)), won.layout.replicate(WINDOWS), ORDER)
    other, _ = make_epoch(STEP, won.layout)(won.layout.replicate(state), won.layout.replicate(WINDOWS), ORDER)
    jax.tree.map(np.testing.assert_array_equal, own.params, other.params)


def test_a_candidate_that_disagrees_is_dropped_though_it_is_fastest(state, monkeypatch):
    fastest = run(state).layout
    monkeypatch.setattr(module._Runner, "seconds_of", lambda lane: LANES.index(lane.layout) + 1.0)
    monkeypatch.setattr(module, "disagreement", named(LANES[0], "its loss differs"))
    won = run(state)
    assert won.layout == LANES[1] != LANES[0]
    assert [(lane.layout, lane.fault) for lane in won.lanes[:2]] == [(LANES[0], "its loss differs"), (LANES[1], None)]
    assert fastest in LANES


def test_when_all_disagree_the_first_is_trained_safely(state, monkeypatch):
    monkeypatch.setattr(module, "disagreement", lambda *args, **kwargs: "its loss differs")
    won = run(state)
    assert won.layout == LANES[0]._replace(compile="safe")
    assert {lane.fault for lane in won.lanes} == {"its loss differs"}


def test_a_single_candidate_is_compared_and_not_timed(state):
    won = run(state, LANES[1:2])
    assert won.lanes == (Lane(LANES[1], None, None),)
    assert won.lanes[0].facts == {
        "placement": "cores",
        "devices": 2,
        "compile": "fast",
        "ms_per_step": None,
        "fault": None,
    }


@pytest.mark.parametrize(
    ("error", "fault"), [(MemoryError("no room\nfor it"), "MemoryError: no room"), (MemoryError(), "MemoryError")]
)
def test_a_candidate_that_fails_leaves_the_others_racing(error, fault, state, monkeypatch):
    whole = module.make_epoch

    def breaking(step_for, layout):
        if layout.placement == "cores":
            return lambda *args: (_ for _ in ()).throw(error)
        return whole(step_for, layout)

    monkeypatch.setattr(module, "make_epoch", breaking)
    won = run(state)
    failed = [lane for lane in won.lanes if lane.fault]
    assert [(lane.layout.placement, lane.seconds, lane.fault) for lane in failed] == [("cores", None, fault)]
    assert won.layout.placement != "cores"


@pytest.mark.parametrize("wrong", ["gradients", "loss", "nan"])
def test_wrong_numbers_are_told_in_words(state, monkeypatch, wrong):
    def probed(probe_for, layout, *args):
        off = 0.0 if layout.compile == "safe" else 0.1
        loss = {"gradients": 1.0, "loss": 1.0 + off, "nan": 1.0 if not off else float("nan")}[wrong]
        return loss, {"w": jnp.full(4, 1.0 + off * (wrong == "gradients"))}

    monkeypatch.setattr(module, "_gradients", probed)
    fault = disagreement(PROBE, LANES[0], state, WINDOWS, ORDER)
    what, by = {"gradients": ("gradients", "0.1"), "loss": ("loss", "0.1"), "nan": ("loss", "nan")}[wrong]
    assert fault == f"its {what} differ from the safe compilation by {by} of their size"


@pytest.mark.parametrize("lane", LANES, ids=lambda lane: lane.placement)
def test_right_numbers_agree_on_every_placement(state, lane):
    assert disagreement(PROBE, lane, state, WINDOWS, ORDER) is None


def test_what_is_safe_already_is_not_compared(state, monkeypatch):
    monkeypatch.setattr(module, "_gradients", None)
    assert disagreement(PROBE, make_layout("one"), state, WINDOWS, ORDER) is None


def test_pmap_has_no_safe_compilation_but_shard_has():
    layout = make_layout("pmap", 2)
    assert layout.compile == "fast"
    assert safe_layout(layout) == make_layout("shard", 2)
